//! Which slices are accessible, and how they become so; [`closing`](super::closing) is the way back. Nowhere else do protections of user
//! memory change, but for a large block's [`body`](super::body).
//!
//! | a slice is | writable | guarded | how it got so |
//! |---|---|---|---|
//! | inaccessible, never used | no | no | as reserved |
//! | inaccessible, no memory | yes | yes | a guard over all of it, which zaps it too: no map is split |
//! | inaccessible, with memory | - | - | closed: a large block just freed, its memory kept for the next |
//! | in use | yes | no, but for the guards round a large block | opened |
//!
//! # Round a large block
//!
//! ```text
//!   |front|<- block ->|  rest  |last|        one run of slices
//!    XXXXX             XXXXXXXX XXXX         guards: marks in the page tables (fence of marks), or not opened (of protections)
//!          <------ body ------>              what is closed and opened as the block goes and comes, behind a fence of marks
//! ```
//!
//! Closing the body and opening it again is one change of one map, if the kernel never joins that map with those beside it.
//! So front and last are told apart from it by a property that means nothing to them: they are left out of core dumps. Such
//! a run is *apart*. It costs maps, and so is within the budget or is not: then a freed block is sealed.
//!
//! Behind marks the kernel backs nothing with huge pages: a window or a block that is to be [`super::broad`] is opened without any.
//!
//! Guards cost nothing but the call where the kernel has them (Linux 6.13). Elsewhere, and where it refuses them (locked
//! memory), a guard is a mapping of its own, and the kernel allows a process only so many of those. So they are counted,
//! and past the budget protections are left out, and that is counted too: an allocation never fails for want of a guard.

use super::broad;
use super::budget::{BORDERS, LEFT_OUT, guard, has_guards, leave_out, may_split};
use super::slices::{SliceSet, WINDOW};
use super::space::Locked;
use super::{Segment, committed};
use crate::geometry::{SLICE, SLICES};
use crate::mitigations::MITIGATIONS;
use crate::os::{self, Errno, Span};
use crate::page::{Kind, end_guard};
use crate::sync::Relaxed;

/// Borders of a block that stands alone, where guards are protections.
pub(super) const ALONE_BEHIND_PROTECTIONS: usize = 2;

/// What becomes of the slices of a window that are opened because others of it are used for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// They are used soon: open, where the kernel is asked for huge pages.
    Broad,
    /// Guarded until they are used.
    Guarded,
}

/// Maps that a run costs that is apart: two more on each side, between its guards and its neighbours, and round its body.
pub(super) const APART_BEHIND_MARKS: usize = 4;
/// The same for a fence of protections: the block's own.
pub(super) const APART_BEHIND_PROTECTIONS: usize = 2;

impl Segment {
    /// Slices that may ever be accessible: all but the first and the last.
    fn usable(first: usize, count: usize) -> (usize, usize) {
        let start = first.max(1);
        let end = first.wrapping_add(count).min(SLICES.wrapping_sub(1));
        (start, end.saturating_sub(start))
    }

    /// Changes `writable` for these slices and keeps count of the borders.
    pub(super) fn mark_writable(&self, first: usize, count: usize, writable: bool) {
        let before = self.writable.borders(first, count);
        if writable {
            self.writable.add(first, count);
        } else {
            self.writable.remove(first, count);
        }
        let after = self.writable.borders(first, count);
        BORDERS.fetch_add(after.wrapping_sub(before), Relaxed);
    }

    pub(super) fn make_writable(&self, first: usize, count: usize) -> Result<(), Errno> {
        let span = self.span(first, count).ok_or(Errno::NOMEM)?;
        // SAFETY: slices of our own; nobody relies on their being inaccessible but this module.
        unsafe { os::open(span) }?;
        self.mark_writable(first, count, true);
        Ok(())
    }

