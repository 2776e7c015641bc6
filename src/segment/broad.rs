//! Broad memory: what the kernel is asked to back with huge pages (two MiB on most machines).
//!
//! The first touch of an OS page costs a microsecond or two, that of a huge page little more than its zeros: 2 MiB touched
//! throughout cost 1,000 us in pages of 4 KiB, and 50 us in one. Changes of protection cost as much less, and so do the
//! processor's look-ups of addresses.
//!
//! What it may cost is memory that is never touched. So only what is used densely is broad: windows of a heap that is large
//! already, which is filled window by window, and large blocks, each of which is mostly used as a whole. And it costs guards, which
//! are marks in tables that a huge page does not have: slices of a broad window that were never in use are accessible,
//! and the build with guards behind all pages has no broad windows.

use super::committed;
use super::slices::WINDOW;
use crate::geometry::{LARGE_MAX, SLICE};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os::{self, Span};

/// Committed bytes from which on a heap is large.
const LARGE_HEAP: usize = 8 << 20;

/// Whether windows that are opened now are to be broad.
pub(super) fn is_time() -> bool {
    !MITIGATIONS.page_guards && committed::now() >= LARGE_HEAP
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

#[cfg(test)]
mod tests {
    use super::super::{Home, Run, SingleShape, allocate_single, claim};
    use super::*;
    use crate::sync::MODELS_ONLY;
    use crate::testing::alone;
    use std::vec::Vec;

    /// Claims pages until the heap is large, and as much again.
    fn grow() -> Vec<Run> {
        (0..2 * LARGE_HEAP / SLICE).map(|_| claim(Home::ANY, 1).expect("memory")).collect()
    }

    fn is_broad(run: &Run) -> bool {
        run.segment.broad.has(run.first)
    }

    #[test]
    fn windows_are_broad_from_when_the_heap_is_large() {
        alone("segment::broad::tests::windows_are_broad_from_when_the_heap_is_large", || {
            let runs = grow();
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
        });
    }

    #[test]
    fn no_window_is_broad_against_the_option() {
        alone("segment::broad::tests::no_window_is_broad_against_the_option", || {
            options::set(Setting::HugePages, 0);
            assert!(!grow().iter().any(is_broad));
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
