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

use super::area::Home;
use super::arena::Nature;
use super::space::{self, Locked, Run, lock};
use super::{Segment, Singles, huge, peak, purge, quarantine};
use crate::geometry::{Granule, LARGE_MAX, SEGMENT, SLICE};
use crate::mitigations::MITIGATIONS;
use crate::os::{self, Errno};
use crate::page::{Contents, Extent, Page, least_of_single};
use crate::remote::NotLive;
use crate::sync::AcqRel;
use core::ptr::NonNull;

/// Measures of a page of one block, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SingleShape {
    /// From the start of the run or mapping to the block.
    pub(super) front: usize,
    /// What the block has room for: whole OS pages.
    pub(crate) size: usize,
    /// The whole, with the guard behind.
    pub(super) total: usize,
    /// How the start of the run or mapping is aligned.
    pub(super) align: usize,
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
    pub(super) fn is_shared(&self) -> bool {
        self.front <= SLICE && self.size <= LARGE_MAX
    }

    /// The smallest size that a Layout aligned to a granule can have for this block; none if that says too little.
    pub(super) fn least(&self) -> Option<usize> {
        let least = least_of_single(self.size);
        (least > crate::geometry::MEDIUM_MAX && self.front <= SLICE).then_some(least)
    }
}

/// Makes a page with one block, for a heap's list if it has a heap, of the memory where that lives.
pub(crate) fn allocate(shape: &SingleShape, list: Option<&'static Singles>, home: Home) -> Result<Single, Errno> {
    let locked = lock();
    let single = match shape.is_shared() {
        true => allocate_shared(shape, list, home, &locked),
        false if home == Home::ANY => huge::allocate(shape, list, &locked),
        // An arena has no room for a mapping of its own.
        false => Err(Errno::NOMEM),
    };
    drop(locked);
    peak::look_if_due();
    single
}

fn allocate_shared(
    shape: &SingleShape,
    list: Option<&'static Singles>,
    home: Home,
    locked: &Locked,
) -> Result<Single, Errno> {
    let open = |run: &Run| run.segment.open_part(run.first, run.count, shape.front, shape.size, locked);
    let run = space::take(home, shape.slices(), open, locked)?;
    let segment = run.segment;
    let span = segment.span(run.first, run.count).ok_or(Errno::NOMEM)?;
    let start = span.part(shape.front, shape.size).ok_or(Errno::NOMEM)?.start();
    segment.set_heads(run.first, run.count);
    let page = bear(segment, run.first, run.count, shape, start)?;
    Singles::link(list, page, locked);
    let mut contents = run.contents;
    if MITIGATIONS.zero_on_free && contents == Contents::Unknown && !segment.nature().has(Nature::BROUGHT) {
        // The memory of a block freed a moment ago: the kernel's zeros cost less than ours where not all is written to.
        let block = span.part(shape.front, shape.size);
        // SAFETY: the new block's memory, which nobody knows of yet.
        if block.is_some_and(|block| unsafe { os::purge(block) }.is_ok()) {
            contents = Contents::Zero;
        }
    }
    Ok(Single { start, contents })
}

pub(super) fn bear(
    segment: &'static Segment,
    first: usize,
    slices: usize,
    shape: &SingleShape,
    start: NonNull<u8>,
) -> Result<&'static Page, Errno> {
    let page = segment.page_at(first).ok_or(Errno::NOMEM)?;
    let extent = Extent { first_slice: first, slices, segment_number: segment.number(), start };
    page.bear_single(&segment.tables, shape.size, shape.least(), &extent);
    if MITIGATIONS.free_checks {
        let spot = segment.tables.spot(Granule::of(start.addr().get()));
        spot.state.fetch_or(spot.mask(), AcqRel);
    }
    Ok(page)
}

/// Frees the block of a page of one.
///
/// # Errors
/// [`NotLive`] if another thread was faster: a double free.
pub(crate) fn free(segment: &'static Segment, page: &'static Page) -> Result<(), NotLive> {
    claim(segment, page)?;
    give_up(segment, page, &lock());
    purge::tick();
    Ok(())
}

/// The block is not live from now on, and the page the caller's to give up.
pub(super) fn claim(segment: &'static Segment, page: &'static Page) -> Result<(), NotLive> {
    page.face.owner.claim_single()?;
    if MITIGATIONS.free_checks {
        let spot = segment.tables.spot(Granule::of(page.face.start().addr()));
        spot.state.fetch_and(!spot.mask(), AcqRel);
    }
    Ok(())
}

/// A claimed page leaves its heap's list, becomes inaccessible, and waits.
pub(super) fn give_up(segment: &'static Segment, page: &'static Page, locked: &Locked) {
    Singles::unlink(page, locked);
    segment.close_single(page, locked);
    let run = Run { segment, first: page.face.first_slice(), count: page.face.slices(), contents: Contents::Unknown };
    purge::schedule(segment, locked);
    quarantine::enter(run, locked);
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
}