    /// Makes the slices writable if they are not. With guards a whole window at once; without, just these, or as much as the
    /// kernel makes us.
    fn ensure_writable(&'static self, first: usize, count: usize, rest: Rest) -> Result<(), Errno> {
        if self.writable.has_all(first, count) {
            return Ok(());
        }
        let window = first - first % WINDOW;
        let end = first.wrapping_add(count).next_multiple_of(WINDOW);
        let (start, length) = Self::usable(window, end.wrapping_sub(window));
        // Slices that are not writable may hold a block all the same, opened as a part of them.
        let others = self.used.count(start, length).wrapping_sub(self.used.count(first, count));
        let fresh = others == 0 && !self.writable.has_any(start, length) && !self.dirty.has_any(start, length);
        if fresh && rest == Rest::Broad && self.broaden(start, length) && self.make_writable(start, length).is_ok() {
            return Ok(());
        }
        // Less than a window may be left of what the process is allowed to write.
        if fresh && self.takes_marks() && self.make_writable(start, length).is_ok() {
            let behind = first.wrapping_add(count);
            let before = (start, first.saturating_sub(start));
            if [before, (behind, start.wrapping_add(length).saturating_sub(behind))]
                .into_iter()
                .all(|(first, count)| self.guard_slices(first, count))
            {
                return Ok(());
            }
            self.forget_guards(start, length);
            // Nothing of the window was in use: but for what was asked for, it becomes as it was.
            if !self.close(start, length) && self.writable.has_all(first, count) {
                leave_out();
                return Ok(());
            }
        }
        if self.may_split() && self.make_writable(first, count).is_ok() {
            return Ok(());
        }
        // Out of maps: fewer borders are needed if the neighbours are opened with it.
        self.make_writable(start, length).or_else(|_| {
            let (start, length) = Self::usable(0, SLICES);
            self.make_writable(start, length)
        })?;
        leave_out();
        Ok(())
    }

    /// Puts guards on slices that nobody uses. False: not on all.
    fn guard_slices(&self, first: usize, count: usize) -> bool {
        if count == 0 {
            return true;
        }
        self.mark_guarded(first, count);
        self.span(first, count).is_some_and(|span| guard(span).is_ok())
    }

    /// There are guards in these slices from now on, wherever there were some before.
    pub(super) fn mark_guarded(&self, first: usize, count: usize) {
        self.ends.remove(first, count);
        self.guarded.add(first, count);
    }

    /// There are none any more.
    pub(super) fn mark_unguarded(&self, first: usize, count: usize) {
        self.ends.remove(first, count);
        self.guarded.remove(first, count);
    }

    fn remove_guards(&self, first: usize, count: usize, span: Span) -> Result<(), Errno> {
        if !self.guarded.has_any(first, count) {
            return Ok(());
        }
        // SAFETY: guards of our own.
        let removed = unsafe { os::unguard(span) };
        // A filter that the program has put on since may refuse the call: then the memory itself is replaced.
        // SAFETY: what is under guards holds nothing, and what is not is yet to be handed out.
        let removed = removed.or_else(|_| unsafe { os::renew(span) });
        if removed.is_err() {
            // Some may be gone: the slices are not sealed any more.
            self.ends.remove(first, count);
            self.dirty.add(first, count);
        }
        removed
    }

    /// Whether guards may be marks in the page tables: not in memory that the program has brought, of which we do not know how
    /// it takes them.
    fn takes_marks(&self) -> bool {
        has_guards() && !self.is_brought()
    }

    /// Whether parts of it may be made inaccessible by a protection.
    pub(super) fn may_split(&self) -> bool {
        may_split() && !self.is_pinned()
    }

    /// From now on these slices are in use, and what they hold is unknown.
    pub(super) fn commit(&self, first: usize, count: usize, locked: &Locked) {
        if !self.is_brought() {
            committed::rise(self.zero.count(first, count).wrapping_mul(SLICE), locked);
        }
        self.zero.remove(first, count);
        self.set_clean(first, count);
    }

    /// Makes these slices accessible for a page of blocks, all but a guard at their end where the build has one and it costs no map. That is
    /// what a page of as many slices has left behind.
    pub(super) fn open_for_blocks(&'static self, first: usize, count: usize, locked: &Locked) -> Result<(), Errno> {
        let last = first.wrapping_add(count).wrapping_sub(1);
        let is_as_it_was = self.ends.has(last) && self.guarded.count(first, count) == 1;
        if is_as_it_was && self.writable.has_all(first, count) {
            return Ok(());
        }
        self.open_all(first, count, locked)?;
        self.guard_end(first, count);
        Ok(())
    }

