//! How slices become inaccessible again, and their memory goes: what [`access`](super::access), which has the picture, has opened.

use super::access::{ALONE_BEHIND_PROTECTIONS, APART_BEHIND_MARKS, APART_BEHIND_PROTECTIONS};
use super::budget::{BORDERS, guard, has_guards, leave_out, may_split};
use super::ranges::Range;
use super::space::Locked;
use super::{Role, Segment, committed};
use crate::geometry::SLICE;
use crate::os::{self, Errno, Span};
use crate::sync::Relaxed;

impl Segment {
    /// Makes these slices inaccessible and keeps their memory. False: they stay accessible.
    pub(super) fn close(&self, first: usize, count: usize) -> bool {
        let Some(span) = self.span(first, count) else { return false };
        if self.is_pinned() {
            return false;
        }
        // Where only a part was opened, closing makes borders fewer.
        if self.writable.has_any(first, count) && !may_split() {
            return false;
        }
        // SAFETY: slices without a live block.
        let closed = unsafe { os::close(span) }.is_ok();
        // The kernel goes from map to map, and may have closed some before it came to its limit. To open all needs no map.
        // SAFETY: as above.
        let is_open = !closed && unsafe { os::open(span) }.is_ok();
        self.mark_writable(first, count, is_open);
        closed
    }

    /// Whether nothing of these slices, which hold no block, is accessible now.
    pub(super) fn shuts(&self, first: usize, count: usize) -> bool {
        if !self.writable.has_any(first, count) {
            return true;
        }
        let is_sealed = self.guarded.has_all(first, count) && !self.dirty.has_any(first, count);
        let guards = || self.span(first, count).is_some_and(|span| guard(span).is_ok());
        if is_sealed || (has_guards() && self.writable.has_all(first, count) && guards()) {
            self.mark_guarded(first, count);
            return true;
        }
        self.close(first, count)
    }

    /// Gives the memory of these slices back to the kernel and makes them inaccessible.
    pub(super) fn seal(&self, first: usize, count: usize, locked: &Locked) {
        let Some(span) = self.span(first, count) else { return };
        if self.is_brought() {
            return self.wipe(first, count, span);
        }
        if has_guards() && self.writable.has_all(first, count) {
            self.mark_guarded(first, count);
            if guard(span).is_ok() {
                self.uncommit(first, count, locked);
                return;
            }
            self.forget_guards(first, count);
        }
        // SAFETY: slices without a live block.
        if unsafe { os::purge(span) }.is_ok() {
            self.uncommit(first, count, locked);
        }
        if self.writable.has_any(first, count) && !self.close(first, count) {
            leave_out();
        }
    }

    /// The same for memory that the program has brought: the kernel's word that it was dropped says nothing of what it will hold.
    fn wipe(&self, first: usize, count: usize, span: Span) {
        if !self.writable.has_all(first, count) && self.make_writable(first, count).is_err() {
            return;
        }
        // SAFETY: slices without a live block, accessible.
        unsafe { span.start().as_ptr().write_bytes(0, span.len()) };
        if !self.is_pinned() {
            // SAFETY: as above. What is locked is kept, and wiped all the same.
            let _ = unsafe { os::purge(span) };
        }
        if !self.close(first, count) {
            leave_out();
        }
    }

    /// Gives the memory of a freed block of `size` bytes that stood alone back and makes it inaccessible, then and there: by
    /// guards, which cost no map, where there are any.
    pub(super) fn seal_alone(&self, first: usize, count: usize, size: usize, locked: &Locked) {
        if size != 0 && !self.writable.has_any(first, count) {
            // Opened without the slices being marked; to close the middle again makes maps fewer, and is not refused.
            BORDERS.fetch_sub(ALONE_BEHIND_PROTECTIONS, Relaxed);
            self.close(first, count);
        }
        self.seal(first, count, locked);
    }

    /// The slices of a page of one block, which was freed, become like any others that are not in use: sealed.
    pub(super) fn take_apart(&self, first: usize, count: usize, locked: &Locked) {
        self.bare.remove(first, 1);
        if !self.apart.has(first) {
            return self.seal(first, count, locked);
        }
        self.apart.remove(first, 1);
        let Some(span) = self.span(first, count) else { return };
        let renewed = if self.guarded.has(first) {
            BORDERS.fetch_sub(APART_BEHIND_MARKS, Relaxed);
            // New memory is one map with that around it.
            // SAFETY: slices without a live block.
            unsafe { os::renew(span) }
        } else {
            BORDERS.fetch_sub(APART_BEHIND_PROTECTIONS, Relaxed);
            if self.close(first, count) {
                return self.seal(first, count, locked);
            }
            Err(Errno::NOMEM)
        };
        // At the limit of maps it is enough that all of them are open, and not only a part, before they are sealed.
        // SAFETY: slices without a live block.
        if renewed.or_else(|_| unsafe { os::open(span) }).is_ok() {
            self.mark_writable(first, count, true);
            return self.seal(first, count, locked);
        }
        // At the limit of what may be writable they are as if they had never been.
        // SAFETY: as above.
        let _ = unsafe { os::close(span) };
        self.mark_writable(first, count, false);
        self.seal(first, count, locked);
    }

    /// Takes the memory of a freed block back; its guards stay, and it stays inaccessible.
    pub(super) fn empty(&self, range: &Range, locked: &Locked) {
        let Some(page) = range.page() else { return };
        let Some((whole, _)) = self.place_of(page) else { return };
        page.face.set_filled(0);
        // SAFETY: the range of a freed block, which waits.
        if unsafe { os::purge(whole) }.is_ok() {
            match self.role() {
                Role::Huge => self.uncommit_huge(usize::MAX, locked),
                _ => self.uncommit(range.first, range.count, locked),
            }
        }
    }

    /// The kernel has taken the memory of these slices back.
    pub(super) fn uncommit(&self, first: usize, count: usize, locked: &Locked) {
        let held = count.wrapping_sub(self.zero.count(first, count));
        committed::fall(held.wrapping_mul(SLICE), locked);
        self.zero.add(first, count);
    }

    /// The memory of the block in these slices is another's now: how many bytes of it count as committed.
    pub(super) fn moved_slices(&self, first: usize, count: usize) -> usize {
        // Round the block there may be what the slices held before, where guards are protections.
        // SAFETY: what is left of a block that has moved, and its guards.
        if self.span(first, count).is_none_or(|span| unsafe { os::purge(span) }.is_err()) {
            return 0;
        }
        let held = count.wrapping_sub(self.zero.count(first, count)).wrapping_mul(SLICE);
        self.zero.add(first, count);
        held
    }

    /// Guards could not be put on all of these slices, which hold nothing: then they have none, rather than some of which nobody
    /// knows.
    #[cold]
    pub(super) fn forget_guards(&self, first: usize, count: usize) {
        // SAFETY: guards of our own.
        if self.span(first, count).is_some_and(|span| unsafe { os::unguard(span) }.is_ok()) {
            self.mark_unguarded(first, count);
        }
    }
}
