//! Memory after a peak, and what a process holds.

use std::time::{Duration, Instant};

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

/// Lets an allocator give back what it will, with the little work that any program does in the meantime.
pub fn settle(rest: Duration) {
    let end = Instant::now() + rest;
    while Instant::now() < end {
        for size in [24, 100, 700, 3000, 20_000] {
            let blocks: Vec<Vec<u8>> = (0..40).map(|_| Vec::with_capacity(size)).collect();
            std::hint::black_box(&blocks);
        }
        std::thread::sleep(Duration::from_millis(5).min(rest));
    }
}

/// The process's resident memory, read without allocating.
pub fn resident_kib() -> u64 {
    use std::io::Read;
    let mut buffer = [0; 256];
    let length = std::fs::File::open("/proc/self/statm").and_then(|mut file| file.read(&mut buffer)).unwrap_or(0);
    let text = std::str::from_utf8(&buffer[..length]).unwrap_or("");
    let pages: u64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    // SAFETY: no condition.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * page as u64 / 1024
}

pub fn peak<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(59);
    // What stays until the process ends: its pages cannot be given back.
    let mut stays: Vec<Block<F>> = Vec::new();
    let mut sum = 0;
    for _ in 0..job.rounds(10) {
        let mut held: Vec<Block<F>> = (0..600_000).map(|_| Block::new(random.usize(16..400))).collect();
        random.shuffle(&mut held);
        stays.extend(held.drain(..600));
        sum += held.len() as u64;
    }
    std::mem::forget(stays);
    sum
}

pub fn fragments<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(61);
    let mut held: Vec<Block<F>> = Vec::new();
    let mut sum = 0;
    for round in 0..job.rounds(200) {
        let size = [32, 48, 96, 160, 320, 640, 1280][round % 7];
        held.extend((0..8_000_000 / size).map(|_| Block::new(size)));
        // Two of three go, at random.
        held.retain(|_| random.u32(..3) == 0);
        sum += held.len() as u64;
    }
    sum
}
