//! What memory costs beyond the blocks, and that it goes back: measured on the resident set of a process of its own.
//!
//! Each test runs itself again as a child, prints its figures there, and holds them against bounds; `cargo test --test memory -- --nocapture`
//! shows them. CI size: tens of megabytes. `FULL_SIZE_TESTS=1`: a gigabyte of 64-byte blocks, 100 million of 16 bytes, 4096 threads.

#![allow(clippy::panic, reason = "a test, and a panic is how it fails")]

use core::ptr;
use core::time::Duration;
use ravelin::raw;
use std::sync::{Arc, Barrier};
use std::time::Instant;
use std::{env, fs, thread};

mod alone;
use alone::alone;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

fn full_or(full: usize, ci: usize) -> usize {
    if env::var_os("FULL_SIZE_TESTS").is_some_and(|value| value == "1") { full } else { ci }
}

/// Resident bytes of this process.
fn resident() -> usize {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number");
    // SAFETY: no condition.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * usize::try_from(page).expect("a size")
}

/// Blocks of a size, each linked to the one before: nothing else is needed to hold them.
fn take(count: usize, size: usize) -> *mut *mut u8 {
    let mut last = ptr::null_mut::<*mut u8>();
    for _ in 0..count {
        let block = raw::allocate(size).cast::<*mut u8>();
        assert!(!block.is_null(), "memory");
        // SAFETY: the block has room for a pointer.
        unsafe { block.write(last.cast()) };
        last = block;
    }
    last
}

fn give_back(mut last: *mut *mut u8) {
    while !last.is_null() {
        // SAFETY: a block of `take`, which begins with its link.
        let next = unsafe { last.read() };
        // SAFETY: as above, and not used again.
        unsafe { raw::free(last.cast()) };
        last = next.cast();
    }
}

/// What any program does that goes on: a few slow paths, spread over the time in which memory is to go back.
fn go_on(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        thread::sleep(Duration::from_millis(20));
        give_back(take(1, 300_000));
        give_back(take(4, 5000));
    }
}

/// A peak of blocks of this size costs at most `per_mille` more than they hold, and is gone within a second.
fn peak(count: usize, size: usize, per_mille: usize) {
    give_back(take(1, size));
    let before = resident();
    let start = Instant::now();
    let blocks = take(count, size);
    let each = start.elapsed().as_nanos() / count as u128;
    let (held, payload) = (resident() - before, count * size);
    println!("{count} blocks of {size} bytes: {held} bytes resident for {payload}, {each} ns a block");
    assert!(held <= payload / 1000 * (1000 + per_mille) + MIB, "{held} bytes resident for {payload}");
    give_back(blocks);
    go_on(Duration::from_millis(900));
    let left = resident().saturating_sub(before);
    println!("a second later: {left} bytes");
    // A page of the class may linger, metadata stays, and what `go_on` frees waits for its own time.
    assert!(left <= payload / 40 + 6 * MIB, "{left} of {held} bytes are still resident");
}

#[test]
fn metadata_costs_at_most_four_hundredths_of_small_blocks_and_a_peak_is_given_back() {
    alone("metadata_costs_at_most_four_hundredths_of_small_blocks_and_a_peak_is_given_back", || {
        // The build with canaries gives a block of 64 bytes a larger class.
        if !ravelin::MITIGATIONS.canaries {
            peak(full_or(1 << 24, 1 << 20), 64, 40);
        }
    });
}

#[test]
fn the_smallest_blocks_cost_no_more_by_their_number() {
    alone("the_smallest_blocks_cost_no_more_by_their_number", || {
        if !ravelin::MITIGATIONS.canaries {
            peak(full_or(100_000_000, 3_000_000), 16, 40);
        }
    });
}

#[test]
fn an_idle_thread_costs_at_most_64_kibibytes() {
    alone("an_idle_thread_costs_at_most_64_kibibytes", || {
        let threads = full_or(4096, 256);
        give_back(take(1, 100));
        let before = resident();
        let all_are_there = Arc::new(Barrier::new(threads + 1));
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let all_are_there = Arc::clone(&all_are_there);
                let idle = move || {
                    give_back(take(1, 100));
                    all_are_there.wait();
                    all_are_there.wait();
                };
                thread::Builder::new().stack_size(64 * KIB).spawn(idle).expect("a thread")
            })
            .collect();
        all_are_there.wait();
        let each = (resident() - before) / threads;
        println!("{threads} idle threads: {each} bytes each, stacks included");
        all_are_there.wait();
        workers.into_iter().for_each(|worker| worker.join().expect("the thread ends"));
        assert!(each <= 64 * KIB, "{each} bytes a thread");
    });
}

#[test]
fn large_blocks_are_given_back_after_a_peak() {
    alone("large_blocks_are_given_back_after_a_peak", || {
        let before = resident();
        for size in [200_000, 3 * MIB, 20 * MIB] {
            let count = full_or(1 << 30, 60 << 20) / size;
            let blocks: Vec<*mut u8> = (0..count).map(|_| raw::allocate(size)).collect();
            for &block in &blocks {
                // SAFETY: a block of that size.
                unsafe { block.write_bytes(1, size) };
            }
            let held = resident() - before;
            // SAFETY: live blocks, not used again.
            blocks.into_iter().for_each(|block| unsafe { raw::free(block) });
            go_on(Duration::from_millis(900));
            let left = resident().saturating_sub(before);
            println!("blocks of {size} bytes: {held} bytes resident, {left} a second later");
            // What is known of the segments stays, 640 KiB for each 32 MiB that were ever used.
            assert!(left <= 6 * MIB + held / 50, "{left} of {held} bytes are still resident");
        }
    });
}

#[test]
fn sixty_four_gibibytes_are_reserved_for_nothing() {
    alone("sixty_four_gibibytes_are_reserved_for_nothing", || {
        let before = resident();
        let blocks: Vec<*mut u8> = (0..512).map(|_| raw::allocate(128 * MIB)).collect();
        let cost = resident() - before;
        for &block in &blocks {
            assert!(!block.is_null(), "address space");
            // SAFETY: a block of that size, of which one page is touched.
            unsafe { block.add(64 * MIB).write(1) };
        }
        println!("64 GiB in 512 blocks: {cost} bytes resident");
        assert!(cost <= 512 * 64 * KIB, "{cost} bytes for address space alone");
        // SAFETY: live blocks, not used again.
        blocks.into_iter().for_each(|block| unsafe { raw::free(block) });
    });
}
