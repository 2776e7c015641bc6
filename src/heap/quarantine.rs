//! The quarantine: freed blocks that wait before they come back to their pages' lists.
//!
//! ```text
//!  a block comes back ---> takes the place of one drawn at random ---> that one goes to its page's list
//!                          | b | b | b | b | b | .. |  SLOTS, or as many as the budget of bytes allows
//! ```
//!
//! So the block just freed is never the next to be handed out, and which frees lie between is a matter of chance: a stale pointer
//! meets a block that is still free, and a stale free one whose state bit is clear.
//!
//! A block that waits is free: its state bit is clear, and with `zero-on-free` it is wiped. But its page counts it as used, so that the
//! page is neither given up nor handed to another class, and counts apart how many of the used ones wait:
//!
//! ```text
//! live + posted + quarantined = used,    used + |free list| + |local list| = capacity
//! ```
//!
//! Each thread has one, for the blocks of its pages, whatever heap they belong to. It is emptied before pages are abandoned. In the child of
//! a fork a page is rebuilt from its state bits before it is allocated from: then its blocks leave the quarantine ([`Quarantine::forget`]),
//! for the rebuilt lists have them.

use super::malloc;
use super::thread::{Heap, Thread};
use crate::entropy::Rng;
use crate::geometry::{Granule, SLICE, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::page::Page;
use crate::remote::Owned;
use crate::report::{self, Operation};
use crate::segment::map;
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Relaxed};
use core::ptr;

/// Blocks at most: as many as a draw has bits for.
const SLOTS: usize = if MITIGATIONS.quarantine { 1 << DRAW } else { 0 };
const DRAW: u32 = 7;

/// Only its thread touches it. Empty when all its bytes are zero.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Quarantine {
    /// Blocks that wait, `held` of them.
    slots: [AtomicPtr<u8>; SLOTS],
    held: AtomicUsize,
    /// Their bytes.
    bytes: AtomicUsize,
    /// How many these may be. One block may always wait, but in tests that want none to: for them it is 0.
    budget: AtomicUsize,
    /// Random bits yet to be drawn, below a one.
    bits: AtomicU64,
    /// Blocks have gone to pages that nobody has looked at since.
    unattended: AtomicU32,
}

impl Quarantine {
    /// Empties it, without a look at what it held, and reads its budget.
    pub(super) fn reset(&self) {
        self.held.store(0, Relaxed);
        self.bytes.store(0, Relaxed);
        self.budget.store(options::bytes(Setting::BlockQuarantine), Relaxed);
    }

    #[cfg(test)]
    pub(super) fn set_budget(&self, bytes: usize) {
        self.budget.store(bytes, Relaxed);
    }

    /// A block of `size` bytes enters. A block that leaves for it, most of the time.
    #[inline]
    fn exchange(&self, block: *mut u8, size: usize, rng: &Rng) -> Option<*mut u8> {
        let held = self.held.load(Relaxed);
        self.bytes.store(self.bytes.load(Relaxed).wrapping_add(size), Relaxed);
        match self.slots.get(held) {
            Some(slot) => {
                slot.store(block, Relaxed);
                self.held.store(held.wrapping_add(1), Relaxed);
                None
            }
            None => self.slots.get(self.draw(rng)).map(|slot| {
                let leaves = slot.load(Relaxed);
                slot.store(block, Relaxed);
                leaves
            }),
        }
    }

    /// A block other than `but` leaves because there are too many bytes.
    fn shed(&self, but: *mut u8, rng: &Rng) -> Option<*mut u8> {
        let (held, budget) = (self.held.load(Relaxed), self.budget.load(Relaxed));
        if budget == 0 {
            return self.take(0);
        }
        if self.bytes.load(Relaxed) <= budget || held < 2 {
            return None;
        }
        let drawn = self.draw(rng).wrapping_mul(held) >> DRAW;
        if !ptr::eq(self.slots.get(drawn)?.load(Relaxed), but) {
            return self.take(drawn);
        }
        // Its neighbour, for it has one.
        self.take(if drawn == 0 { 1 } else { drawn.wrapping_sub(1) })
    }

    /// Takes the block at this place out; the last one takes its place.
    fn take(&self, place: usize) -> Option<*mut u8> {
        let last = self.held.load(Relaxed).checked_sub(1)?;
        let moved = self.slots.get(last)?.load(Relaxed);
        let slot = self.slots.get(place)?;
        let taken = slot.load(Relaxed);
        slot.store(moved, Relaxed);
        self.held.store(last, Relaxed);
        Some(taken)
    }

    /// A number below [`SLOTS`].
    #[inline]
    fn draw(&self, rng: &Rng) -> usize {
        let mut bits = self.bits.load(Relaxed);
        if bits < 1 << DRAW {
            // Nine draws of seven bits, and the one.
            bits = rng.next_u64() | 1 << 63;
        }
        self.bits.store(bits >> DRAW, Relaxed);
        bits as usize & SLOTS.wrapping_sub(1)
    }

