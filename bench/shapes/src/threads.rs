//! Threads that come and go, and many that stay.

use std::sync::Barrier;

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

pub fn births<F: Face>(job: &Job) -> u64 {
    let mut kept: Vec<Vec<Block<F>>> = Vec::new();
    let rounds = job.rounds(14_000);
    for round in 0..rounds as u64 {
        let thread = std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(round);
            let mut blocks: Vec<Block<F>> = (0..300).map(|_| Block::new(random.usize(8..600))).collect();
            // Some of what it made outlives it.
            blocks.truncate(20);
            blocks
        });
        kept.extend(thread.join());
        if kept.len() > 100 {
            kept.drain(..90);
        }
    }
    rounds as u64
}

pub fn crowd<F: Face>(job: &Job) -> u64 {
    const THREADS: usize = 128;
    let rounds = job.rounds(40);
    for round in 0..rounds as u64 {
        let all_there = Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for thread in 0..THREADS as u64 {
                let all_there = &all_there;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(round << 8 | thread);
                    let mut held: Vec<Block<F>> = (0..50).map(|_| Block::new(random.usize(8..400))).collect();
                    all_there.wait();
                    for _ in 0..2000 {
                        let at = random.usize(..50);
                        held[at] = Block::new(random.usize(8..400));
                    }
                });
            }
        });
    }
    rounds as u64
}