    /// Makes all of these slices accessible.
    fn open_all(&'static self, first: usize, count: usize, _locked: &Locked) -> Result<(), Errno> {
        self.ensure_writable(first, count, Rest::Broad)?;
        let span = self.span(first, count).ok_or(Errno::NOMEM)?;
        self.remove_guards(first, count, span)?;
        self.mark_unguarded(first, count);
        Ok(())
    }

    /// Puts a guard at the end of slices that are open. It stays until they are opened for something else.
    fn guard_end(&self, first: usize, count: usize) {
        let len = end_guard();
        if len == 0 {
            return;
        }
        let end = count.wrapping_mul(SLICE).wrapping_sub(len);
        let span = self.span(first, count).and_then(|span| span.part(end, len)).filter(|_| self.takes_marks());
        if span.is_some_and(|span| guard(span).is_ok()) {
            let last = first.wrapping_add(count).wrapping_sub(1);
            self.guarded.add(last, 1);
            self.ends.add(last, 1);
        } else {
            leave_out();
        }
    }

    /// Makes `len` bytes from `front` on accessible, and nothing else of these slices, for a page of one block.
    pub(super) fn open_part(
        &'static self,
        first: usize,
        count: usize,
        front: usize,
        len: usize,
        locked: &Locked,
    ) -> Result<(), Errno> {
        let span = self.span(first, count).ok_or(Errno::NOMEM)?;
        let inner = span.part(front, len).ok_or(Errno::NOMEM)?;
        let back = front.wrapping_add(len);
        let around = [span.part(0, front), span.part(back, span.len().wrapping_sub(back))];
        self.bare.remove(first, 1);
        if self.takes_marks() && self.open_between_guards(first, count, inner, around)? {
            self.set_apart(first, span, front);
            return Ok(());
        }
        if self.may_split() {
            let was_marked = self.guarded.has_any(first, count);
            self.remove_guards(first, count, span)?;
            self.mark_unguarded(first, count);
            let is_closed = !(was_marked || self.writable.has_any(first, count)) || self.close(first, count);
            // SAFETY: part of our slices.
            if is_closed && unsafe { os::open(inner) }.is_ok() {
                if broad::is_worth_it(len) && !self.is_brought() {
                    self.set_broad(first, count, Some(span));
                }
                BORDERS.fetch_add(APART_BEHIND_PROTECTIONS, Relaxed);
                self.apart.add(first, 1);
                return Ok(());
            }
        }
        leave_out();
        self.bare.add(first, 1);
        self.open_all(first, count, locked)
    }

    /// The same for a block that stands alone, or not at all: without guards it would be worth nothing. A block of no bytes
    /// needs nothing but inaccessible slices.
    pub(super) fn open_alone(&'static self, first: usize, count: usize, front: usize, len: usize) -> Result<(), Errno> {
        let is_guarded = match len {
            0 => self.shuts(first, count),
            _ => self.opens_alone(first, count, front, len)?,
        };
        if is_guarded {
            return Ok(());
        }
        // They may have been opened in vain: the next purge closes them.
        self.dirty.add(first, count);
        Err(Errno::NOMEM)
    }

    /// False: there are no guards for that.
    fn opens_alone(&'static self, first: usize, count: usize, front: usize, len: usize) -> Result<bool, Errno> {
        let span = self.span(first, count).ok_or(Errno::NOMEM)?;
        let inner = span.part(front, len).ok_or(Errno::NOMEM)?;
        let back = front.wrapping_add(len);
        let around = [span.part(0, front), span.part(back, span.len().wrapping_sub(back))];
        if has_guards() && self.open_between_guards(first, count, inner, around)? {
            return Ok(true);
        }
        if !may_split() {
            return Ok(false);
        }
        let was_marked = self.guarded.has_any(first, count);
        self.remove_guards(first, count, span)?;
        self.mark_unguarded(first, count);
        let is_closed = !(was_marked || self.writable.has_any(first, count)) || self.close(first, count);
        // SAFETY: part of our slices.
        let is_open = is_closed && unsafe { os::open(inner) }.is_ok();
        if is_open {
            BORDERS.fetch_add(ALONE_BEHIND_PROTECTIONS, Relaxed);
        }
        Ok(is_open)
    }

