//! Blocks that are freed by another thread than the one that asked for them.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::mpsc;

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

/// A server's threads: each replaces blocks of 10 to 500 bytes at random, and hands what it holds to its successor
/// (the load that Larson and Krishnan described in 1998).
pub fn handed_on<F: Face>(job: &Job) -> u64 {
    const LIVE: usize = 1000;
    let generations = job.rounds(800);
    let mut threads = Vec::new();
    for lane in 0..job.threads as u64 {
        threads.push(std::thread::spawn(move || {
            let mut random = fastrand::Rng::with_seed(lane);
            let mut held: Vec<Block<F>> = (0..LIVE).map(|_| Block::new(random.usize(10..500))).collect();
            for _ in 0..generations {
                let next = std::thread::spawn(move || {
                    for _ in 0..20_000 {
                        let at = random.usize(..LIVE);
                        held[at] = Block::new(random.usize(10..500));
                    }
                    (random, held)
                });
                let Ok((moved, blocks)) = next.join() else { return };
                (random, held) = (moved, blocks);
            }
        }));
    }
    threads.into_iter().filter_map(|thread| thread.join().ok()).count() as u64
}

/// Half of the threads allocate, the others free: nothing that is freed was allocated by the same thread.
pub fn handover<F: Face>(job: &Job) -> u64 {
    const BATCH: usize = 256;
    let pairs = (job.threads / 2).max(1);
    let rounds = job.rounds(70_000) / pairs;
    let mut sum = 0;
    std::thread::scope(|scope| {
        let mut consumers = Vec::new();
        for pair in 0..pairs as u64 {
            let (sender, receiver) = mpsc::sync_channel::<Vec<Block<F>>>(16);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(pair);
                for _ in 0..rounds {
                    let batch = (0..BATCH).map(|_| Block::new(random.usize(16..300))).collect();
                    if sender.send(batch).is_err() {
                        return;
                    }
                }
            });
            consumers
                .push(scope.spawn(move || receiver.iter().flatten().map(|block| block.size() as u64).sum::<u64>()));
        }
        sum = consumers.into_iter().map(|thread| thread.join().unwrap_or(0)).sum();
    });
    sum
}

/// A place where threads leave a batch for each other.
struct Exchange<F: Face>(Vec<AtomicPtr<Vec<Block<F>>>>);

impl<F: Face> Exchange<F> {
    fn new(slots: usize) -> Self {
        Exchange((0..slots).map(|_| AtomicPtr::default()).collect())
    }

    fn swap(&self, slot: usize, mine: Vec<Block<F>>) -> Vec<Block<F>> {
        let mine = Box::into_raw(Box::new(mine));
        let theirs = self.0[slot].swap(mine, Ordering::AcqRel);
        // SAFETY: what lies in a slot came from into_raw, and the swap took it out for this thread alone.
        if theirs.is_null() { Vec::new() } else { *unsafe { Box::from_raw(theirs) } }
    }
}

impl<F: Face> Drop for Exchange<F> {
    fn drop(&mut self) {
        for slot in 0..self.0.len() {
            self.swap(slot, Vec::new());
            // SAFETY: as in `swap`; what was put in just now is taken out again.
            drop(unsafe { Box::from_raw(*self.0[slot].get_mut()) });
        }
    }
}

/// Threads come and go in rounds; each allocates in a mix of sizes, keeps some for long, and swaps batches with others.
pub fn messages<F: Face>(job: &Job) -> u64 {
    let exchange: Exchange<F> = Exchange::new(64);
    let rounds = job.rounds(25);
    for round in 0..rounds as u64 {
        std::thread::scope(|scope| {
            for thread in 0..job.threads as u64 {
                let exchange = &exchange;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(round << 8 | thread);
                    let mut kept = Vec::new();
                    let mut batch = Vec::new();
                    for _ in 0..60_000 / job.threads {
                        let words = match random.u32(..1000) {
                            0 => random.usize(1000..10_000),
                            1..50 => random.usize(32..500),
                            _ => random.usize(1..32),
                        };
                        let mut block = Block::new(words * 8);
                        block.bump();
                        if random.u32(..8) == 0 {
                            kept.push(block)
                        } else {
                            batch.push(block)
                        }
                        if random.u32(..4) == 0 && !batch.is_empty() {
                            batch.swap_remove(random.usize(..batch.len()));
                        }
                        if batch.len() >= 200 {
                            batch = exchange.swap(random.usize(..64), batch);
                        }
                        if kept.len() > 2000 {
                            kept.truncate(500);
                        }
                    }
                });
            }
        });
    }
    rounds as u64
}

/// Every thread loops over a table of blocks of 16 bytes to 8 KB, freeing and allocating at random, and passes half of what
/// it takes out to the next thread.
pub fn crossed<F: Face>(job: &Job) -> u64 {
    const LIVE: usize = 4000;
    let rounds = job.rounds(900) / job.threads.max(1) * 2;
    let exchange: Exchange<F> = Exchange::new(16);
    std::thread::scope(|scope| {
        for thread in 0..job.threads as u64 {
            let exchange = &exchange;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                let mut size = move || {
                    // Twelve small ones for each large one.
                    if random.u32(..13) == 0 { random.usize(512..8000) } else { random.usize(16..512) }
                };
                let mut held: Vec<Block<F>> = (0..LIVE).map(|_| Block::new(size())).collect();
                let mut random = fastrand::Rng::with_seed(thread + 100);
                for _ in 0..rounds {
                    let mut out = Vec::with_capacity(1000);
                    for _ in 0..2000 {
                        let at = random.usize(..LIVE);
                        let old = std::mem::replace(&mut held[at], Block::new(size()));
                        if random.bool() {
                            out.push(old);
                        }
                    }
                    drop(exchange.swap(random.usize(..16), out));
                }
            });
        }
    });
    rounds as u64
}

/// A message passes three stages, each a thread that reads it, grows it or answers with a new one.
pub fn pipeline<F: Face>(job: &Job) -> u64 {
    let rounds = job.rounds(2_400_000);
    let (to_parse, parse) = mpsc::sync_channel::<Block<F>>(512);
    let (to_work, work) = mpsc::sync_channel::<(Block<F>, Block<F>)>(512);
    let (to_answer, answer) = mpsc::sync_channel::<Block<F>>(512);
    std::thread::spawn(move || {
        let mut random = fastrand::Rng::with_seed(41);
        for _ in 0..rounds {
            if to_parse.send(Block::new(random.usize(40..400))).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for request in parse {
            let parsed = Block::new(request.size() / 2);
            if to_work.send((request, parsed)).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        for (request, mut parsed) in work {
            parsed.resize(request.size() + 64);
            drop(request);
            if to_answer.send(parsed).is_err() {
                return;
            }
        }
    });
    answer.iter().map(|block| block.size() as u64).sum()
}
