//! Segments without a block, where address space is limited.
//!
//! Address space costs nothing where there is no limit, and a segment keeps its own for its next pages. Under a limit the program
//! may need it for something else: for a huge block, a thread's stack, a file. Then a purge that finds a segment without a block and
//! without memory unmaps it. Its description stays, as all metadata, and waits in the stock for the next segment or huge block.

use super::space::{self, Locked};
use super::{Role, Segment, arena, map};
use crate::geometry::{SEGMENT_SHIFT, SLICES};
use crate::os;
use crate::sync::Relaxed;
use core::ptr::{self, NonNull};

/// What lies without use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Segments that were in use.
    Segments,
    /// And what is reserved for more.
    All,
}

/// Under a limit of address space, gives back what lies without use.
pub(super) fn give_back(which: Which) {
    if os::address_space_limit().is_none() {
        return;
    }
    for segment in space::segments().filter(|segment| segment.is_vacant()) {
        let locked = space::lock();
        if segment.is_vacant() {
            segment.unmap(&locked);
        }
    }
    if which == Which::All {
        arena::unmap_rest(&space::lock());
    }
}

impl Segment {
    /// Whether no slice is in use, holds memory, or is anybody's but ours.
    fn is_vacant(&self) -> bool {
        /// The first slice and the last are never given away.
        const EDGES: usize = 2;
        let is_ours = !self.is_brought() && self.area() == 0 && self.traces.load(Relaxed).is_null();
        self.role() == Role::Shared && is_ours && self.used.len() == EDGES && self.zero.has_all(0, SLICES)
    }

    /// Gives the memory of a vacant one back, and its description to the stock.
    fn unmap(&'static self, locked: &Locked) {
        let Some(base) = NonNull::new(self.base()) else { return };
        if map::set(base.addr().get() >> SEGMENT_SHIFT, 1, None, locked).is_err() {
            return;
        }
        space::leave_room(self, locked);
        self.forget_protections();
        for set in [&self.used, &self.zero, &self.dirty, &self.aged, &self.abandoned] {
            set.clear();
        }
        self.due.store(0, Relaxed);
        self.base.store(ptr::null_mut(), Relaxed);
        space::give_description(self, locked);
        arena::unmap(base, locked);
    }
}

#[cfg(all(test, not(any(miri, ravelin_mock, ravelin_loom))))]
mod tests {
    use super::super::{Home, Run, claim, purge_all, reserved, segments};
    use super::*;
    use crate::options::{self, Setting};
    use crate::segment::{purge_due, space::release};
    use crate::testing::alone;
    use std::vec::Vec;

    /// Fills so many segments, and frees all of them.
    fn fill_and_empty(count: usize) {
        let runs: Vec<Run> = (0..count * (SLICES - 2) / 2).map(|_| claim(Home::ANY, 2).expect("memory")).collect();
        runs.iter().for_each(release);
    }

    fn limit_address_space() {
        let limit = libc::rlimit { rlim_cur: 8 << 30, rlim_max: 8 << 30 };
        // SAFETY: limits this process.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    }

    #[test]
    fn under_a_limit_of_address_space_vacant_segments_are_unmapped_and_their_descriptions_used_again() {
        let test = "segment::vacant::tests::under_a_limit_of_address_space_vacant_segments_are_unmapped_and_their_descriptions_used_again";
        alone(test, || {
            limit_address_space();
            for _ in 0..3 {
                fill_and_empty(3);
                assert_ne!(reserved(), 0);
                purge_all();
                assert_eq!(reserved(), 0, "all is given back");
                // One or two more than that, for runs do not always fit.
                assert!(segments().count() < 6);
            }
        });
    }

    #[test]
    fn a_segment_in_use_stays_and_those_that_wait_for_the_purge() {
        alone("segment::vacant::tests::a_segment_in_use_stays_and_those_that_wait_for_the_purge", || {
            limit_address_space();
            options::set(Setting::PurgeDelay, 1);
            let kept = claim(Home::ANY, 1).expect("memory");
            fill_and_empty(2);
            let vacant = || segments().filter(|segment| segment.role() == Role::Covered).count();
            assert_eq!(vacant(), 0);
            while vacant() == 0 {
                std::thread::sleep(core::time::Duration::from_millis(2));
                purge_due();
            }
            let start = kept.segment.span(kept.first, 1).expect("a slice").start().as_ptr();
            // SAFETY: a slice that is this test's.
            unsafe { start.write_volatile(1) };
            release(&kept);
        });
    }

    #[test]
    fn without_a_limit_segments_stay() {
        alone("segment::vacant::tests::without_a_limit_segments_stay", || {
            fill_and_empty(1);
            let before = reserved();
            purge_all();
            assert_eq!(reserved(), before);
        });
    }
}
