//! The quarantine: freed blocks that wait before they come back to their pages' lists.
//!
//! ```text
//!  a block comes back ---> the next place
//!                          | b | b | b | b | b | b | b | b |  SLOTS, or as many as the budget of bytes allows
//!                              '---------------'
//!                          no place is left: half of them, from one drawn at random on, go to their pages' lists
//! ```
//!
//! So the block just freed is never the next to be handed out, and which frees lie between is a matter of chance: a stale pointer
//! meets a block that is still free, and a stale free one whose state bit is clear.
//!
//! Half at a time, because blocks that were freed one after the other then come back one after the other. Were one drawn for each that
//! comes, blocks that lie side by side would drift apart, until a program that goes through its blocks meets the caches at no step; and
//! the lines of a block, its page and its bits would be missed one by one, where the processor now waits for many at once.
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
use crate::geometry::Granule;
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::page::Page;
use crate::remote::Owned;
use crate::report::{self, Operation};
use crate::sync::{AtomicPtr, AtomicU32, AtomicUsize, Relaxed};
use core::ptr;

/// Blocks at most. A block leaves at the next free with a chance of no more than one in so many: half of them leave, and only when all
/// places are taken.
const SLOTS: usize = if MITIGATIONS.quarantine { 64 } else { 0 };
/// As many as leave at once.
const LEAVING: usize = SLOTS / 2;

/// A place for a block.
#[derive(Debug)]
#[repr(C)]
struct Slot {
    block: AtomicUsize,
    page: AtomicPtr<Page>,
}

/// A block that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) page: &'static Page,
    pub(super) address: usize,
}

impl Slot {
    #[inline(always)]
    fn put(&self, waiting: Waiting) {
        self.block.store(waiting.address, Relaxed);
        self.page.store(ptr::from_ref(waiting.page).cast_mut(), Relaxed);
    }

    /// None where there never was a block.
    #[inline(always)]
    fn get(&self) -> Option<Waiting> {
        // SAFETY: null or the description of a page, which is never unmapped.
        let page = unsafe { self.page.load(Relaxed).as_ref() }?;
        Some(Waiting { page, address: self.block.load(Relaxed) })
    }
}

/// Only its thread touches it. Empty when all its bytes are zero.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Quarantine {
    held: AtomicUsize,
    /// Bytes of the blocks that wait, `held` of them.
    bytes: AtomicUsize,
    /// How many these may be. One block may always wait, but in tests that want none to: for them it is 0.
    budget: AtomicUsize,
    /// Blocks have gone to pages that nobody has looked at since.
    unattended: AtomicU32,
    slots: [Slot; SLOTS],
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

    /// A block of `size` bytes enters, if there is room for it.
    #[inline(always)]
    fn enter(&self, waiting: Waiting, size: usize) -> Result<(), NoRoom> {
        let (held, bytes) = (self.held.load(Relaxed), self.bytes.load(Relaxed).wrapping_add(size));
        let Some(slot) = self.slots.get(held).filter(|_| bytes <= self.budget.load(Relaxed)) else {
            return Err(NoRoom);
        };
        slot.put(waiting);
        self.held.store(held.wrapping_add(1), Relaxed);
        self.bytes.store(bytes, Relaxed);
        Ok(())
    }

    /// A block enters that is alone, whatever its size.
    fn enter_alone(&self, waiting: Waiting, size: usize) {
        if let Some(slot) = self.slots.first() {
            slot.put(waiting);
            self.held.store(1, Relaxed);
            self.bytes.store(size, Relaxed);
        }
    }

    /// Half of the blocks leave, or the only one: from one drawn at random on, and behind the last comes the first.
    fn take_half(&self, rng: &Rng) -> [Option<Waiting>; LEAVING] {
        let held = self.held.load(Relaxed);
        let leaving = held.div_ceil(2);
        let first = rng.below(held as u32) as usize;
        let slots = self.slots.get(..held).unwrap_or(&[]);
        let (before, from) = slots.split_at_checked(first).unwrap_or((&[], &[]));
        let mut taken = [None; LEAVING];
        let mut bytes = self.bytes.load(Relaxed);
        let places = from.iter().chain(before).take(leaving);
        for (waiting, slot) in taken.iter_mut().zip(places) {
            *waiting = slot.get();
            bytes = bytes.wrapping_sub(waiting.map_or(0, |waiting| waiting.page.face.block_size()));
        }
        // Those that stay move up, in their order.
        let behind = from.iter().skip(leaving);
        let wrapped = leaving.saturating_sub(from.len());
        let staying = before.iter().skip(wrapped).chain(behind);
        for (place, slot) in slots.iter().zip(staying) {
            if let Some(waiting) = slot.get() {
                place.put(waiting);
            }
        }
        self.held.store(held.wrapping_sub(leaving), Relaxed);
        self.bytes.store(bytes, Relaxed);
        taken
    }

    /// Blocks of the page leave: they are on its lists, or the page has no blocks any more.
    pub(super) fn forget(&self, page: &Page) {
        let mut kept = 0_usize;
        for waiting in self.iter() {
            if ptr::eq(waiting.page, page) {
                self.bytes.store(self.bytes.load(Relaxed).wrapping_sub(page.face.block_size()), Relaxed);
            } else if let Some(slot) = self.slots.get(kept) {
                slot.put(waiting);
                kept = kept.wrapping_add(1);
            }
        }
        self.held.store(kept, Relaxed);
    }

    /// The blocks that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = Waiting> {
        self.slots.iter().take(self.held.load(Relaxed)).filter_map(Slot::get)
    }
}

