//! The most that was ever live, as far as it was seen.
//!
//! What is live is found by a walk over all pages, which is too dear to be made at each birth of one. So it is made when
//! committed memory has grown by a sixteenth since the last: then a birth pays for looking at sixteen pages, however many
//! there are, and a heap that grows is seen within a sixteenth of its peak. What is seen is a lower bound.

use super::committed;
use super::tally::{Count, Tally};
use crate::geometry::{CLASSES, SLICE};
use crate::sync::{AtomicUsize, Relaxed};

/// The most blocks and bytes that were seen together or apart.
pub(crate) struct Peak {
    blocks: AtomicUsize,
    bytes: AtomicUsize,
}

static ALL: Peak = Peak::new();
static LARGE: Peak = Peak::new();
static OF_CLASS: [Peak; CLASSES] = [const { Peak::new() }; CLASSES];

/// Committed bytes at which the next walk is due.
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// Less growth than this is not worth a walk.
const LEAST: usize = 4 * SLICE;

impl Peak {
    const fn new() -> Peak {
        Peak { blocks: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// The most blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.load(Relaxed)
    }

    /// The most bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    fn see(&self, count: &Count) {
        for (most, now) in [(&self.blocks, count.blocks), (&self.bytes, count.bytes)] {
            if now > most.load(Relaxed) {
                most.fetch_max(now, Relaxed);
            }
        }
    }
}

/// Of all blocks.
pub(crate) fn of_all() -> &'static Peak {
    &ALL
}

/// Of blocks with pages of their own.
pub(crate) fn of_large() -> &'static Peak {
    &LARGE
}

/// Of each class.
pub(crate) fn of_classes() -> &'static [Peak; CLASSES] {
    &OF_CLASS
}

/// Takes a tally into account.
pub(crate) fn see(tally: &Tally) {
    ALL.see(&tally.all());
    LARGE.see(&tally.large);
    for (peak, count) in OF_CLASS.iter().zip(&tally.classes) {
        peak.see(count);
    }
}

/// What was seen so far is forgotten, and what is there now counts.
pub(crate) fn forget() {
    for peak in OF_CLASS.iter().chain([&ALL, &LARGE]) {
        peak.blocks.store(0, Relaxed);
        peak.bytes.store(0, Relaxed);
    }
    see(&Tally::take());
}

/// What is to be done after a page was born. Without the lock.
#[inline]
pub(super) fn look_if_due() {
    let next = NEXT.load(Relaxed);
    if committed::now() >= next {
        look(next);
    }
}

#[cold]
fn look(next: usize) {
    // Of several threads that come here at once, one walks.
    if NEXT.compare_exchange(next, next_after(committed::now()), Relaxed, Relaxed).is_ok() {
        see(&Tally::take());
    }
}

/// Memory was given back: growth counts from there.
pub(super) fn fell_to(now: usize) {
    NEXT.fetch_min(next_after(now), Relaxed);
}

fn next_after(now: usize) -> usize {
    now.saturating_add((now / 16).max(LEAST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_the_most_that_was_seen_of_each_figure() {
        let peak = Peak::new();
        for (blocks, bytes) in [(3, 48), (1, 4096), (2, 0)] {
            peak.see(&Count { pages: 1, blocks, bytes });
        }
        assert_eq!((peak.blocks(), peak.bytes()), (3, 4096));
    }

    #[test]
    fn walks_become_rarer_as_memory_grows() {
        let mut walks = 0;
        let mut next = 0;
        for committed in (0..1 << 30).step_by(SLICE) {
            if committed >= next {
                walks += 1;
                next = next_after(committed);
            }
        }
        assert!((50..200).contains(&walks), "{walks}");
    }
}
