//! Broad memory: what the kernel is asked to back with huge pages (two MiB on most machines).
//!
//! The first touch of an OS page costs a microsecond or two, that of a huge page little more than its zeros: 2 MiB touched
//! throughout cost 1,000 us in pages of 4 KiB, and 50 us in one. Changes of protection cost as much less, and so do the
//! processor's look-ups of addresses.
//!
//! What it may cost is memory that is never touched. So only what is used densely is broad: large blocks, each of which is mostly
//! used as a whole, and windows of a heap that is large and has made blocks of most of what its pages have. (A server with
//! many threads and pages of many classes, each begun and none filled, had 30 % more memory else.) And it costs guards, which are
//! marks in tables that a huge page does not have: slices of a broad window that were never in use are accessible, and the build
//! with guards behind all pages has no broad windows.

use super::budget::BORDERS;
use super::slices::WINDOW;
use super::{Role, Segment, committed, space};
use crate::geometry::{LARGE_MAX, SLICE};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os::{self, Span};
use crate::page::Kind;
use crate::sync::Relaxed;

/// Committed bytes from which on a heap is large.
const LARGE_HEAP: usize = 16 << 20;

/// Whether windows that are opened now in this segment are to be broad.
fn is_time(segment: &'static Segment) -> bool {
    !MITIGATIONS.page_guards && committed::now() >= LARGE_HEAP && is_filled(segment)
}

/// Whether most of the memory that pages have in this segment, or in one that is older if this has few, is that of blocks.
fn is_filled(segment: &'static Segment) -> bool {
    let has_many = |segment: &&'static Segment| segment.role() == Role::Shared && segment.used.len() > 2 * WINDOW;
    let Some(segment) = [segment].into_iter().chain(space::segments()).find(has_many) else { return false };
    let pages = segment.pages().filter(|page| matches!(page.face.kind(), Kind::Blocks(_)));
    let (made, room) = pages.fold((0_usize, 0_usize), |(made, room), page| {
        let blocks = (page.capacity() as usize).wrapping_mul(page.face.block_size());
        (made.wrapping_add(blocks), room.wrapping_add(page.face.slices().wrapping_mul(SLICE)))
    });
    room != 0 && made >= room / 4 * 3
}

/// Whether a block of `size` bytes has room for a huge page.
pub(super) fn is_worth_it(size: usize) -> bool {
    size >= WINDOW.wrapping_mul(SLICE)
}

/// The guard in front of such a block, that makes it begin with a huge page: the slice before a window or, in a mapping of its own, all
/// of the window that the mapping begins with. None for smaller blocks.
pub(super) fn front(size: usize) -> Option<usize> {
    let front = if size <= LARGE_MAX { SLICE } else { WINDOW.wrapping_mul(SLICE) };
    is_worth_it(size).then_some(front)
}

/// Asks the kernel for huge pages there. False: there will be none.
pub(super) fn want(span: Option<Span>) -> bool {
    if options::get(Setting::HugePages) == 0 {
        return false;
    }
    // SAFETY: the callers bring memory of our own.
    span.is_some_and(|span| unsafe { os::want_huge_pages(span) }.is_ok())
}

impl Segment {
    /// Asks the kernel for huge pages in windows that are about to be opened. False: there is no reason for it, or it refuses.
    pub(super) fn broaden(&'static self, first: usize, count: usize) -> bool {
        is_time(self) && self.may_split() && !self.is_brought() && self.set_broad(first, count, self.span(first, count))
    }

    /// Asks the kernel for huge pages in `span`, which lies in these slices. It is a map of its own from then on.
    pub(super) fn set_broad(&self, first: usize, count: usize, span: Option<Span>) -> bool {
        if !want(span) {
            return false;
        }
        let before = self.broad.borders(first, count);
        self.broad.add(first, count);
        BORDERS.fetch_add(self.broad.borders(first, count).wrapping_sub(before), Relaxed);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Home, Run, SingleShape, allocate_single, bear, claim};
    use super::*;
    use crate::entropy::Rng;
    use crate::geometry::Class;
    use crate::remote::Mailbox;
    use crate::sync::MODELS_ONLY;
    use crate::testing::alone;
    use core::ptr;
    use std::boxed::Box;
    use std::vec::Vec;

    /// How much of a page's blocks are made.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Use {
        All,
        Some,
    }

    /// Makes pages until the heap is large, and as many again.
    fn grow(usage: Use) -> Vec<Run> {
        // Pages outlive this.
        let me = ptr::from_mut(Box::leak(Box::new(Mailbox::new())));
        let (rng, class) = (Rng::new(), Class::of(1024).expect("a class"));
        let make = |_| {
            let run = claim(Home::ANY, 1).expect("memory");
            let (page, owned) = bear(&run, class, me, &rng).expect("a page");
            let owned = owned.expect("nothing was freed late");
            while page.extend(&owned, &rng).expect("nothing was written") && usage == Use::All {}
            run
        };
        (0..2 * LARGE_HEAP / SLICE).map(make).collect()
    }

    fn is_broad(run: &Run) -> bool {
        run.segment.broad.has(run.first)
    }

    #[test]
    #[cfg(all(ravelin_mock, not(miri)))]
    fn it_needs_no_guards_that_are_marks() {
        alone("segment::broad::tests::it_needs_no_guards_that_are_marks", || {
            os::mock::set_guards(false);
            windows_become_broad();
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes a quarter of an hour")]
    fn windows_are_broad_from_when_the_heap_is_large() {
        alone("segment::broad::tests::windows_are_broad_from_when_the_heap_is_large", windows_become_broad);
    }

    fn windows_become_broad() {
        let runs = grow(Use::All);
        let (small, large) = runs.split_at(runs.len() / 2);
        assert!(!small.iter().any(is_broad));
        // The window that was begun is gone on with.
        let broad = large.iter().filter(|run| is_broad(run)).count();
        let expected = if MITIGATIONS.page_guards { 0 } else { large.len() - WINDOW };
        assert!(broad >= expected && (expected != 0 || broad == 0), "{broad} of {expected}");
        for run in large.iter().filter(|run| is_broad(run)) {
            let place = run.segment.span(run.first, 1).expect("a slice").start().as_ptr();
            // `None` where the kernel keeps no such list.
            assert_ne!(os::testing::has_map_flag(place, "hg"), Some(false));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes a quarter of an hour")]
    fn no_window_is_broad_against_the_option() {
        alone("segment::broad::tests::no_window_is_broad_against_the_option", || {
            options::set(Setting::HugePages, 0);
            assert!(!grow(Use::All).iter().any(is_broad));
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes a quarter of an hour")]
    fn no_window_is_broad_if_pages_are_hardly_used() {
        alone("segment::broad::tests::no_window_is_broad_if_pages_are_hardly_used", || {
            assert!(!grow(Use::Some).iter().any(is_broad));
        });
    }

    #[test]
    fn a_block_of_a_windows_size_begins_with_a_window() {
        if MODELS_ONLY {
            return;
        }
        alone("segment::broad::tests::a_block_of_a_windows_size_begins_with_a_window", || {
            let window = WINDOW * SLICE;
            for size in [window, window + 1, 3 * window, 20 << 20, 50 << 20] {
                let shape = SingleShape::of(size, 16).expect("a shape");
                let block = allocate_single(&shape, size, None).expect("memory");
                let place = block.start.as_ptr();
                assert!(place.addr().is_multiple_of(window), "{size} at {place:?}");
                assert_ne!(os::testing::has_map_flag(place, "hg"), Some(false), "{size}");
            }
        });
    }
}
