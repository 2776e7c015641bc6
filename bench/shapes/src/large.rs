//! Blocks that grow, blocks with an alignment, and large ones.

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

pub fn grow<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(43);
    let mut sum = 0;
    for _ in 0..job.rounds(75) {
        let mut buffers: Vec<Block<F>> = (0..32).map(|_| Block::new(16)).collect();
        for _ in 0..2_000 {
            let buffer = &mut buffers[random.usize(..32)];
            let size = buffer.size();
            // Small ones by half, larger ones by a little more each time.
            let more = if size < 1 << 14 { size / 2 + 8 } else { random.usize(1000..20_000) };
            buffer.resize(if size > 1 << 20 { 16 } else { size + more });
            sum += size as u64;
        }
    }
    sum
}

pub fn grow_one<F: Face>(job: &Job) -> u64 {
    let mut sum = 0;
    for _ in 0..job.rounds(12) {
        let mut buffer: Block<F> = Block::new(4096);
        while buffer.size() < 64 << 20 {
            let size = buffer.size();
            buffer.resize(size * 2);
            buffer.bytes()[size..].iter_mut().step_by(512).for_each(|byte| *byte = 1);
        }
        buffer.resize(1 << 20);
        sum += buffer.size() as u64;
    }
    sum
}

pub fn aligned<F: Face>(job: &Job) -> u64 {
    enum Any<F: Face> {
        Vector(Block<F, 32>),
        Line(Block<F, 64>),
        Two(Block<F, 128>),
        Page(Block<F, 4096>),
    }
    let mut random = fastrand::Rng::with_seed(47);
    let mut held: Vec<Option<Any<F>>> = Vec::new();
    held.resize_with(2000, || None);
    let mut sum = 0;
    for _ in 0..job.rounds(16_000_000) {
        let size = random.usize(1..1500);
        let block = match random.u32(..100) {
            0..50 => Any::Vector(Block::new(size)),
            50..85 => Any::Line(Block::new(size)),
            85..98 => Any::Two(Block::new(size)),
            _ => Any::Page(Block::new(size * 4)),
        };
        sum += match &block {
            Any::Vector(block) => block.size(),
            Any::Line(block) => block.size(),
            Any::Two(block) => block.size(),
            Any::Page(block) => block.size(),
        } as u64;
        held[random.usize(..2000)] = Some(block);
    }
    sum
}

/// A loop over blocks of one size, of which two are alive at a time.
fn touched<F: Face>(size: usize, rounds: usize) -> u64 {
    let mut last: Option<Block<F>> = None;
    let mut sum = 0;
    for _ in 0..rounds {
        let mut block = Block::new(size);
        block.touch();
        sum += u64::from(block.first());
        last = Some(block);
    }
    sum + last.map_or(0, |block| block.size() as u64)
}

pub fn blocks_256k<F: Face>(job: &Job) -> u64 {
    touched::<F>(256 << 10, job.rounds(100_000))
}

pub fn blocks_2m<F: Face>(job: &Job) -> u64 {
    touched::<F>(2 << 20, job.rounds(5_000))
}

pub fn blocks_25m<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(51);
    let mut held: Vec<Option<Block<F>>> = Vec::new();
    held.resize_with(20, || None);
    let mut sum = 0;
    for _ in 0..job.rounds(250) {
        let mut block: Block<F> = Block::new(random.usize(5 << 20..25 << 20));
        block.touch();
        sum += block.size() as u64;
        held[random.usize(..20)] = Some(block);
    }
    sum
}

pub fn blocks_64m<F: Face>(job: &Job) -> u64 {
    touched::<F>(64 << 20, job.rounds(40))
}

pub fn mix<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(53);
    let mut held: Vec<Option<Block<F>>> = Vec::new();
    held.resize_with(24, || None);
    let mut sum = 0;
    for _ in 0..job.rounds(40_000) {
        let power = random.u32(14..22);
        let size = random.usize(1 << power..2 << power);
        let mut block: Block<F> = Block::new(size);
        if random.u32(..4) == 0 {
            block.touch();
        }
        sum += size as u64;
        held[random.usize(..24)] = Some(block);
    }
    sum
}
