//! The memory of a large block: where it lies, closing it when it is freed, and opening it for the next, which may have another size.
//!
//! Its guards are put on and taken off by [`access`](super::access), which has the picture.

use super::budget::guard;
use super::ranges::Access;
use super::{Role, Segment};
use crate::mitigations::MITIGATIONS;
use crate::os::{self, Errno, Span};
use crate::page::Page;

impl Segment {
    /// Whether a large block stands between guards: not so where they had to be left out.
    pub(super) fn has_guards_round(&self, page: &Page) -> bool {
        !self.bare.has(page.face.first_slice())
    }

    /// Whether the guards of this page of one block are marks in the page tables, and not the lack of a protection.
    fn is_fenced_by_marks(&self, page: &Page) -> bool {
        self.role() == Role::Shared && self.guarded.has(page.face.first_slice())
    }

    /// The run or the mapping of a page of one block, and where in it the block starts.
    pub(super) fn place_of(&self, page: &Page) -> Option<(Span, usize)> {
        let whole = match self.role() {
            Role::Huge => self.huge_span()?,
            _ => self.span(page.face.first_slice(), page.face.slices())?,
        };
        Some((whole, page.face.start().addr().wrapping_sub(whole.address())))
    }

    /// The memory of the block of this page.
    pub(super) fn block(&self, page: &Page) -> Option<Span> {
        let (whole, front) = self.place_of(page)?;
        whole.part(front, page.face.block_size())
    }

    /// Bytes that a block could have where this page's is: all but the guards.
    pub(crate) fn room(&self, page: &Page) -> usize {
        let room =
            self.place_of(page).and_then(|(whole, front)| whole.len().checked_sub(front)?.checked_sub(os::page_size()));
        room.unwrap_or(0)
    }

    /// What is closed when the block is freed.
    fn closing(&self, page: &Page) -> Option<Span> {
        let len = if self.is_fenced_by_marks(page) { self.room(page) } else { page.face.block_size() };
        let (whole, front) = self.place_of(page)?;
        whole.part(front, len)
    }

    /// Whether a freed block of this page can be made inaccessible, or left as it is, without taking its guards off.
    pub(super) fn can_keep(&self, page: &Page) -> bool {
        let first = page.face.first_slice();
        // What is brought is wiped by hand, and not later.
        !self.is_brought() && self.can_keep_ours(first)
    }

    fn can_keep_ours(&self, first: usize) -> bool {
        self.role() == Role::Huge || self.apart.has(first) || (!MITIGATIONS.free_checks && !self.bare.has(first))
    }

    /// Makes the freed block of a page that [can be kept](Self::can_keep) inaccessible, with its memory. False: it is not.
    pub(super) fn close_body(&self, page: &Page) -> bool {
        let Some(body) = self.closing(page) else { return false };
        // SAFETY: the block was freed, and is the caller's.
        unsafe { os::close(body) }.is_ok()
    }

    /// Makes a block of `size` bytes, at most as much as there is [room](Self::room), of one that was freed or is live,
    /// and is closed or open: the same start, accessible, and guarded behind its end. What it gains reads as zero.
    ///
    /// # Errors
    /// The kernel's. What the block's memory holds is then unknown, and its guards may be gone: it is to be taken apart.
    pub(super) fn refit(&self, page: &Page, size: usize, access: Access) -> Result<(), Errno> {
        let old = page.face.block_size();
        let (whole, front) = self.place_of(page).ok_or(Errno::NOMEM)?;
        let part = |start: usize, end: usize| {
            whole.part(front.wrapping_add(start), end.wrapping_sub(start)).ok_or(Errno::NOMEM)
        };
        let is_closed = access == Access::Closed;
        // What it loses has no memory any more, and what it gains may have none: to wipe that by hand would make faults.
        page.face.set_filled(page.face.filled().min(size));
        if self.is_fenced_by_marks(page) {
            if size < old {
                guard(part(size, old)?)?;
            } else if size > old {
                // SAFETY: guards of our own.
                unsafe { os::unguard(part(old, size)?) }?;
            }
            // SAFETY: the body of this block, which is the caller's.
            return if is_closed { unsafe { os::open(part(0, self.room(page))?) } } else { Ok(()) };
        }
        if size < old {
            let tail = part(size, old)?;
            if !is_closed {
                // First: it keeps what the tail holds, so a block that must stay as it was has lost nothing if this is refused.
                // SAFETY: what the block loses.
                unsafe { os::close(tail) }?;
            }
            // SAFETY: as above.
            unsafe { os::purge(tail) }?;
        }
        let opening = if is_closed { part(0, size)? } else { part(old.min(size), size)? };
        // SAFETY: the new block, or what it gains, which is the caller's.
        if opening.len() == 0 { Ok(()) } else { unsafe { os::open(opening) } }
    }

    /// After a change of a live block's size to `wanted` has failed: it has the size that it had, and lost no more than it was to.
    pub(super) fn stay(&self, page: &Page, wanted: usize) {
        let old = page.face.block_size();
        let Some((whole, front)) = self.place_of(page) else { return };
        let (low, high) = (wanted.min(old), wanted.max(old));
        let Some(changed) = whole.part(front.wrapping_add(low), high.wrapping_sub(low)) else { return };
        let _ = if !self.is_fenced_by_marks(page) {
            // SAFETY: of a live block, or of what it was to have.
            if wanted < old { unsafe { os::open(changed) } } else { unsafe { os::close(changed) } }
        } else if wanted < old {
            // SAFETY: the block's own.
            unsafe { os::unguard(changed) }
        } else {
            guard(changed)
        };
    }

    /// Whether a live block of this page can change its size where it stands.
    pub(super) fn can_resize(&self, page: &Page) -> bool {
        !self.is_brought() && !self.bare.has(page.face.first_slice())
    }
}
