//! Huge blocks: a mapping of its own for each, and what only such a block can do: move, shrink, be unmapped.
//!
//! ```text
//!  |X|<- size ->|X|          starts at a segment's border, and marks every segment that it covers in the map
//!
//!  growing:  old |X|aaaa|X|          new |X|aaaa....|X|
//!                 --------- pages -------->
//!            old |X|    |X|          empty and inaccessible: it waits in the quarantine as if it had been freed
//! ```

use super::single::{self, Single, SingleShape};
use super::space::{self, Locked, lock};
use super::{Segment, Singles, committed, map, peak, purge};
use crate::geometry::{Granule, SEGMENT, SEGMENT_SHIFT, SLICES};
use crate::os::{self, Errno, Span};
use crate::page::{Contents, Page};
use crate::remote::{NotLive, Owner};
use crate::sync::Relaxed;
use core::ptr::NonNull;

/// A new mapping that the map does not name yet: if there is to be no block in it, giving it back is all there is to do.
struct Mapping {
    whole: Span,
    /// The block's memory.
    inner: Span,
}

impl Mapping {
    /// Reserves it, and makes sure that the map can name it.
    fn reserve(shape: &SingleShape, locked: &Locked) -> Result<Mapping, Errno> {
        space::covered(locked)?;
        let whole = os::reserve(shape.total.next_multiple_of(os::page_size()), shape.align, None)?;
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
        segment.set_heads(slice, 1);
        let page = single::bear(segment, slice, 1, shape, inner.start())?;
        Singles::link(list, page, locked);
        Ok(Single { start: inner.start(), contents: Contents::Zero })
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
    let segment = space::take_description(locked)?;
    let made = make(segment);
    if made.is_err() {
        segment.unmap_huge(locked);
    }
    made
}

/// Moves what a huge block holds to a new and larger one of `list`, without copying, and frees the old one. None: the block cannot
/// move, and is as it was.
///
/// # Errors
/// [`NotLive`] if another thread has freed the block meanwhile.
pub(crate) fn grow(
    segment: &'static Segment,
    page: &'static Page,
    shape: &SingleShape,
    list: Option<&'static Singles>,
) -> Result<Option<NonNull<u8>>, NotLive> {
    if shape.is_shared() || shape.size < page.face.block_size() || segment.huge_span().is_none() {
        return Ok(None);
    }
    let locked = lock();
    // Whoever has freed it closes it under the lock: as long as the page is there, so is the memory.
    if page.face.owner.load() != Owner::Single {
        return Err(NotLive);
    }
    let Some(old) = segment.huge_block(page) else { return Ok(None) };
    let Ok(new) = with_description(&locked, |description| {
        let mapping = Mapping::reserve(shape, &locked)?;
        // SAFETY: both are ours, the old block is open, and its one user has lent it to us.
        if let Err(error) = unsafe { os::move_pages(old, mapping.inner) } {
            mapping.release_guards();
            return Err(error);
        }
        committed::moved(segment.committed.swap(0, Relaxed), &locked);
        mapping.settle(description, shape, list, &locked)
    }) else {
        return Ok(None);
    };
    single::claim(segment, page)?;
    single::give_up(segment, page, &locked);
    drop(locked);
    peak::look_if_due();
    purge::tick();
    Ok(Some(new.start))
}

/// Changes the size of a block in place, if its mapping or its slices allow it: a tail is given back, never taken.
/// True if the block has `size` bytes now.
pub(crate) fn shrink(segment: &'static Segment, page: &'static Page, shape: &SingleShape) -> bool {
    let old = page.face.block_size();
    if shape.size >= old || segment.huge_span().is_none() {
        return false;
    }
    let locked = lock();
    // Another thread may have freed the block meanwhile, and its description may serve another.
    if page.face.owner.load() != Owner::Single || page.face.block_size() != old {
        return false;
    }
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

impl Segment {
    /// The block's memory, if the segment is a huge one.
    pub(super) fn huge_block(&self, page: &Page) -> Option<Span> {
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
