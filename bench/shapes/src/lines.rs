//! Cache lines that threads share although their blocks do not overlap.

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

const WRITES: usize = 2_000;

/// One thread allocates a small block for each; each frees its own, allocates another, and writes to it. If the freed place comes
/// back at once, lines stay shared.
pub fn passive<F: Face>(job: &Job) -> u64 {
    let rounds = job.rounds(600_000) / job.threads;
    let first: Vec<Block<F>> = (0..job.threads).map(|_| Block::new(8)).collect();
    std::thread::scope(|scope| {
        for given in first {
            scope.spawn(move || {
                drop(given);
                write::<F>(rounds);
            });
        }
    });
    rounds as u64
}

/// Each thread allocates small blocks of its own from the start. An allocator that cuts a line for two threads makes them share.
pub fn active<F: Face>(job: &Job) -> u64 {
    let rounds = job.rounds(600_000) / job.threads;
    std::thread::scope(|scope| {
        for _ in 0..job.threads {
            scope.spawn(move || write::<F>(rounds));
        }
    });
    rounds as u64
}

fn write<F: Face>(rounds: usize) {
    for _ in 0..rounds {
        let mut block: Block<F> = Block::new(8);
        (0..WRITES).for_each(|_| block.bump());
    }
}