    /// Keeps the body's map from being joined with others, if there is to be a change of it at all.
    fn set_apart(&self, first: usize, run: Span, front: usize) {
        let page = os::page_size();
        let body = run.part(front, run.len().wrapping_sub(front).wrapping_sub(page));
        let is_broad = body.is_some_and(|body| broad::is_worth_it(body.len()));
        if !(MITIGATIONS.free_checks || is_broad) || !may_split() {
            return;
        }
        if is_broad {
            broad::want(body);
        }
        for guard in [run.part(0, front), run.part(run.len().wrapping_sub(page), page)].into_iter().flatten() {
            // SAFETY: guards, which hold nothing that a dump could show.
            let _ = unsafe { os::hide_from_dumps(guard) }; // else each change costs more
        }
        BORDERS.fetch_add(APART_BEHIND_MARKS, Relaxed);
        self.apart.add(first, 1);
    }

    /// Makes `inner` accessible, and guards what lies `around` it. False: the kernel refuses guards here.
    fn open_between_guards(
        &'static self,
        first: usize,
        count: usize,
        inner: Span,
        around: [Option<Span>; 2],
    ) -> Result<bool, Errno> {
        // Then all of the slices is guarded already, and not only what lay around an earlier block.
        let sealed = self.guarded.has_all(first, count)
            && self.writable.has_all(first, count)
            && !self.dirty.has_any(first, count);
        self.ensure_writable(first, count, Rest::Guarded)?;
        self.remove_guards(first, count, inner)?;
        self.mark_guarded(first, count);
        Ok(has_guards() && (sealed || around.into_iter().flatten().all(|span| guard(span).is_ok())))
    }

    /// The memory of all slices is about to be unmapped, and their protections with it.
    pub(super) fn forget_protections(&self) {
        self.mark_writable(0, SLICES, false);
        BORDERS.fetch_sub(self.broad.borders(0, SLICES), Relaxed);
        for set in [&self.broad, &self.guarded, &self.ends, &self.apart, &self.bare] {
            set.clear();
        }
    }

    /// Slices that need no change of protection to be used: at a limit of the system they may be all that is left.
    pub(super) fn within_reach(&self) -> &SliceSet {
        &self.writable
    }

    /// Opens everything between the first and the last accessible byte: that needs no new map, and ends many. The guards and
    /// the closed ranges in between are left out from then on.
    ///
    /// # Errors
    /// The kernel's; ENOMEM if nothing of the segment is accessible.
    pub(super) fn fuse(&'static self, _locked: &Locked) -> Result<(), Errno> {
        let base = self.base().addr();
        let offset = |address: usize| address.wrapping_sub(base);
        let marked =
            self.writable.iter().map(|slice| (slice.wrapping_mul(SLICE), slice.wrapping_add(1).wrapping_mul(SLICE)));
        // Opened as parts of their slices, which are not marked then.
        let parts = || {
            let singles = self.pages().filter(|page| page.face.kind() == Kind::Single);
            singles.filter(|page| !self.writable.has_any(page.face.first_slice(), page.face.slices()))
        };
        let extents = || {
            parts().map(|page| {
                let start = offset(page.face.start().addr());
                (start, start.wrapping_add(page.face.block_size()))
            })
        };
        let ends = marked.chain(extents()).reduce(|(low, high), (start, end)| (low.min(start), high.max(end)));
        let (low, high) = ends.ok_or(Errno::NOMEM)?;
        let span = self.span(0, SLICES).and_then(|span| span.part(low, high.wrapping_sub(low))).ok_or(Errno::NOMEM)?;
        let count = parts().count();
        // SAFETY: part of our slices; nobody relies on their being inaccessible but this module.
        unsafe { os::open(span) }?;
        for page in parts() {
            let slice = page.face.first_slice();
            if self.apart.has(slice) {
                self.apart.remove(slice, 1);
                BORDERS.fetch_sub(APART_BEHIND_PROTECTIONS, Relaxed);
            }
            self.bare.add(slice, 1);
        }
        let first = low.div_ceil(SLICE);
        self.mark_writable(first, (high / SLICE).saturating_sub(first), true);
        LEFT_OUT.fetch_add(count.max(1), Relaxed);
        Ok(())
    }
}
