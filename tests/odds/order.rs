//! Which block comes next.

use super::{allocate, free, say, say_figure, trials};
use core::ptr;
use ravelin::MITIGATIONS;
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::HashMap;

const SIZES: [usize; 6] = [16, 48, 200, 1024, 4096, 30_000];

/// A program in the middle of its work: blocks of one size, of which at each step a random one is replaced.
struct Traffic {
    live: Vec<*mut u8>,
    size: usize,
}

impl Traffic {
    fn new(size: usize) -> Self {
        let count = ((4 << 20) / size).clamp(100, 5000);
        let mut traffic = Traffic { live: (0..count).map(|_| allocate(size)).collect(), size };
        (0..4 * count).for_each(|_| traffic.step());
        traffic
    }

    fn step(&mut self) {
        let place = fastrand::usize(..self.live.len());
        // SAFETY: live, and replaced at once.
        unsafe { free(self.live[place]) };
        self.live[place] = allocate(self.size);
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        // SAFETY: all are live, and never used again.
        self.live.iter().for_each(|&block| unsafe { free(block) });
    }
}

/// E9, A15: the attacker frees a block (of which he keeps the pointer), and the victim allocates.
#[test]
fn the_next_malloc_returns_the_block_just_freed() {
    for size in SIZES {
        let mut traffic = Traffic::new(size);
        let (of, mut hits) = (trials(20_000, 10_000_000), 0);
        for _ in 0..of {
            let place = fastrand::usize(..traffic.live.len());
            let freed = traffic.live[place];
            // SAFETY: live, and replaced at once.
            unsafe { free(freed) };
            traffic.live[place] = allocate(size);
            hits += usize::from(ptr::eq(freed, traffic.live[place]));
        }
        say(&format!("the next malloc returns the block just freed [{size}]"), hits, of);
        if MITIGATIONS.random_order {
            assert!(hits * 4 <= of, "{size} bytes: {hits} of {of}");
        }
    }
}

/// How many mallocs of the size, each after a free, it takes until the block comes back.
#[test]
fn the_reuse_distance_is_spread() {
    const FAR: usize = 100_000;
    for size in SIZES {
        let mut traffic = Traffic::new(size);
        let of = trials(200, 10_000);
        let mut distances: Vec<usize> = (0..of)
            .map(|_| {
                let freed = traffic.live.swap_remove(fastrand::usize(..traffic.live.len()));
                // SAFETY: live until here, and forgotten.
                unsafe { free(freed) };
                let mut distance = 0;
                loop {
                    distance += 1;
                    let block = allocate(size);
                    if ptr::eq(block, freed) || distance == FAR {
                        traffic.live.push(block);
                        return distance;
                    }
                    traffic.live.push(block);
                    let place = fastrand::usize(..traffic.live.len());
                    // SAFETY: live until here, and forgotten.
                    unsafe { free(traffic.live.swap_remove(place)) };
                }
            })
            .collect();
        distances.sort_unstable();
        let at = |part: usize| distances[(of - 1) * part / 100];
        let spread = format!("1% below {}, half below {}, 99% below {} mallocs", at(1), at(50), at(99));
        say_figure(&format!("a freed block comes back [{size}]"), spread);
        if MITIGATIONS.random_order {
            assert!(at(50) > 1, "{size} bytes: {distances:?}");
        }
    }
}

/// The attacker knows where the block handed out last lies, and knows which distance to the next is the likeliest.
fn guessed(blocks: &[*mut u8]) -> usize {
    let mut counts: HashMap<isize, usize> = HashMap::new();
    for pair in blocks.windows(2) {
        *counts.entry(pair[1].addr().wrapping_sub(pair[0].addr()).cast_signed()).or_default() += 1;
    }
    counts.into_values().max().unwrap_or(0)
}

#[test]
fn the_place_of_the_next_block_is_hard_to_guess() {
    for size in SIZES {
        let of = trials(20_000, 1_000_000) * 16 / size.clamp(16, 1024);
        // In fresh memory.
        let fresh: Vec<*mut u8> = (0..=of).map(|_| allocate(size)).collect();
        let hits = guessed(&fresh);
        say(&format!("the best guess of the next block in fresh memory [{size}]"), hits, of);
        // SAFETY: live, and not used again.
        fresh.into_iter().for_each(|block| unsafe { free(block) });
        if MITIGATIONS.random_order && size <= 1024 {
            assert!(hits * 2 <= of, "{size} bytes: {hits} of {of}");
        }
        // In the middle of work.
        let mut traffic = Traffic::new(size);
        let made: Vec<*mut u8> = (0..=of)
            .map(|_| {
                let place = fastrand::usize(..traffic.live.len());
                // SAFETY: live, and replaced at once.
                unsafe { free(traffic.live[place]) };
                traffic.live[place] = allocate(size);
                traffic.live[place]
            })
            .collect();
        let hits = guessed(&made);
        say(&format!("the best guess of the next block amid traffic [{size}]"), hits, of);
        if MITIGATIONS.random_order && size <= 1024 {
            assert!(hits * 4 <= of, "{size} bytes: {hits} of {of}");
        }
    }
}

