//! Huge blocks: a mapping of its own for each, and what only such a block can do: move, shrink, be unmapped.
//!
//! ```text
//!  |X|<- size ->|X|          starts at a segment's border, and marks every segment that it covers in the map
//!
//!  growing:  old |X|aaaa|X|          new |X|aaaa....|X|
//!                 --------- pages -------->
//!            old |X|    |X|          empty and inaccessible: it waits in the quarantine as if it had been freed
//! ```

use super::broad;
use super::ranges::State;
use super::single::{self, Single, SingleShape};
use super::space::{self, Locked, lock};
use super::{Role, Segment, Singles, committed, map, peak, purge};
use crate::geometry::{Granule, SEGMENT, SEGMENT_SHIFT};
use crate::os::{self, Errno, Span};
use crate::page::{Contents, Page};
use crate::remote::{NotLive, Owner};
use crate::sync::Relaxed;
use core::ptr::NonNull;

/// Address space beyond what a block needs, at most.
const MOST_SPARE: usize = 1 << 30;

/// A new mapping that the map does not name yet: if there is to be no block in it, giving it back is all there is to do.
struct Mapping {
    /// With the guards, and with room to grow.
    whole: Span,
    /// The block's memory.
    inner: Span,
}

/// How much address space a mapping for this shape takes: about twice the block, so that it can grow, and serve blocks of other
/// sizes after it; no more than needed where address space is limited.
fn slot(shape: &SingleShape) -> usize {
    if os::address_space_limit().is_some() {
        return shape.total.next_multiple_of(os::page_size());
    }
    let spare = shape.total.min(MOST_SPARE);
    shape.total.wrapping_add(spare).next_multiple_of(SEGMENT)
}

impl Mapping {
    /// Reserves it, and makes sure that the map can name it.
    fn reserve(shape: &SingleShape, locked: &Locked) -> Result<Mapping, Errno> {
        space::covered(locked)?;
        let whole = os::reserve(slot(shape), shape.align, None)
            .or_else(|_| os::reserve(shape.total.next_multiple_of(os::page_size()), shape.align, None))?;
        let entered = map::set(whole.address() >> SEGMENT_SHIFT, whole.len().div_ceil(SEGMENT), None, locked);
        match (entered, whole.part(shape.front, shape.size)) {
            (Ok(()), Some(inner)) => Ok(Mapping { whole, inner }),
            (entered, _) => {
                // SAFETY: nobody else knows of it yet.
                unsafe { os::release(whole) };
                Err(entered.err().unwrap_or(Errno::NOMEM))
            }
        }
    }

    /// The memory of the block was opened: makes the block.
    fn settle(
        self,
        segment: &'static Segment,
        shape: &SingleShape,
        list: Option<&'static Singles>,
        locked: &Locked,
    ) -> Result<Single, Errno> {
        let Mapping { whole, inner } = self;
        // All of it, so that it stays one map when the block grows.
        broad::want(Some(whole).filter(|_| broad::is_worth_it(inner.len())));
        segment.zone.store(Singles::home_of(list).zone() as u8, Relaxed);
        segment.span_base.store(whole.start().as_ptr(), Relaxed);
        segment.span_len.store(whole.len(), Relaxed);
        space::add_huge_bytes(whole.len());
        segment.committed.store(inner.len(), Relaxed);
        committed::rise(inner.len(), locked);
        let number = whole.address() >> SEGMENT_SHIFT;
        map::set(number, whole.len().div_ceil(SEGMENT), Some(space::covered(locked)?), locked)?;
        map::set(inner.address() >> SEGMENT_SHIFT, 1, Some(segment), locked)?;
        let base = inner.start().as_ptr().wrapping_byte_sub(inner.address() % SEGMENT);
        segment.base.store(base, Relaxed);
        let slice = Granule::of(inner.address()).slice();
        // And the slice behind it, where a pointer with a lead may lie.
        segment.set_heads(slice, 2);
        let page = single::bear(segment, slice, 1, shape, inner.start())?;
        Singles::link(list, page, locked);
        Ok(Single { start: inner.start(), size: inner.len(), contents: Contents::Zero })
    }