/// Others have to leave first.
#[derive(Clone, Copy, Debug)]
struct NoRoom;

impl Thread {
    /// A block that the owner has just taken back waits. Its page counts it already.
    #[inline(always)]
    pub(super) fn detain(&'static self, page: &'static Page, address: usize, size: usize) {
        let waiting = Waiting { page, address };
        if let Err(NoRoom) = self.quarantine.enter(waiting, size) {
            self.detain_instead(waiting, size, Attention::Now);
        }
    }

    /// The same for a block that another thread has freed: in the midst of a walk over pages, so that none may change its queue.
    pub(super) fn detain_posted(&'static self, page: &'static Page, address: usize, size: usize) {
        let waiting = Waiting { page, address };
        if let Err(NoRoom) = self.quarantine.enter(waiting, size) {
            self.detain_instead(waiting, size, Attention::Later);
        }
    }

    /// A block waits when others have left for it.
    #[cold]
    #[inline(never)]
    fn detain_instead(&'static self, waiting: Waiting, size: usize, attention: Attention) {
        let quarantine = &self.quarantine;
        if quarantine.budget.load(Relaxed) == 0 {
            return self.release(waiting, attention);
        }
        while quarantine.held.load(Relaxed) != 0 {
            self.release_half(attention);
            if quarantine.enter(waiting, size).is_ok() {
                return;
            }
        }
        quarantine.enter_alone(waiting, size);
    }

    /// Half of those that wait go to their pages' lists, or the only one.
    fn release_half(&'static self, attention: Attention) {
        // Taken first, for who looks at a page may put other blocks here.
        let taken = self.quarantine.take_half(&self.heap.rng);
        taken.into_iter().flatten().for_each(|waiting| self.release(waiting, attention));
    }

    /// All that wait go to their pages' lists.
    pub(super) fn empty_quarantine(&'static self) {
        while self.quarantine.held.load(Relaxed) != 0 {
            self.release_half(Attention::Later);
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
    #[inline]
    fn release(&'static self, waiting: Waiting, attention: Attention) {
        let Waiting { page, address } = waiting;
        let Some(owned) = page.owned_by(self.me()) else {
            report::internal("the quarantine holds another thread's block", Operation::Free, address);
        };
        if page.spot(Granule::of(address)).is_out() {
            report::internal("a live block in the quarantine", Operation::Free, address);
        }
        page.leave_quarantine(&owned);
        match page.push_posted(address, &owned) {
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