    /// Blocks of the page leave: they are on its lists, or the page has no blocks any more.
    pub(super) fn forget(&self, page: &Page) {
        let (start, bytes) = (page.face.start().addr(), page.face.slices().wrapping_mul(SLICE));
        let mut place = 0;
        while let Some(slot) = self.slots.get(..self.held.load(Relaxed)).and_then(|slots| slots.get(place)) {
            if slot.load(Relaxed).addr().wrapping_sub(start) < bytes {
                let _ = self.take(place);
                self.bytes.store(self.bytes.load(Relaxed).wrapping_sub(page.face.block_size()), Relaxed);
            } else {
                place = place.wrapping_add(1);
            }
        }
    }

    /// The blocks that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = UserPtr> {
        self.slots.iter().take(self.held.load(Relaxed)).map(|slot| UserPtr::new(slot.load(Relaxed)))
    }
}

/// The page of a block that waits.
pub(super) fn page_of(block: UserPtr) -> &'static Page {
    match map::find(block) {
        Some((segment, granule)) => segment.page_of(granule),
        None => report::internal("the quarantine holds what is no block", Operation::Free, block.address()),
    }
}

impl Thread {
    /// A block that the owner has just taken back waits. Its page counts it already.
    #[inline]
    pub(super) fn detain(&'static self, block: UserPtr, size: usize) {
        let pointer = block.as_ptr();
        if let Some(leaves) = self.quarantine.exchange(pointer, size, &self.heap.rng) {
            self.release(UserPtr::new(leaves), Attention::Now);
        }
        while let Some(leaves) = self.quarantine.shed(pointer, &self.heap.rng) {
            self.release(UserPtr::new(leaves), Attention::Now);
        }
    }

    /// The same for a block that another thread has freed: in the midst of a walk over pages, so that none may change its queue.
    pub(super) fn detain_posted(&'static self, block: UserPtr, size: usize) {
        let pointer = block.as_ptr();
        if let Some(leaves) = self.quarantine.exchange(pointer, size, &self.heap.rng) {
            self.release(UserPtr::new(leaves), Attention::Later);
        }
        while let Some(leaves) = self.quarantine.shed(pointer, &self.heap.rng) {
            self.release(UserPtr::new(leaves), Attention::Later);
        }
    }

    /// All that wait go to their pages' lists.
    pub(super) fn empty_quarantine(&'static self) {
        while let Some(leaves) = self.quarantine.take(0) {
            self.release(UserPtr::new(leaves), Attention::Later);
        }
    }

    /// Whether there are pages to be looked at; none from now on.
    pub(super) fn takes_unattended(&self) -> bool {
        let unattended = self.quarantine.unattended.load(Relaxed) != 0;
        if unattended {
            self.quarantine.unattended.store(0, Relaxed);
        }
        unattended
    }

    /// A block that has waited goes to its page's list.
    fn release(&'static self, block: UserPtr, attention: Attention) {
        let page = page_of(block);
        let size = page.face.block_size();
        self.quarantine.bytes.store(self.quarantine.bytes.load(Relaxed).wrapping_sub(size), Relaxed);
        let Some(owned) = page.owned_by(self.me()) else {
            report::internal("the quarantine holds another thread's block", Operation::Free, block.address());
        };
        if page.spot(Granule::of(block.address())).is_out() {
            report::internal("a live block in the quarantine", Operation::Free, block.address());
        }
        page.leave_quarantine(&owned);
        match page.push_posted(block.address(), &owned) {
            Ok(false) => {}
            Ok(true) => self.attend_released(page, owned, attention),
            Err(refused) => malloc::die_of_damage(page, refused, Operation::Free),
        }
    }

    #[cold]
    fn attend_released(&'static self, page: &'static Page, owned: Owned, attention: Attention) {
        match attention {
            Attention::Now => super::free::preserving_errno(|| self.heap_of(page).attend(page, owned)),
            Attention::Later => self.quarantine.unattended.store(1, Relaxed),
        }
    }
}

/// When a page is looked at that has become empty or roomy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    Now,
    Later,
}

impl Heap {
    /// Makes a page's lists fit for this process: see `Page::renew`.
    pub(super) fn renew(&self, page: &'static Page, owned: &Owned) -> bool {
        if MITIGATIONS.quarantine && !page.is_current() {
            self.release_from_quarantine(page);
        }
        page.renew(page.tables(), owned, &self.rng)
    }

    /// No block of the page waits any more, and none of them is on a list by that.
    pub(super) fn release_from_quarantine(&self, page: &Page) {
        if MITIGATIONS.quarantine
            && let Some(thread) = self.thread()
        {
            thread.quarantine.forget(page);
        }
    }
}
