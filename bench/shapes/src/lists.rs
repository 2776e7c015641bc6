//! The plainest shapes: lists, and one size at a time.

use std::collections::VecDeque;

use crate::Job;
use crate::face::Face;
use crate::memory::{Block, Own};

struct Cell<F: Face> {
    value: u64,
    next: Option<Own<Cell<F>, F>>,
}

impl<F: Face> Drop for Cell<F> {
    fn drop(&mut self) {
        // In a loop, for the lists are long.
        let mut rest = self.next.take();
        while let Some(mut cell) = rest {
            rest = cell.next.take();
        }
    }
}

pub fn lists<F: Face>(job: &Job) -> u64 {
    let mut sum = 0u64;
    for round in 0..job.rounds(600) as u64 {
        let mut list: Option<Own<Cell<F>, F>> = None;
        for value in 0..100_000 {
            list = Some(Own::new(Cell { value: value * 7 + round, next: list }));
        }
        let mut thin = None;
        while let Some(mut cell) = list {
            list = cell.next.take();
            if cell.value % 3 != 0 {
                cell.next = thin;
                thin = Some(cell);
            }
        }
        let mut at = &thin;
        while let Some(cell) = at {
            sum = sum.wrapping_add(cell.value);
            at = &cell.next;
        }
    }
    sum
}

pub fn pair<F: Face>(job: &Job) -> u64 {
    let mut sum = 0;
    for round in 0..job.rounds(60_000_000) {
        let block: Block<F> = Block::new(16 + (round & 7) * 16);
        sum += u64::from(std::hint::black_box(&block).first());
    }
    sum
}

/// Sizes of the next three: small, middling and large.
const SIZES: [usize; 5] = [16, 48, 200, 1000, 5000];

pub fn stack<F: Face>(job: &Job) -> u64 {
    let mut held: Vec<Block<F>> = Vec::new();
    for round in 0..job.rounds(24_000) {
        let size = SIZES[round % SIZES.len()];
        // From 25 blocks to 6,400.
        for _ in 0..(25 << (round % 9)).min(8_000_000 / size) {
            held.push(Block::new(size));
        }
        while held.pop().is_some() {}
    }
    held.capacity().min(1) as u64
}

pub fn queue<F: Face>(job: &Job) -> u64 {
    let mut sum = 0;
    let mut held: VecDeque<Block<F>> = VecDeque::new();
    for round in 0..job.rounds(60_000_000) {
        held.push_back(Block::new(SIZES[(round >> 16) % SIZES.len()]));
        if held.len() > 1000 {
            sum += held.pop_front().map_or(0, |block| block.size() as u64);
        }
    }
    sum
}

pub fn zeroed<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(29);
    let mut held: Vec<Option<Block<F>>> = Vec::new();
    held.resize_with(256, || None);
    let mut sum = 0;
    for _ in 0..job.rounds(12_000_000) {
        let size = match random.u32(..1000) {
            0..900 => random.usize(8..512),
            900..995 => random.usize(512..8192),
            _ => random.usize(8192..300_000),
        };
        let mut block = Block::zeroed(size);
        sum += u64::from(block.first()) + size as u64 % 3;
        block.bump();
        held[random.usize(..256)] = Some(block);
    }
    sum
}
