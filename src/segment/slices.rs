//! Sets of slices, and the choice of a run among the free ones.
//!
//! A run is drawn at random inside the lowest window of 2 MiB that has room, not over the whole segment: with transparent
//! huge pages, slices strewn over 32 MiB would cost as much memory. Entropy of a first page: log2 of the 31 slices of the
//! lowest window.
//!
//! That slice is drawn evenly among those that are free. Seen over many processes the outer slices of a window come a little more often all
//! the same, for runs of several slices leave them free more often: evenly a run covers a window only from a grid of its own length, which
//! 31 slices have none of. What would help is other windows for such runs, at the price of one more window in every small process.
//!
//! Runs of several slices that start anywhere leave gaps between them that fit none: of runs of 4, random ones fill four fifths
//! of a window, in a grid they fill all of it. Gaps are address space only, so that matters just where that is limited.

use crate::geometry::SLICES;
use crate::sync::{AtomicU64, Relaxed};

/// Slices of a window: 2 MiB, the kernel's huge page.
pub(crate) const WINDOW: usize = if SLICES < 32 { SLICES } else { 32 };

/// Where in a window a run may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Wherever it fits.
    Anywhere,
    /// At a multiple of its own length, if one of those is free.
    Grid,
}

const SET_WORDS: usize = SLICES.div_ceil(64);

/// A set of the slices of one segment. Writers hold the lock of the space, or own the slices that they change.
#[derive(Debug)]
pub(crate) struct SliceSet([AtomicU64; SET_WORDS]);

const fn mask_of(low: usize, high: usize) -> u64 {
    // Bits low..high of a word; high may be 64.
    let upper = if high >= 64 { u64::MAX } else { 1_u64.wrapping_shl(high as u32).wrapping_sub(1) };
    upper & !1_u64.wrapping_shl(low as u32).wrapping_sub(1)
}

/// The multiples of `count` in a window, one bit each.
fn grid(count: usize) -> u32 {
    (0..WINDOW).step_by(count.max(1)).fold(0, |starts, slice| starts | 1_u32.wrapping_shl(slice as u32))
}

impl SliceSet {
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self(core::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// The words that hold slices `first..first + count`, each with the mask of those.
    fn masked(&self, first: usize, count: usize) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let end = first.wrapping_add(count).min(SLICES);
        let words = self.0.get(first >> 6..end.div_ceil(64)).unwrap_or_default();
        words.iter().zip(first >> 6..).map(move |(word, index)| {
            let start = index.wrapping_mul(64);
            (word, mask_of(first.saturating_sub(start), end.wrapping_sub(start)))
        })
    }

    /// Members from now on. What is so already needs no exchange.
    pub(crate) fn add(&self, first: usize, count: usize) {
        let lacking = |(word, mask): &(&AtomicU64, u64)| word.load(Relaxed) & mask != *mask;
        self.masked(first, count).filter(lacking).for_each(|(word, mask)| {
            word.fetch_or(mask, Relaxed);
        });
    }

    pub(crate) fn remove(&self, first: usize, count: usize) {
        let holding = |(word, mask): &(&AtomicU64, u64)| word.load(Relaxed) & mask != 0;
        self.masked(first, count).filter(holding).for_each(|(word, mask)| {
            word.fetch_and(!mask, Relaxed);
        });
    }

    pub(crate) fn has(&self, slice: usize) -> bool {
        self.has_any(slice, 1)
    }

    pub(crate) fn has_any(&self, first: usize, count: usize) -> bool {
        self.masked(first, count).any(|(word, mask)| word.load(Relaxed) & mask != 0)
    }

    pub(crate) fn has_all(&self, first: usize, count: usize) -> bool {
        self.masked(first, count).all(|(word, mask)| word.load(Relaxed) & mask == mask)
    }

    /// Members among these slices.
    pub(crate) fn count(&self, first: usize, count: usize) -> usize {
        self.masked(first, count).map(|(word, mask)| (word.load(Relaxed) & mask).count_ones() as usize).sum()
    }

