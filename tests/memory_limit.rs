//! The process runs out of memory by its own limits, at every size, and recovers.
//!
//! Each test runs itself again as a child that limits itself: to so much address space or data more than it has. There it
//! takes all blocks of a size until there are no more, checks that none was touched, gives half of them back, takes
//! as many again, and gives all back; then comes the next size, in the same process.
//!
//! CI size: some megabytes beyond what the process needs. `FULL_SIZE_TESTS=1`: half a gigabyte.

#![allow(clippy::panic, reason = "a test, and a panic is how it fails")]

use core::ptr::{self, NonNull};
use ravelin::{Collect, MITIGATIONS, check_heap, collect, raw};
use std::process::Command;
use std::{env, fs, thread};

const MARK: &str = "TEST_RUNS_AS_CHILD";
const MIB: usize = 1 << 20;

/// What the process may have beyond what it has before its first allocation.
struct Spare {
    ci: usize,
    full: usize,
}

/// Of address space: the table of segments, a segment, and a huge block while it is being aligned.
const ADDRESS_SPACE: Spare = Spare { ci: 120 * MIB, full: 512 * MIB };
/// Of writable memory.
const DATA: Spare = Spare { ci: 20 * MIB, full: 512 * MIB };

impl Spare {
    fn bytes(&self) -> usize {
        if is_full() { self.full } else { self.ci }
    }
}

fn is_full() -> bool {
    env::var_os("FULL_SIZE_TESTS").is_some_and(|value| value == "1")
}

/// Huge and large ones, and one of each class, at its upper end. The huge first: what they take goes back to the system,
/// whereas a segment stays one.
fn sizes() -> impl Iterator<Item = usize> {
    let mut next = size_of::<Link>();
    let classes = core::iter::from_fn(move || {
        let size = raw::good_size(next);
        next = size + 1;
        (size <= 128 << 10).then_some(size)
    });
    [40 * MIB, 17 * MIB, 5 * MIB, MIB, 200_000].into_iter().chain(classes)
}

/// Blocks that are linked through their own memory: the system's allocator is as short of memory as we are.
struct Chain {
    head: *mut Link,
    count: usize,
    size: usize,
}

// SAFETY: the blocks are the holder's.
unsafe impl Send for Chain {}

struct Link {
    next: *mut Link,
    check: usize,
}

impl Chain {
    fn new(size: usize) -> Chain {
        Chain { head: ptr::null_mut(), count: 0, size }
    }

    /// Takes a block; false if there is none.
    fn take(&mut self) -> bool {
        let Some(block) = NonNull::new(raw::allocate(self.size)) else { return false };
        let link: NonNull<Link> = block.cast();
        let check = link.addr().get() ^ self.size;
        // SAFETY: a block has room for two words, and is aligned to 16.
        unsafe { link.write(Link { next: self.head, check }) };
        self.head = link.as_ptr();
        self.count += 1;
        true
    }

    /// Takes all there are.
    fn exhaust(&mut self) {
        self.grow_to(usize::MAX);
    }

    /// Takes blocks until there are so many, or no more.
    fn grow_to(&mut self, count: usize) {
        // Where the next block would lie is drawn: near the limit one place may be had and another not.
        let mut refused = 0;
        while refused < 3 && self.count < count {
            refused = if self.take() { 0 } else { refused + 1 };
        }
    }

    /// Gives blocks back until so many are left.
    fn shrink_to(&mut self, count: usize) {
        while self.count > count {
            // SAFETY: the chain holds live blocks, each with a link.
            let link = unsafe { self.head.read() };
            assert_eq!(link.check, self.head.addr() ^ self.size, "somebody wrote into a live block");
            // SAFETY: a live block, not used again.
            unsafe { raw::free(self.head.cast()) };
            self.head = link.next;
            self.count -= 1;
        }
    }
}

/// The line of /proc/self/status with this name, in bytes.
fn status(name: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the line is there");
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<usize>().expect("a number") << 10
}

/// Runs `work` in a child that has limited itself.
fn limited(test: &str, resource: libc::__rlimit_resource_t, measure: &str, spare: &Spare, work: fn()) {
    if env::var_os(MARK).is_none() {
        let child = Command::new(env::current_exe().expect("this test is a file"))
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .env(MARK, "1")
            // The system's allocator would take more address space for each thread than there is.
            .env("MALLOC_ARENA_MAX", "1")
            // And a failure here may have none for its trace.
            .env("RUST_BACKTRACE", "0")
            .output()
            .expect("a process");
        let words = String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success(), "{}\n{words}", child.status);
        return;
    }
    let limit = (status(measure) + spare.bytes()) as libc::rlim_t;
    let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: limits this process.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
    work();
    check_heap().unwrap_or_else(|corruption| panic!("{corruption}"));
}

fn every_size() {
    run_out(sizes());
}

/// Of the classes every third in the CI size: `every_size` has them all.
fn some_sizes() {
    run_out(sizes().step_by(if is_full() { 1 } else { 3 }));
}

fn run_out(sizes: impl Iterator<Item = usize>) {
    for size in sizes {
        let mut chain = Chain::new(size);
        chain.exhaust();
        let count = chain.count;
        // A huge one may be more than the limit on data leaves.
        assert!(count > 0 || size > 16 * MIB, "no block of {size} bytes at all");
        chain.shrink_to(count / 2);
        chain.grow_to(count);
        // Pages of several slices come back in other places, drawn at random, and may not fit as well as before.
        // And of what a quarantine lets go, a page that is full again takes its few blocks back only when there are more.
        let scattered = if MITIGATIONS.quarantine { 128 } else { 0 };
        let least = if size > 8192 { count / 2 } else { count.saturating_sub(scattered) };
        assert!(chain.count >= least, "{} of {count} blocks of {size} bytes came back", chain.count);
        check_heap().unwrap_or_else(|corruption| panic!("{corruption}"));
        chain.shrink_to(0);
        collect(Collect::Fully);
    }
}

fn many_threads() {
    for turn in 0..4 {
        let workers: Vec<_> = [64, 3000, 100_000, 300_000]
            .map(|size| {
                thread::spawn(move || {
                    let mut chain = Chain::new(size);
                    for _ in 0..3 {
                        chain.exhaust();
                        chain.shrink_to(chain.count / 2);
                    }
                    chain
                })
            })
            .into_iter()
            .collect();
        for worker in workers {
            // Their owners have ended: some are freed here, into abandoned pages.
            let mut chain = worker.join().expect("the thread goes on without memory");
            chain.shrink_to(0);
        }
        collect(Collect::Fully);
        let mut chain = Chain::new(1000);
        (0..1000).for_each(|_| assert!(chain.take(), "nothing came back in turn {turn}"));
        chain.shrink_to(0);
    }
}

#[test]
fn address_space_runs_out_and_comes_back() {
    let test = "address_space_runs_out_and_comes_back";
    limited(test, libc::RLIMIT_AS, "VmSize:", &ADDRESS_SPACE, some_sizes);
}

#[test]
fn data_runs_out_at_every_size_and_comes_back() {
    limited("data_runs_out_at_every_size_and_comes_back", libc::RLIMIT_DATA, "VmData:", &DATA, every_size);
}

#[test]
fn address_space_runs_out_for_several_threads_at_once() {
    limited(
        "address_space_runs_out_for_several_threads_at_once",
        libc::RLIMIT_AS,
        "VmSize:",
        &ADDRESS_SPACE,
        many_threads,
    );
}
