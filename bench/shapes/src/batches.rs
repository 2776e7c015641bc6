//! Batches of one size after the other. A batch is freed at once, first first or last first, or in parts that live on.

use std::sync::Mutex;

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

/// One batch of `size`, into `held`, of which then a part goes.
fn batch<F: Face>(held: &mut Vec<Vec<Block<F>>>, size: usize, count: usize, round: usize) {
    held.push((0..count).map(|_| Block::new(size)).collect());
    match round % 4 {
        // The newest, last first.
        0 => {
            if let Some(mut newest) = held.pop() {
                while newest.pop().is_some() {}
            }
        }
        // The oldest, first first.
        1 => drop(held.remove(0)),
        // Every other block of each.
        2 => held.iter_mut().for_each(|blocks| {
            let mut odd = false;
            blocks.retain(|_| {
                odd = !odd;
                odd
            });
        }),
        // All live on, until there are too many.
        _ => {
            if held.len() > 12 {
                held.drain(..6);
            }
        }
    }
}

/// Small sizes are far more frequent than large ones.
const PLAN: [(usize, usize); 10] =
    [(8, 800), (16, 800), (24, 600), (40, 600), (72, 400), (120, 300), (232, 200), (488, 100), (1000, 50), (3000, 20)];

pub fn batches<F: Face>(job: &Job) -> u64 {
    let mut held = Vec::new();
    for round in 0..job.rounds(200_000) {
        let (size, count) = PLAN[round * 7 % PLAN.len()];
        batch::<F>(&mut held, size, count, round);
    }
    held.iter().map(|blocks| blocks.len() as u64).sum()
}

pub fn crossed<F: Face>(job: &Job) -> u64 {
    let rounds = job.rounds(200_000) / job.threads;
    // Whoever comes next takes over what another has left here.
    let left: Mutex<Vec<Vec<Block<F>>>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..job.threads {
            let left = &left;
            scope.spawn(move || {
                let mut held = Vec::new();
                for round in 0..rounds {
                    let (size, count) = PLAN[(round * 7 + thread) % PLAN.len()];
                    batch::<F>(&mut held, size, count, round);
                    if round % 3 == thread % 3 {
                        let mine = held.pop();
                        let others = left.lock().ok().and_then(|mut left| {
                            left.extend(mine);
                            (left.len() > 4).then(|| left.swap_remove(0))
                        });
                        drop(others);
                    }
                }
            });
        }
    });
    // Threads meet in another order each time, so the checksum is of the work and not of what was left.
    rounds as u64
}
