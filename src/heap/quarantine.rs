//! The quarantine: freed blocks that wait before they come back to their pages' lists.
//!
//! ```text
//!            base        base + vacant
//!  | b | b | b |   |   |   | b | b | b | b | b | b |      SLOTS in a ring; a block that comes takes the last vacant place
//!
//!  no place is vacant, or the budget of bytes is used up: `base` is drawn at random, and from there on half of the ring becomes vacant;
//!  the blocks there go to their pages' lists
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
use crate::sync::{AtomicI64, AtomicPtr, AtomicU32, AtomicUsize, Relaxed};
use core::ptr;

/// Blocks at most, a power of two. A block leaves at the next free with a chance of no more than one in so many: half of the places become
/// vacant, and only when all are taken.
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

    #[inline(always)]
    fn clear(&self) {
        self.page.store(ptr::null_mut(), Relaxed);
    }

    /// None where there is no block.
    #[inline(always)]
    fn get(&self) -> Option<Waiting> {
        // SAFETY: null or the description of a page, which is never unmapped.
        let page = unsafe { self.page.load(Relaxed).as_ref() }?;
        Some(Waiting { page, address: self.block.load(Relaxed) })
    }
}

/// Only its thread touches it. Has no place when all its bytes are zero.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Quarantine {
    /// Where the vacant places begin.
    base: AtomicUsize,
    /// How many there are. What lies in them is of no account; all other places hold a block, or nothing.
    vacant: AtomicUsize,
    /// Bytes that blocks which come may have; below 0 while one waits that is larger than the budget.
    room: AtomicI64,
    /// How many these are when none waits. One block may always wait, but in tests that want none to: for them it is 0.
    budget: AtomicI64,
    /// Blocks have gone to pages that nobody has looked at since.
    unattended: AtomicU32,
    slots: [Slot; SLOTS],
}

impl Quarantine {
    /// Empties it, without a look at what it held, and reads its budget.
    pub(super) fn reset(&self) {
        self.vacant.store(SLOTS, Relaxed);
        self.room.store(0, Relaxed);
        self.budget.store(0, Relaxed);
        self.set_budget(options::bytes(Setting::BlockQuarantine));
    }

    pub(super) fn set_budget(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let waiting = self.budget.load(Relaxed).wrapping_sub(self.room.load(Relaxed));
        self.budget.store(bytes, Relaxed);
        self.room.store(bytes.wrapping_sub(waiting), Relaxed);
    }

    /// Whether none waits: every block has bytes.
    fn is_empty(&self) -> bool {
        self.room.load(Relaxed) == self.budget.load(Relaxed)
    }

    #[inline(always)]
    fn slot(&self, place: usize) -> Option<&Slot> {
        self.slots.get(place & SLOTS.wrapping_sub(1))
    }

    /// A block of `size` bytes enters, if there is room for it.
    #[inline(always)]
    fn enter(&self, waiting: Waiting, size: usize) -> Result<(), NoRoom> {
        let room = self.room.load(Relaxed).wrapping_sub_unsigned(size as u64);
        if room < 0 {
            return Err(NoRoom);
        }
        self.put(waiting, room)
    }

    /// A block enters that is alone, whatever its size.
    fn enter_alone(&self, waiting: Waiting, size: usize) {
        let _ = self.put(waiting, self.room.load(Relaxed).wrapping_sub_unsigned(size as u64));
    }

    #[inline(always)]
    fn put(&self, waiting: Waiting, room: i64) -> Result<(), NoRoom> {
        let vacant = self.vacant.load(Relaxed).checked_sub(1).ok_or(NoRoom)?;
        self.slot(self.base.load(Relaxed).wrapping_add(vacant)).ok_or(NoRoom)?.put(waiting);
        self.vacant.store(vacant, Relaxed);
        self.room.store(room, Relaxed);
        Ok(())
    }

    /// From a place drawn at random on all may leave.
    fn open(&self, rng: &Rng) {
        let base = self.base.load(Relaxed);
        let vacant = base..base.wrapping_add(self.vacant.load(Relaxed));
        vacant.filter_map(|place| self.slot(place)).for_each(Slot::clear);
        self.vacant.store(0, Relaxed);
        self.base.store(rng.below(SLOTS as u32) as usize, Relaxed);
    }

    /// The next place becomes vacant: what was there.
    #[inline(always)]
    fn take(&self) -> Option<Waiting> {
        let vacant = self.vacant.load(Relaxed);
        if vacant == SLOTS {
            return None;
        }
        self.vacant.store(vacant.wrapping_add(1), Relaxed);
        let waiting = self.slot(self.base.load(Relaxed).wrapping_add(vacant))?.get()?;
        self.make_room(waiting.page);
        Some(waiting)
    }

    /// A block of this page does not wait any more.
    #[inline(always)]
    fn make_room(&self, page: &Page) {
        self.room.store(self.room.load(Relaxed).wrapping_add_unsigned(page.face.block_size() as u64), Relaxed);
    }

    /// Blocks of the page leave: they are on its lists, or the page has no blocks any more.
    pub(super) fn forget(&self, page: &Page) {
        for slot in self.taken() {
            if slot.get().is_some_and(|waiting| ptr::eq(waiting.page, page)) {
                slot.clear();
                self.make_room(page);
            }
        }
    }

    /// The places that are not vacant.
    fn taken(&self) -> impl Iterator<Item = &Slot> {
        let base = self.base.load(Relaxed);
        let first = base.wrapping_add(self.vacant.load(Relaxed));
        (first..base.wrapping_add(SLOTS)).filter_map(|place| self.slot(place))
    }

    /// The blocks that wait.
    pub(super) fn iter(&self) -> impl Iterator<Item = Waiting> {
        self.taken().filter_map(Slot::get)
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
        loop {
            // Also if none waits: places from which blocks were forgotten are not vacant before.
            self.release_some(LEAVING, attention);
            if quarantine.enter(waiting, size).is_ok() {
                return;
            }
            if quarantine.is_empty() {
                return quarantine.enter_alone(waiting, size);
            }
        }
    }

    /// So many places become vacant, and the blocks there go to their pages' lists.
    fn release_some(&'static self, places: usize, attention: Attention) {
        self.quarantine.open(&self.heap.rng);
        for _ in 0..places {
            // Whoever looks at a page may put other blocks here, and even make room for them.
            if let Some(waiting) = self.quarantine.take() {
                self.release(waiting, attention);
            }
        }
    }

    /// All that wait go to their pages' lists.
    pub(super) fn empty_quarantine(&'static self) {
        while !self.quarantine.is_empty() {
            self.release_some(SLOTS, Attention::Later);
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
    #[inline(always)]
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
