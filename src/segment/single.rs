//! Large and huge blocks: a page of one block, with an inaccessible OS page on both sides.
//!
//! ```text
//!  slices of a shared segment (up to 16 MiB)              a mapping of its own (above, or for wide alignment)
//! |X|<- size, in OS pages ->|XXXX|                       |X|<- size ->|X|   starts at a segment's border,
//!  ^ front: a guard, as wide as the alignment                               and marks every segment it covers
//! ```
//!
//! Nobody owns such a page. Whoever frees the block claims it with one compare-and-swap of the owner word, so the loser of
//! a race is a double free; the range becomes inaccessible then and there, and waits in the [`super::quarantine`].

use super::space::{self, Locked, Run, lock};
use super::{Segment, committed, map, peak, purge, quarantine};
use crate::geometry::{Granule, LARGE_MAX, SEGMENT, SEGMENT_SHIFT, SLICE, SLICES};
use crate::mitigations::MITIGATIONS;
use crate::os::{self, Errno, Span};
use crate::page::{Contents, Extent, Page, least_of_single};
use crate::remote::NotLive;
use crate::sync::{AcqRel, Relaxed};
use core::ptr::NonNull;

/// Measures of a page of one block, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SingleShape {
    /// From the start of the run or mapping to the block.
    front: usize,
    /// What the block has room for: whole OS pages.
    pub(crate) size: usize,
    /// The whole, with the guard behind.
    total: usize,
    /// How the start of the run or mapping is aligned.
    align: usize,
}

/// A block that was just made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single {
    pub(crate) start: NonNull<u8>,
    pub(crate) contents: Contents,
}

impl SingleShape {
    /// For `size` bytes aligned to `align`, a power of two; none if that is more than an address space can hold.
    pub(crate) fn of(size: usize, align: usize) -> Option<SingleShape> {
        let page = os::page_size();
        let most = isize::MAX as usize;
        if size > most || align > most {
            return None;
        }
        let size = size.max(1).checked_next_multiple_of(page)?;
        let front = align.max(page);
        let total = front.checked_add(size)?.checked_add(page)?;
        if total > most {
            return None;
        }
        Some(SingleShape { front, size, total, align: align.max(SEGMENT) })
    }

    fn slices(&self) -> usize {
        self.total.div_ceil(SLICE)
    }

    /// Whether it shares a segment with others.
    fn is_shared(&self) -> bool {
        self.front <= SLICE && self.size <= LARGE_MAX
    }

    /// The smallest size that a Layout aligned to a granule can have for this block; none if that says too little.
    fn least(&self) -> Option<usize> {
        let least = least_of_single(self.size);
        (least > crate::geometry::MEDIUM_MAX && self.front <= SLICE).then_some(least)
    }
}

/// Makes a page with one block.
pub(crate) fn allocate(shape: &SingleShape) -> Result<Single, Errno> {
    let locked = lock();
    let single = if shape.is_shared() { allocate_shared(shape, &locked) } else { allocate_huge(shape, &locked) };
    drop(locked);
    peak::look_if_due();
    single
}

fn allocate_shared(shape: &SingleShape, locked: &Locked) -> Result<Single, Errno> {
    let open = |run: &Run| run.segment.open_part(run.first, run.count, shape.front, shape.size, locked);
    let run = space::take(shape.slices(), open, locked)?;
    let segment = run.segment;
    let span = segment.span(run.first, run.count).ok_or(Errno::NOMEM)?;
    let start = span.part(shape.front, shape.size).ok_or(Errno::NOMEM)?.start();
    segment.set_heads(run.first, run.count);
    bear(segment, run.first, run.count, shape, start)?;
    Ok(Single { start, contents: run.contents })
}

fn allocate_huge(shape: &SingleShape, locked: &Locked) -> Result<Single, Errno> {
    let page = os::page_size();
    let total = shape.total.next_multiple_of(page);
    let segment = space::take_description(locked)?;
    let made = map_huge(segment, shape, total, locked);
    if made.is_err() {
        segment.unmap_huge(locked);
    }
    made
}

fn map_huge(segment: &'static Segment, shape: &SingleShape, total: usize, locked: &Locked) -> Result<Single, Errno> {
    let span = os::reserve(total, shape.align, None)?;
    segment.span_base.store(span.start().as_ptr(), Relaxed);
    segment.span_len.store(total, Relaxed);
    space::add_huge_bytes(total);
    let inner = span.part(shape.front, shape.size).ok_or(Errno::NOMEM)?;
    // SAFETY: just reserved, and nobody else's.
    unsafe { os::open(inner) }?;
    segment.committed.store(inner.len(), Relaxed);
    committed::rise(inner.len(), locked);
    let number = span.address() >> SEGMENT_SHIFT;
    let covered = space::covered(locked)?;
    map::set(number, total.div_ceil(SEGMENT), Some(covered), locked)?;
    map::set(inner.address() >> SEGMENT_SHIFT, 1, Some(segment), locked)?;
    let base = inner.start().as_ptr().wrapping_byte_sub(inner.address() % SEGMENT);
    segment.base.store(base, Relaxed);
    let slice = Granule::of(inner.address()).slice();
    segment.set_heads(slice, 1);
    bear(segment, slice, 1, shape, inner.start())?;
    Ok(Single { start: inner.start(), contents: Contents::Zero })
}