/// Of a fresh page any block of the first window may be the first. A new thread has fresh pages.
#[test]
fn the_first_block_of_a_fresh_page_is_any_of_some() {
    if !MITIGATIONS.random_order {
        return;
    }
    for size in [16, 48, 200, 1024] {
        let of = trials(2_000, 50_000);
        let mut counts: HashMap<usize, usize> = HashMap::new();
        let mut widest = 0;
        for _ in 0..of {
            let (first, least) = std::thread::spawn(move || {
                let some: Vec<usize> = (0..64).map(|_| allocate(size).addr()).collect();
                let least = some.iter().copied().min().unwrap_or(0);
                // SAFETY: live, and not used again.
                some.iter().for_each(|&block| unsafe { free(ptr::with_exposed_provenance_mut(block)) });
                (some[0], least)
            })
            .join()
            .expect("a thread that only allocates");
            let place = (first - least) / size.next_multiple_of(16);
            *counts.entry(place).or_default() += 1;
            widest = widest.max(place);
        }
        let entropy: f64 = counts.values().map(|&n| n as f64 / of as f64).map(|p| -p * p.log2()).sum();
        let most = counts.values().max().copied().unwrap_or(0);
        say(&format!("the likeliest first block of a fresh page [{size}]"), most, of);
        say_figure(&format!("entropy of the first block of a fresh page [{size}]"), format!("{entropy:.2} bits"));
        assert!(entropy > 1.5, "{size} bytes: {entropy} bits");
    }
}

/// A chi-square test: blocks are put in order in windows of 256 bytes; does the order within one look like a shuffle? Counted: which of a
/// window's blocks, by address, comes when. (The first page of a thread may have lent some to the thread itself: incomplete windows are left out.)
#[test]
fn the_order_within_a_window_looks_like_a_shuffle() {
    if !MITIGATIONS.random_order {
        return;
    }
    const WINDOW: usize = 16;
    const BLOCK: usize = 16;
    // With room for a trailer.
    const SIZE: usize = if MITIGATIONS.canaries { 8 } else { BLOCK };
    let threads = trials(200, 20_000);
    let mut counts = [[0_usize; WINDOW]; WINDOW];
    let mut windows = 0_usize;
    for _ in 0..threads {
        let order = std::thread::spawn(|| {
            let some: Vec<usize> = (0..256).map(|_| allocate(SIZE).addr()).collect();
            // SAFETY: live, and not used again.
            some.iter().for_each(|&block| unsafe { free(ptr::with_exposed_provenance_mut(block)) });
            some
        })
        .join()
        .expect("a thread that only allocates");
        let mut by_window: HashMap<usize, Vec<usize>> = HashMap::new();
        order
            .iter()
            .for_each(|block| by_window.entry(block / (BLOCK * WINDOW)).or_default().push(block / BLOCK % WINDOW));
        for ranks in by_window.into_values().filter(|ranks| ranks.len() == WINDOW) {
            windows += 1;
            ranks.into_iter().enumerate().for_each(|(time, rank)| counts[time][rank] += 1);
        }
    }
    // The sums of rows and columns are fixed, which leaves (n - 1)^2 degrees of freedom; over permutations the expectation of Pearson's
    // statistic is n (n - 1), so it is scaled to the degrees.
    let expected = windows as f64 / WINDOW as f64;
    let pearson: f64 = counts.iter().flatten().map(|&n| (n as f64 - expected).powi(2) / expected).sum();
    let statistic = pearson * (WINDOW as f64 - 1.0) / WINDOW as f64;
    let freedom = ((WINDOW - 1) * (WINDOW - 1)) as f64;
    let p = 1.0 - ChiSquared::new(freedom).expect("degrees of freedom").cdf(statistic);
    let figure = format!("{statistic:.0} for {freedom} degrees over {windows} windows, p = {p:.3}");
    say_figure("chi-square of the order of 16 fresh blocks of 16 bytes", figure);
    assert!(windows > threads && p > 1e-6, "the order is not a shuffle: p = {p}");
}
