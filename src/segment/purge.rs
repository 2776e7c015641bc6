//! Giving memory back: free slices are purged after a delay, by whoever next enters a slow path.
//!
//! ```text
//!   freed --> dirty --- a delay ---> dirty and aged --- a delay ---> purged, inaccessible
//!               \_______________________/
//!                used again: neither
//! ```
//!
//! A purge comes by a segment once in a delay, and takes what was dirty already the time before. So memory that is used
//! again within the delay is never purged, and memory that is not is gone within two.

use super::Segment;
use super::quarantine;
use super::space::{self, Locked};
use super::vacant;
use crate::options::{self, Setting};
use crate::os;
use crate::sync::{AtomicU64, Relaxed};

/// When the next purge is due, in milliseconds; 0 if none is.
static DUE: AtomicU64 = AtomicU64::new(0);
/// The same for the ranges of freed large blocks alone.
static RANGES_DUE: AtomicU64 = AtomicU64::new(0);

/// Slices that are purged before the lock is given back for a moment.
const BATCH: usize = 64;

/// What a purge takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// What was dirty when it came by last.
    Aged,
    /// All that is dirty.
    All,
}

/// The segment has dirty slices from now on.
pub(super) fn schedule(segment: &'static Segment, locked: &Locked) {
    let Some(delay) = options::milliseconds(Setting::PurgeDelay) else { return };
    if delay == 0 {
        while !purge_segment(segment, Which::All, locked) {}
        return;
    }
    if segment.due.load(Relaxed) == 0 {
        set_due(segment, os::milliseconds().wrapping_add(delay).max(1), locked);
    }
}

fn set_due(segment: &'static Segment, due: u64, locked: &Locked) {
    segment.due.store(due, Relaxed);
    come_by_at(due, locked);
}

/// Somebody is to come by then, or earlier.
fn come_by_at(due: u64, _locked: &Locked) {
    let next = DUE.load(Relaxed);
    if next == 0 || due < next {
        DUE.store(due, Relaxed);
    }
}

/// There are ranges of freed large blocks from now on.
pub(super) fn schedule_ranges(locked: &Locked) {
    let Some(delay) = options::milliseconds(Setting::PurgeDelay) else { return };
    if delay == 0 {
        while quarantine::grow_old(locked) {
            while !quarantine::drop_aged(locked) {}
        }
    } else if RANGES_DUE.load(Relaxed) == 0 {
        set_ranges_due(os::milliseconds().wrapping_add(delay).max(1), locked);
    }
}

fn set_ranges_due(due: u64, locked: &Locked) {
    RANGES_DUE.store(due, Relaxed);
    come_by_at(due, locked);
}

/// Purges what is due. Cheap if nothing is.
pub(crate) fn tick() {
    let due = DUE.load(Relaxed);
    if due == 0 {
        return;
    }
    let now = os::milliseconds();
    if now >= due {
        come_by(now);
    }
}

fn come_by(now: u64) {
    {
        // Under the lock: what is scheduled from now on is seen below, or finds nothing due and sets it anew.
        let _locked = space::lock();
        DUE.store(0, Relaxed);
    }
    let delay = options::milliseconds(Setting::PurgeDelay).unwrap_or(0);
    come_by_ranges(now, delay);
    come_by_segments(now, delay);
    vacant::give_back(vacant::Which::Segments);
}

fn come_by_segments(now: u64, delay: u64) {
    for segment in space::segments() {
        if segment.due.load(Relaxed) == 0 {
            continue;
        }
        loop {
            let locked = space::lock();
            let due = segment.due.load(Relaxed);
            if due == 0 {
                break;
            }
            if due > now {
                set_due(segment, due, &locked);
                break;
            }
            if !purge_segment(segment, Which::Aged, &locked) {
                continue;
            }
            if segment.grow_old() {
                set_due(segment, now.wrapping_add(delay), &locked);
            } else {
                segment.due.store(0, Relaxed);
            }
            break;
        }
    }
}

fn come_by_ranges(now: u64, delay: u64) {
    loop {
        let locked = space::lock();
        let due = RANGES_DUE.load(Relaxed);
        if due == 0 {
            return;
        }
        if due > now {
            return come_by_at(due, &locked);
        }
        if !quarantine::drop_aged(&locked) {
            continue;
        }
        let next = if quarantine::grow_old(&locked) { now.wrapping_add(delay) } else { 0 };
        RANGES_DUE.store(next, Relaxed);
        if next != 0 {
            come_by_at(next, &locked);
        }
        return;
    }
}

/// Purges everything that is dirty, and ends the quarantine of large ranges.
pub(crate) fn everything() {
    quarantine::empty(&space::lock());
    for segment in space::segments() {
        loop {
            let locked = space::lock();
            if purge_segment(segment, Which::All, &locked) {
                segment.grow_old();
                segment.due.store(0, Relaxed);
                break;
            }
        }
    }
    vacant::give_back(vacant::Which::All);
}

/// Purges about a batch of slices. True: none is left.
fn purge_segment(segment: &'static Segment, which: Which, locked: &Locked) -> bool {
    let set = match which {
        Which::Aged => &segment.aged,
        Which::All => &segment.dirty,
    };
    let mut done = 0_usize;
    let mut from = 0;
    while let Some((first, count)) = set.next_run(from) {
        if done >= BATCH {
            return false;
        }
        segment.purge_run(first, count, locked);
        done = done.wrapping_add(count);
        from = first.wrapping_add(count);
    }
    true
}

impl Segment {
    /// Gives the memory of slices without a live block back now.
    pub(super) fn purge_run(&self, first: usize, count: usize, locked: &Locked) {
        self.seal(first, count, locked);
        self.set_clean(first, count);
    }

    /// These slices are in use, or hold no memory.
    pub(super) fn set_clean(&self, first: usize, count: usize) {
        self.dirty.remove(first, count);
        self.aged.remove(first, count);
    }

    /// What is dirty now has aged when the next purge comes by. False: nothing is.
    fn grow_old(&self) -> bool {
        self.aged.copy_from(&self.dirty);
        !self.dirty.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{LARGE_MAX, UserPtr};
    use crate::segment::{SingleShape, allocate_single, claim_single, map, retire_single};

    #[test]
    fn purging_everything_leaves_live_huge_blocks_alone() {
        let size = 2 * LARGE_MAX;
        let shape = SingleShape::of(size, 16).unwrap();
        let start = allocate_single(&shape, size, None).unwrap().start;
        // SAFETY: the block is this test's, and has room for that much.
        unsafe { start.as_ptr().wrapping_add(size - 1).write(7) };
        everything();
        // SAFETY: as above.
        assert_eq!(unsafe { start.as_ptr().wrapping_add(size - 1).read() }, 7);
        let (segment, _) = map::find(UserPtr::new(start.as_ptr())).unwrap();
        let page = segment.first_page().unwrap();
        assert_eq!(claim_single(segment, page), Ok(()));
        retire_single(segment, page);
        everything();
    }
}
