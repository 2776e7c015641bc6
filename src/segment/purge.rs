//! Giving memory back: free slices are purged after a delay, by whoever next enters a slow path.

use super::quarantine;
use super::space::{self, Locked};
use super::{Role, Segment};
use crate::options::{self, Setting};
use crate::os;
use crate::sync::{AtomicU64, Relaxed};

/// When the next purge is due, in milliseconds; 0 if none is.
static DUE: AtomicU64 = AtomicU64::new(0);

/// Slices that are purged before the lock is given back for a moment.
const BATCH: usize = 64;

/// The segment has dirty slices from now on.
pub(super) fn schedule(segment: &'static Segment, locked: &Locked) {
    let Some(delay) = options::milliseconds(Setting::PurgeDelay) else { return };
    if delay == 0 {
        purge_segment(segment, usize::MAX, locked);
        return;
    }
    if segment.due.load(Relaxed) == 0 {
        let due = os::milliseconds().wrapping_add(delay).max(1);
        segment.due.store(due, Relaxed);
        let next = DUE.load(Relaxed);
        if next == 0 || due < next {
            DUE.store(due, Relaxed);
        }
    }
}

/// Purges what is due. Cheap if nothing is.
pub(crate) fn tick() {
    let due = DUE.load(Relaxed);
    if due != 0 && os::milliseconds() >= due {
        run(Some(os::milliseconds()));
    }
}

/// Purges everything that is dirty, and ends the quarantine of large ranges.
pub(crate) fn everything() {
    quarantine::empty(&space::lock());
    run(None);
}

/// Purges what is due at `now`, or everything.
fn run(now: Option<u64>) {
    DUE.store(0, Relaxed);
    let mut next = 0;
    for segment in space::segments() {
        loop {
            let locked = space::lock();
            let due = segment.due.load(Relaxed);
            if due == 0 && now.is_some() {
                break;
            }
            if now.is_some_and(|now| due > now) {
                next = if next == 0 { due } else { due.min(next) };
                break;
            }
            if purge_segment(segment, BATCH, &locked) {
                segment.due.store(0, Relaxed);
                break;
            }
        }
    }
    if next != 0 {
        let _locked = space::lock();
        let other = DUE.load(Relaxed);
        DUE.store(if other == 0 { next } else { next.min(other) }, Relaxed);
    }
}

/// Purges dirty slices, about `most` of them. True: none is left.
fn purge_segment(segment: &'static Segment, most: usize, locked: &Locked) -> bool {
    if segment.role() == Role::Huge {
        segment.purge_huge(locked);
        return true;
    }
    let mut done = 0_usize;
    let mut from = 0;
    while let Some((first, count)) = segment.dirty.next_run(from) {
        if done >= most {
            return false;
        }
        segment.seal(first, count);
        segment.dirty.remove(first, count);
        done = done.wrapping_add(count);
        from = first.wrapping_add(count);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{LARGE_MAX, UserPtr};
    use crate::segment::{SingleShape, allocate_single, free_single, map};

    #[test]
    fn purging_everything_leaves_live_huge_blocks_alone() {
        let size = 2 * LARGE_MAX;
        let shape = SingleShape::of(size, 16).unwrap();
        let start = allocate_single(&shape).unwrap().start;
        // SAFETY: the block is this test's, and has room for that much.
        unsafe { start.as_ptr().add(size - 1).write(7) };
        everything();
        // SAFETY: as above.
        assert_eq!(unsafe { start.as_ptr().add(size - 1).read() }, 7);
        let segment = map::find(UserPtr::new(start.as_ptr())).unwrap();
        assert_eq!(free_single(segment, segment.first_page().unwrap()), Ok(()));
        everything();
    }
}
