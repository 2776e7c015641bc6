//! A logic minimiser's mix: sets of cubes (products of literals), merged until nothing merges any more.

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

/// Two words a group of 32 variables: which are set, which do not matter. With a header of two words.
struct Cube<F: Face>(Block<F>);

impl<F: Face> Cube<F> {
    fn of(minterm: u32, variables: usize) -> Self {
        let mut cube = Cube(Block::zeroed(cube_bytes(variables)));
        cube.0.words()[2] = minterm;
        cube
    }

    fn key(&self) -> (u32, u32) {
        (self.0.read_words()[3], self.0.read_words()[2])
    }

    /// The cube that covers both, if they differ in one variable.
    fn merge(&self, other: &Self) -> Option<Self> {
        let (a, b) = (self.0.read_words(), other.0.read_words());
        let differ = a[2] ^ b[2];
        if a[3] != b[3] || differ.count_ones() != 1 {
            return None;
        }
        let mut merged = Cube(Block::new(self.0.size()));
        let words = merged.0.words();
        words.copy_from_slice(a);
        words[2] &= !differ;
        words[3] |= differ;
        Some(merged)
    }
}

fn cube_bytes(variables: usize) -> usize {
    16 + variables.div_ceil(8) * 4
}

/// A growing array of pointers, as the minimiser's covers are: it grows by realloc.
struct Cover<F: Face> {
    cubes: Vec<Cube<F>>,
    /// Stands for the array in the face's memory: its size follows that of the list.
    room: Block<F>,
}

impl<F: Face> Cover<F> {
    fn new() -> Self {
        Cover { cubes: Vec::new(), room: Block::new(32) }
    }

    fn push(&mut self, cube: Cube<F>) {
        self.cubes.push(cube);
        if self.cubes.len() * 8 > self.room.size() {
            self.room.resize(self.room.size() * 3 / 2 + 16);
        }
    }
}

pub fn minimize<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(7);
    let mut sum = 0;
    for round in 0..job.rounds(800) {
        let variables = 9 + round % 3;
        let mut cover: Cover<F> = Cover::new();
        for minterm in 0..1u32 << variables {
            if random.u32(..100) < 45 {
                cover.push(Cube::of(minterm, variables * (1 + round % 4)));
            }
        }
        let mut primes = Cover::new();
        while !cover.cubes.is_empty() {
            let (next, left) = step(cover, variables);
            left.into_iter().for_each(|cube| primes.push(cube));
            cover = next;
        }
        sum += primes.cubes.iter().map(|cube| u64::from(cube.key().0)).sum::<u64>();
    }
    sum
}

/// Merges what can be merged: the merged cubes, and those that were not.
fn step<F: Face>(mut cover: Cover<F>, variables: usize) -> (Cover<F>, Vec<Cube<F>>) {
    cover.cubes.sort_by_key(Cube::key);
    let mut used: Block<F> = Block::zeroed(cover.cubes.len());
    let mut next = Cover::new();
    for (at, cube) in cover.cubes.iter().enumerate() {
        let (mask, value) = cube.key();
        for bit in (0..variables).map(|bit| 1 << bit).filter(|bit| (mask | value) & bit == 0) {
            if let Ok(other) = cover.cubes.binary_search_by_key(&(mask, value | bit), Cube::key) {
                next.cubes.extend(cube.merge(&cover.cubes[other]));
                used.bytes()[at] = 1;
                used.bytes()[other] = 1;
            }
        }
    }
    next.cubes.sort_by_key(Cube::key);
    next.cubes.dedup_by_key(|cube| cube.key());
    let used = used.read_bytes();
    let mut at = 0;
    cover.cubes.retain(|_| {
        at += 1;
        used[at - 1] == 0
    });
    (next, cover.cubes)
}