    /// Gives all of it back but the block's memory, which is not ours any more.
    fn release_guards(self) {
        let back = self.inner.address().wrapping_sub(self.whole.address()).wrapping_add(self.inner.len());
        let front = self.whole.part(0, back.wrapping_sub(self.inner.len()));
        let behind = self.whole.part(back, self.whole.len().wrapping_sub(back));
        for guard in [front, behind].into_iter().flatten() {
            // SAFETY: reserved by us and never anything else; nobody else knows of it.
            unsafe { os::release(guard) };
        }
    }
}

/// Makes a huge block.
pub(super) fn allocate(shape: &SingleShape, list: Option<&'static Singles>, locked: &Locked) -> Result<Single, Errno> {
    with_description(locked, |segment| {
        let mapping = Mapping::reserve(shape, locked)?;
        // SAFETY: just reserved, and nobody else's.
        if let Err(error) = unsafe { os::open(mapping.inner) } {
            // SAFETY: nobody else knows of it yet.
            unsafe { os::release(mapping.whole) };
            return Err(error);
        }
        mapping.settle(segment, shape, list, locked)
    })
}

/// A description goes back to the stock if it comes to nothing.
fn with_description(
    locked: &Locked,
    make: impl FnOnce(&'static Segment) -> Result<Single, Errno>,
) -> Result<Single, Errno> {
    let segment = space::take_huge_description(locked)?;
    let made = make(segment);
    if made.is_err() {
        segment.unmap_huge(locked);
    }
    made
}

/// Moves what a block with a page of its own holds to a new and huge one of `list`, without copying, and frees the old one. None: the block
/// cannot move, and is as it was.
///
/// # Errors
/// [`NotLive`] if another thread has freed the block meanwhile.
pub(crate) fn grow(
    segment: &'static Segment,
    page: &'static Page,
    shape: &SingleShape,
    list: Option<&'static Singles>,
) -> Result<Option<NonNull<u8>>, NotLive> {
    let may_move = !segment.is_brought() && Singles::home_of(list).is_anywhere();
    if !may_move || shape.is_shared() || shape.size < page.face.block_size() {
        return Ok(None);
    }
    let locked = lock();
    if page.face.owner.load() != Owner::Single {
        return Err(NotLive);
    }
    let Some(old) = segment.block(page) else { return Ok(None) };
    let Ok(new) = with_description(&locked, |description| {
        let mapping = Mapping::reserve(shape, &locked)?;
        // SAFETY: both are ours, the old block is open, and its one user has lent it to us.
        if let Err(error) = unsafe { os::move_pages(old, mapping.inner) } {
            mapping.release_guards();
            return Err(error);
        }
        segment.moved_out(page, &locked);
        mapping.settle(description, shape, list, &locked)
    }) else {
        return Ok(None);
    };
    single::claim(segment, page)?;
    let mut range = single::hide(segment, page);
    if range.holds_memory() {
        range.state = State::Empty;
    }
    single::give_up(page, range, &locked);
    drop(locked);
    peak::look_if_due();
    purge::tick();
    Ok(Some(new.start))
}

impl Segment {
    /// Whether the block's memory counts as committed.
    pub(super) fn holds_memory(&self) -> bool {
        self.committed.load(Relaxed) != 0
    }

    /// The one block of a huge segment has `bytes` of memory from now on. Nothing, if the segment is none.
    pub(super) fn recommit_huge(&self, bytes: usize, locked: &Locked) {
        if self.role() != Role::Huge {
            return;
        }
        let held = self.committed.load(Relaxed);
        if bytes < held {
            return self.uncommit_huge(held.wrapping_sub(bytes), locked);
        }
        self.committed.store(bytes, Relaxed);
        committed::rise(bytes.wrapping_sub(held), locked);
    }

    /// The pages of this block are another's now.
    fn moved_out(&self, page: &Page, locked: &Locked) {
        let bytes = match self.role() {
            Role::Huge => self.committed.swap(0, Relaxed),
            _ => self.moved_slices(page.face.first_slice(), page.face.slices()),
        };
        committed::moved(bytes, locked);
    }

    /// The kernel has taken up to `bytes` of the block's memory back.
    pub(super) fn uncommit_huge(&self, bytes: usize, locked: &Locked) {
        let held = self.committed.load(Relaxed);
        let bytes = bytes.min(held);
        self.committed.store(held.wrapping_sub(bytes), Relaxed);
        committed::fall(bytes, locked);
    }

    /// Gives the mapping of a huge block back, and its description to the stock.
    pub(super) fn unmap_huge(&'static self, locked: &Locked) {
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
