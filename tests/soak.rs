//! A long time of everything at once: producers and consumers, churn, purging, forks, threads that come and go, `check_heap` under load.
//! No report, and memory stays level.
//!
//! CI size: 4 seconds. `SOAK_SECONDS=N` (`cargo xtask soak`) makes it N, and prints a line twenty times.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test, and a panic is how it fails")]

use ravelin::{Collect, check_heap, collect, raw, stats};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use std::{env, fs, ptr, thread};

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

static OVER: AtomicBool = AtomicBool::new(false);
static OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// A block that says what it should hold.
struct Block {
    start: *mut u8,
    size: usize,
    mark: u8,
}

// SAFETY: a block is of whoever holds it.
unsafe impl Send for Block {}

impl Block {
    fn new(size: usize) -> Block {
        let start = raw::allocate(size);
        assert!(!start.is_null(), "no memory for {size} bytes");
        let mark = fastrand::u8(..);
        // SAFETY: a block of that size, ours. Of large ones the ends are written.
        unsafe { ptr::write_bytes(start, mark, size.min(4096)) };
        // SAFETY: as above.
        unsafe { start.add(size - 1).write(mark) };
        Block { start, size, mark }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: a live block, of which that much was written.
        let bytes = unsafe { core::slice::from_raw_parts(self.start, self.size.min(4096)) };
        assert!(bytes.iter().all(|byte| *byte == self.mark), "{} bytes are not what they were", self.size);
        // SAFETY: as above.
        assert_eq!(unsafe { self.start.add(self.size - 1).read() }, self.mark);
        // SAFETY: live, and not used again.
        unsafe { raw::free(self.start) };
        OPERATIONS.fetch_add(1, Relaxed);
    }
}

fn size() -> usize {
    match fastrand::u32(..1000) {
        0 => fastrand::usize(1 << 20..20 << 20),
        1..10 => fastrand::usize(100_000..1 << 20),
        10..100 => fastrand::usize(1024..100_000),
        _ => fastrand::usize(1..1024),
    }
}

fn produce(to: &SyncSender<Vec<Block>>) {
    while !OVER.load(Relaxed) {
        if to.send((0..fastrand::usize(1..200)).map(|_| Block::new(size())).collect()).is_err() {
            return;
        }
    }
}

/// Keeps some blocks for a while, so that pages are never quite empty, and checks its heap now and then.
fn consume(from: &Receiver<Vec<Block>>) {
    let mut kept: Vec<Block> = Vec::new();
    for blocks in from {
        kept.extend(blocks);
        while kept.len() > 2_000 {
            drop(kept.swap_remove(fastrand::usize(..kept.len())));
        }
        if fastrand::u32(..200) == 0 {
            check_heap().expect("a sound heap");
        }
        if fastrand::u32(..500) == 0 {
            kept.clear();
            collect(if fastrand::bool() { Collect::Fully } else { Collect::Gently });
        }
    }
}

/// Short threads, each of which leaves its blocks to another.
fn come_and_go() {
    let mut left: Vec<Block> = Vec::new();
    while !OVER.load(Relaxed) {
        let old = core::mem::take(&mut left);
        let work = move || {
            drop(old);
            (0..300).map(|_| Block::new(size().min(1 << 20))).collect()
        };
        left = thread::spawn(work).join().expect("a thread that only allocates");
    }
}

/// Children from the middle of it all.
fn fork_now_and_then() {
    while !OVER.load(Relaxed) {
        // SAFETY: the child calls the allocator only, and leaves by `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "the machine can make a process");
        if child == 0 {
            // SAFETY: ends the child if it hangs.
            unsafe { libc::alarm(60) };
            let some: [Option<Block>; 64] = core::array::from_fn(|_| Some(Block::new(size().min(1 << 20))));
            drop(some);
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(check_heap().is_err())) };
        }
        let mut status = 0;
        // SAFETY: writes to the number that it is given.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "a child's end");
        thread::sleep(Duration::from_millis(20));
    }
}

fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("a kernel with /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of VmRSS");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn memory_stays_level_and_nothing_is_reported() {
    let seconds = env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let period = Duration::from_secs_f64(seconds as f64 / 20.0);
    let mut levels = Vec::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            let (to, from) = sync_channel(8);
            scope.spawn(move || produce(&to));
            scope.spawn(move || consume(&from));
        }
        scope.spawn(come_and_go);
        scope.spawn(fork_now_and_then);
        let start = Instant::now();
        for round in 1..=20 {
            thread::sleep((start + period * round).saturating_duration_since(Instant::now()));
            let (level, now) = (resident_kib(), stats());
            println!(
                "{:6.0} s  {:12} blocks freed  {:8} KiB resident  {:8} KiB live  {:6} forks",
                start.elapsed().as_secs_f64(),
                OPERATIONS.load(Relaxed),
                level,
                now.live_bytes >> 10,
                now.forks
            );
            levels.push(level);
        }
        OVER.store(true, Relaxed);
    });
    check_heap().expect("a sound heap");
    // Load goes up and down; a leak only goes up. The last third against the third after the start.
    let mean = |part: &[usize]| part.iter().sum::<usize>() / part.len();
    let (early, late) = (mean(&levels[4..11]), mean(&levels[13..20]));
    println!("mean of resident KiB: early {early}, late {late}");
    assert!(late <= early + early / 4 + 20_000, "memory grows: {levels:?} KiB");
}
