//! Random sizes at random places: a block is replaced by another of another size.

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

fn churn<F: Face>(live: usize, largest: usize, rounds: usize) -> u64 {
    let mut random = fastrand::Rng::with_seed(live as u64);
    let mut held: Vec<Block<F>> = (0..live).map(|_| Block::new(random.usize(1..=largest))).collect();
    let mut sum = 0;
    for _ in 0..rounds {
        let at = random.usize(..live);
        sum += held[at].size() as u64;
        held[at] = Block::new(random.usize(1..=largest));
    }
    sum
}

pub fn live_1k<F: Face>(job: &Job) -> u64 {
    churn::<F>(1 << 10, 1024, job.rounds(75_000_000))
}

pub fn live_64k<F: Face>(job: &Job) -> u64 {
    churn::<F>(1 << 16, 1024, job.rounds(10_000_000))
}

pub fn live_1m<F: Face>(job: &Job) -> u64 {
    churn::<F>(1 << 20, 256, job.rounds(3_000_000))
}

/// Each power of two is half as likely as the one below it.
fn power_law(random: &mut fastrand::Rng, most: u32) -> usize {
    let power = 3 + (random.u64(..) | 1 << (most - 3)).trailing_zeros().min(most - 3);
    random.usize((1 << power) / 2..1 << power).max(1)
}

pub fn slots<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(31);
    let mut held: Vec<Option<Block<F>>> = Vec::new();
    held.resize_with(100_000, || None);
    let mut sum = 0;
    for _ in 0..job.rounds(25_000_000) {
        let at = random.usize(..held.len());
        if let Some(block) = held[at].take() {
            sum += u64::from(block.first());
        } else {
            let mut block = Block::new(power_law(&mut random, 16));
            block.fill(3);
            held[at] = Some(block);
        }
    }
    sum
}

pub fn burst<F: Face>(job: &Job) -> u64 {
    let rounds = job.rounds(56_000_000) / job.threads;
    let work = move |seed: u64| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut held: Vec<Option<Block<F>>> = Vec::new();
        held.resize_with(1024, || None);
        let mut sum = 0;
        for _ in 0..rounds {
            let size = power_law(&mut random, 15);
            sum += size as u64;
            held[random.usize(..1024)] = Some(Block::new(size));
        }
        sum
    };
    let threads: Vec<_> = (0..job.threads as u64).map(|seed| std::thread::spawn(move || work(seed))).collect();
    threads.into_iter().map(|thread| thread.join().unwrap_or(0)).fold(0, u64::wrapping_add)
}