    /// Borders between members and others, within these slices and at their ends.
    pub(crate) fn borders(&self, first: usize, count: usize) -> usize {
        (first..=first.wrapping_add(count).min(SLICES.wrapping_sub(1)))
            .filter(|&slice| slice > 0 && self.has(slice) != self.has(slice.wrapping_sub(1)))
            .count()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.load(Relaxed).count_ones() as usize).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| word.load(Relaxed) == 0)
    }

    pub(crate) fn copy_from(&self, other: &SliceSet) {
        for (word, from) in self.0.iter().zip(&other.0) {
            word.store(from.load(Relaxed), Relaxed);
        }
    }

    pub(crate) fn clear(&self) {
        for word in &self.0 {
            word.store(0, Relaxed);
        }
    }

    /// The members, lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut bits = word.load(Relaxed);
            core::iter::from_fn(move || {
                let bit = bits.trailing_zeros() as usize;
                (bits != 0).then(|| {
                    bits &= bits.wrapping_sub(1);
                    index.wrapping_mul(64).wrapping_add(bit)
                })
            })
        })
    }

    /// The first run of members at or after `from`: its first slice, and how many follow each other.
    pub(crate) fn next_run(&self, from: usize) -> Option<(usize, usize)> {
        let first = (from..SLICES).find(|&slice| self.has(slice))?;
        let count = (first..SLICES).take_while(|&slice| self.has(slice)).count();
        Some((first, count))
    }

    /// A place for `count` slices that are not members: drawn by `below` in the lowest window with room, or the lowest
    /// that there is where none has it.
    pub(crate) fn draw_gap(&self, count: usize, spread: Spread, below: impl Fn(u32) -> u32) -> Option<usize> {
        if count == 0 || count > SLICES {
            return None;
        }
        if count <= WINDOW {
            for window in 0..SLICES / WINDOW {
                let starts = self.gaps_in_window(window, count);
                if starts != 0 {
                    let in_grid = if spread == Spread::Grid { starts & grid(count) } else { 0 };
                    let starts = if in_grid != 0 { in_grid } else { starts };
                    let chosen = below(starts.count_ones());
                    let mut rest = starts;
                    for _ in 0..chosen {
                        rest &= rest.wrapping_sub(1);
                    }
                    return Some(window.wrapping_mul(WINDOW).wrapping_add(rest.trailing_zeros() as usize));
                }
            }
        }
        if count > WINDOW
            && let Some(first) = self.gap_round_windows(count)
        {
            return Some(first);
        }
        let mut length = 0_usize;
        for slice in 0..SLICES {
            length = if self.has(slice) { 0 } else { length.wrapping_add(1) };
            if length == count {
                return Some(slice.wrapping_add(1).wrapping_sub(count));
            }
        }
        None
    }

    /// The lowest place for so many slices of which all but the first begin with a window: there a block can have huge pages.
    fn gap_round_windows(&self, count: usize) -> Option<usize> {
        let last = SLICES.checked_sub(count)?;
        (WINDOW.wrapping_sub(1)..=last).step_by(WINDOW).find(|&first| !self.has_any(first, count))
    }

    /// The same among the members of `within` only.
    pub(crate) fn draw_gap_within(
        &self,
        within: &SliceSet,
        count: usize,
        spread: Spread,
        below: impl Fn(u32) -> u32,
    ) -> Option<usize> {
        let mut words = self.0.iter().zip(&within.0).map(|(used, allowed)| used.load(Relaxed) | !allowed.load(Relaxed));
        let barred = SliceSet(core::array::from_fn(|_| AtomicU64::new(words.next().unwrap_or(u64::MAX))));
        barred.draw_gap(count, spread, below)
    }

    /// Where in the window a run of `count` slices that are not members starts, one bit each.
    fn gaps_in_window(&self, window: usize, count: usize) -> u32 {
        let start = window.wrapping_mul(WINDOW);
        let word = self.0.get(start >> 6).map_or(u64::MAX, |word| word.load(Relaxed));
        let window_mask = mask_of(0, WINDOW) as u32;
        let free = !(word.wrapping_shr(start as u32 & 63) as u32) & window_mask;
        // After k rounds a bit stays where k + 1 free slices follow each other.
        (1..count).fold(free, |starts, _| starts & (starts >> 1) & window_mask)
            & if count > 1 { self.tail_mask(count) } else { u32::MAX }
    }

    /// Starts from which `count` slices do not leave the window.
    fn tail_mask(&self, count: usize) -> u32 {
        mask_of(0, WINDOW.wrapping_sub(count).wrapping_add(1)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{CHECKER, MODELS_ONLY};
    use core::cell::Cell;
    use core::hash::BuildHasher;
    use proptest::prelude::*;
    use statrs::distribution::{ChiSquared, ContinuousCDF};
    use std::hash::RandomState;

    #[test]
    fn a_run_is_in_the_set_from_its_first_to_its_last_slice() {
        if MODELS_ONLY {
            return;
        }
        let set = SliceSet::new();
        set.add(3, 5);
        assert_eq!(set.iter().collect::<std::vec::Vec<_>>(), [3, 4, 5, 6, 7]);
        assert!(set.has_all(3, 5) && !set.has_all(2, 3) && set.has_any(2, 2) && !set.has_any(8, 3));
        set.remove(4, 1);
        assert_eq!(set.next_run(0), Some((3, 1)));
        assert_eq!(set.next_run(4), Some((5, 3)));
        assert_eq!((set.len(), set.count(0, 6), set.count(5, SLICES)), (4, 2, 3));
    }

    #[test]
    fn a_gap_within_a_set_is_drawn_from_its_members() {
        if MODELS_ONLY {
            return;
        }
        let (used, within) = (SliceSet::new(), SliceSet::new());
        // Also where a segment has one window.
        let first = SLICES / 2;
        within.add(first, 4);
        used.add(first + 1, 1);
        assert_eq!(used.draw_gap_within(&within, 2, Spread::Anywhere, |_| 0), Some(first + 2));
        assert_eq!(used.draw_gap_within(&within, 3, Spread::Anywhere, |_| 0), None);
    }

    #[test]
    fn runs_in_a_grid_fill_all_windows_however_they_are_drawn() {
        if MODELS_ONLY {
            return;
        }
        let state = core::cell::Cell::new(1_u32);
        let below = |n: u32| {
            state.set(state.get().wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
            (state.get() >> 8) % n
        };
        for count in (2..=WINDOW).filter(|count| WINDOW.is_multiple_of(*count)) {
            let set = SliceSet::new();
            while let Some(first) = set.draw_gap(count, Spread::Grid, below) {
                set.add(first, count);
            }
            assert_eq!(set.len(), SLICES, "runs of {count}");
        }
    }

    #[test]
    fn one_slice_is_drawn_evenly_among_those_that_are_free() {
        if CHECKER || MODELS_ONLY {
            return;
        }
        const DRAWS: usize = 40_000;
        let (keys, turn) = (RandomState::new(), Cell::new(0_u64));
        let below = |n: u32| {
            turn.set(turn.get() + 1);
            ((keys.hash_one(turn.get()) >> 32) * u64::from(n) >> 32) as u32
        };
        for used in [&[(0, 1)][..], &[(0, 1), (1, 4)], &[(0, 1), (14, 2), (20, 1), (28, 4)]] {
            let set = SliceSet::new();
            used.iter().for_each(|&(first, count)| set.add(first, count));
            let mut counts = [0_usize; WINDOW];
            for _ in 0..DRAWS {
                counts[set.draw_gap(1, Spread::Anywhere, below).expect("room")] += 1;
            }
            let free: std::vec::Vec<usize> = (0..WINDOW).filter(|&slice| !set.has(slice)).collect();
            let expected = DRAWS as f64 / free.len() as f64;
            let statistic: f64 = free.iter().map(|&slice| (counts[slice] as f64 - expected).powi(2) / expected).sum();
            let p = 1.0 - ChiSquared::new(free.len() as f64 - 1.0).expect("degrees of freedom").cdf(statistic);
            assert!(p > 1e-6, "chi-square {statistic:.0}: {counts:?}");
        }
    }

    fn either() -> impl Strategy<Value = Spread> {
        prop_oneof![Just(Spread::Anywhere), Just(Spread::Grid)]
    }

    proptest! {
        #[test]
        fn a_gap_within_a_set_is_free_and_lies_in_the_set(
            used in proptest::collection::vec(0..SLICES, 0..SLICES / 2),
            wanted in proptest::collection::vec(0..SLICES, 0..SLICES),
            count in 1_usize..4, dice: u32, spread in either(),
        ) {
            if MODELS_ONLY {
                return Ok(());
            }
            let (set, within) = (SliceSet::new(), SliceSet::new());
            used.iter().for_each(|&slice| set.add(slice, 1));
            wanted.iter().for_each(|&slice| within.add(slice, 1));
            let fits = |first: usize| !set.has_any(first, count) && within.has_all(first, count);
            match set.draw_gap_within(&within, count, spread, |n| dice % n) {
                Some(first) => prop_assert!(fits(first)),
                None => prop_assert!(!(0..=SLICES - count).any(fits)),
            }
        }

        #[test]
        fn a_drawn_gap_is_free_and_lies_in_the_lowest_window_with_room(
            used in proptest::collection::vec(0..SLICES, 0..SLICES), count in 1..SLICES, dice: u32, spread in either(),
        ) {
            if MODELS_ONLY {
                return Ok(());
            }
            let set = SliceSet::new();
            for slice in used {
                set.add(slice, 1);
            }
            let runs = |window: usize| (window * WINDOW..=(window + 1) * WINDOW - count.min(WINDOW))
                .any(|start| !set.has_any(start, count));
            match set.draw_gap(count, spread, |n| dice % n) {
                Some(first) => {
                    prop_assert!(first + count <= SLICES && !set.has_any(first, count));
                    if count <= WINDOW && (0..SLICES / WINDOW).any(runs) {
                        prop_assert_eq!(Some(first / WINDOW), (0..SLICES / WINDOW).find(|&window| runs(window)));
                    }
                }
                None => prop_assert!((0..=SLICES - count).all(|start| set.has_any(start, count))),
            }
        }
    }
}