fn bear(
    segment: &'static Segment,
    first: usize,
    slices: usize,
    shape: &SingleShape,
    start: NonNull<u8>,
) -> Result<(), Errno> {
    let page = segment.page_at(first).ok_or(Errno::NOMEM)?;
    let extent = Extent { first_slice: first, slices, segment_number: segment.number(), start };
    page.bear_single(&segment.tables, shape.size, shape.least(), &extent);
    if MITIGATIONS.free_checks {
        let spot = segment.tables.spot(Granule::of(start.addr().get()));
        spot.state.fetch_or(spot.mask(), AcqRel);
    }
    Ok(())
}

/// Frees the block of a page of one.
///
/// # Errors
/// [`NotLive`] if another thread was faster: a double free.
pub(crate) fn free(segment: &'static Segment, page: &'static Page) -> Result<(), NotLive> {
    page.face.owner.claim_single()?;
    if MITIGATIONS.free_checks {
        let spot = segment.tables.spot(Granule::of(page.face.start().addr()));
        spot.state.fetch_and(!spot.mask(), AcqRel);
    }
    let locked = lock();
    segment.close_single(page, &locked);
    let run = Run { segment, first: page.face.first_slice(), count: page.face.slices(), contents: Contents::Unknown };
    purge::schedule(segment, &locked);
    quarantine::enter(run, &locked);
    drop(locked);
    purge::tick();
    Ok(())
}

impl Segment {
    fn close_single(&self, page: &Page, locked: &Locked) {
        match self.huge_block(page) {
            Some(inner) => {
                self.dirty.add(page.face.first_slice(), 1);
                // SAFETY: the block was freed.
                let _ = unsafe { os::close(inner) };
            }
            None => {
                let (first, slices) = (page.face.first_slice(), page.face.slices());
                self.dirty.add(first, slices);
                self.close_part(first, slices, locked);
            }
        }
    }

    /// The block's memory, if the segment is a huge one.
    fn huge_block(&self, page: &Page) -> Option<Span> {
        let whole = self.huge_span()?;
        let offset = page.face.start().addr().wrapping_sub(whole.address());
        whole.part(offset, page.face.block_size())
    }

    /// Gives the memory of a freed huge block back; its addresses stay inaccessible. Nothing if the block is live, or was
    /// freed since the last purge came by and not all is wanted.
    pub(super) fn purge_huge(&'static self, all: bool, locked: &Locked) {
        if self.first_page().is_some() || !(all || self.aged.has_any(0, SLICES)) {
            return;
        }
        if let Some(whole) = self.huge_span() {
            // SAFETY: the mapping's one block was freed, and under the lock none is born.
            if unsafe { os::purge(whole) }.is_ok() {
                self.set_clean(0, SLICES);
                self.uncommit_huge(usize::MAX, locked);
            }
        }
    }

    /// The kernel has taken up to `bytes` of the block's memory back.
    fn uncommit_huge(&self, bytes: usize, locked: &Locked) {
        let held = self.committed.load(Relaxed);
        let bytes = bytes.min(held);
        self.committed.store(held.wrapping_sub(bytes), Relaxed);
        committed::fall(bytes, locked);
    }

    /// Gives the mapping of a huge block back, and its description to the stock.
    pub(super) fn unmap_huge(&'static self, locked: &Locked) {
        self.due.store(0, Relaxed);
        self.set_clean(0, SLICES);
        if let Some(span) = self.huge_span() {
            let _ = map::set(span.address() >> SEGMENT_SHIFT, span.len().div_ceil(SEGMENT), None, locked);
            // SAFETY: the block was freed, and the mapping has left the quarantine.
            unsafe { os::release(span) };
            self.uncommit_huge(usize::MAX, locked);
            space::remove_huge_bytes(span.len());
        }
        space::give_description(self, locked);
    }
}

/// Changes the size of a block in place, if its mapping or its slices allow it: a tail is given back, never taken.
/// True if the block has `size` bytes now.
pub(crate) fn shrink(segment: &'static Segment, page: &'static Page, shape: &SingleShape) -> bool {
    let old = page.face.block_size();
    if shape.size >= old || segment.huge_span().is_none() {
        return false;
    }
    let locked = lock();
    let Some(tail) = segment.huge_block(page).and_then(|inner| inner.part(shape.size, old.wrapping_sub(shape.size)))
    else {
        return false;
    };
    // SAFETY: the tail of a block whose owner shrinks it.
    if unsafe { os::purge(tail) }.is_err() {
        return false;
    }
    // SAFETY: as above.
    let _ = unsafe { os::close(tail) };
    segment.uncommit_huge(tail.len(), &locked);
    page.face.set_single_size(shape.size, shape.least());
    true
}
