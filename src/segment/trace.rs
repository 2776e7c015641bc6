//! What is remembered of the blocks that stand alone: who allocated and who freed them, and what lies round them. Out of line,
//! one place for each slice, kept after the free until the slices are used again.

use super::space::Locked;
use super::{Segment, meta};
use crate::geometry::SLICES;
use crate::os::Errno;
use crate::page::Page;
use crate::report::{Life, Stack};
use crate::sync::{AtomicPtr, AtomicU64, Relaxed};
use core::ptr;

/// Of one block. Valid when all its bytes are zero.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Trace {
    pub(super) allocated: Stack,
    pub(super) freed: Stack,
    /// The secret that the margins are filled with.
    pub(super) pattern: AtomicU64,
    /// The next of those that were freed and wait.
    pub(super) next: AtomicPtr<Page>,
}

impl Trace {
    pub(super) fn life(&'static self) -> Life {
        Life::of(&self.allocated, &self.freed)
    }
}

/// One for each slice of a segment; in use for the first slice of a page.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Traces([Trace; SLICES]);

// SAFETY: atomics throughout, for which zero is valid.
unsafe impl meta::Zeroed for Traces {}

/// Made for a segment that is yet to be.
static SPARE: AtomicPtr<Traces> = AtomicPtr::new(ptr::null_mut());

/// Sees to it that [`give_to`] has something to give.
pub(super) fn stock(locked: &Locked) -> Result<(), Errno> {
    if SPARE.load(Relaxed).is_null() {
        SPARE.store(ptr::from_ref(meta::allocate::<Traces>(locked)?).cast_mut(), Relaxed);
    }
    Ok(())
}

/// The new segment has traces from now on.
pub(super) fn give_to(segment: &Segment, _locked: &Locked) {
    segment.traces.store(SPARE.load(Relaxed), Relaxed);
    SPARE.store(ptr::null_mut(), Relaxed);
}

impl Segment {
    /// The trace of the page that starts at `slice`, if blocks stand alone in this segment.
    pub(super) fn trace(&self, slice: usize) -> Option<&'static Trace> {
        // SAFETY: null or metadata, which is never unmapped.
        unsafe { self.traces.load(Relaxed).as_ref() }?.0.get(slice)
    }
}
