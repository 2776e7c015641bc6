//! Queues of pages, and a page's way through them.

use super::thread::Heap;
use crate::geometry::Class;
use crate::page::{Attention, Kind, Page};
use crate::remote::Owned;
use crate::report::{self, Operation};
use crate::segment;
use crate::sync::{AtomicPtr, Relaxed};
use core::ptr;

/// Rounds that the only page of a class is kept for while it is empty, where malloc finds it at once.
const PATIENCE: u8 = 16;
/// Slices of empty pages that a heap keeps besides: 4 MiB.
const IDLE_MAX: usize = 64;

/// A doubly linked list through the pages' owner lines. Only its thread touches it. Empty when all its bytes are zero.
#[derive(Debug)]
pub(crate) struct Queue {
    first: AtomicPtr<Page>,
    last: AtomicPtr<Page>,
}

/// Where a page enters a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Last,
}

fn page_at(pointer: &AtomicPtr<Page>) -> Option<&'static Page> {
    // SAFETY: a queue's links are null or pages' descriptions, which are never unmapped.
    unsafe { pointer.load(Relaxed).as_ref() }
}

fn address_of(page: Option<&'static Page>) -> *mut Page {
    page.map_or(ptr::null_mut(), |page| ptr::from_ref(page).cast_mut())
}

/// The class of a page that a heap has, which is never one of a single block.
pub(super) fn class_of(page: &'static Page, operation: Operation) -> Class {
    match page.face.kind() {
        Kind::Blocks(class) => class,
        Kind::Single | Kind::Voids => {
            report::internal("a page of one block in a heap", operation, page.face.start().addr())
        }
    }
}

impl Queue {
    pub(super) fn first(&self) -> Option<&'static Page> {
        page_at(&self.first)
    }

    fn last(&self) -> Option<&'static Page> {
        page_at(&self.last)
    }

    pub(super) fn clear(&self) {
        self.first.store(ptr::null_mut(), Relaxed);
        self.last.store(ptr::null_mut(), Relaxed);
    }

    /// Whether `page` is all there is.
    fn is_only(&self, page: &'static Page) -> bool {
        ptr::eq(self.first.load(Relaxed), page) && ptr::eq(self.last.load(Relaxed), page)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'static Page> {
        let mut next = self.first();
        core::iter::from_fn(move || {
            let page = next?;
            next = page_at(&page.hot.next);
            Some(page)
        })
    }

    fn insert(&self, page: &'static Page, end: End) {
        let (near, far) = match end {
            End::First => (&self.first, &self.last),
            End::Last => (&self.last, &self.first),
        };
        let neighbour = page_at(near);
        let (to_neighbour, to_nothing) = match end {
            End::First => (&page.hot.next, &page.hot.previous),
            End::Last => (&page.hot.previous, &page.hot.next),
        };
        to_neighbour.store(address_of(neighbour), Relaxed);
        to_nothing.store(ptr::null_mut(), Relaxed);
        match neighbour {
            Some(neighbour) => {
                let back = match end {
                    End::First => &neighbour.hot.previous,
                    End::Last => &neighbour.hot.next,
                };
                back.store(address_of(Some(page)), Relaxed);
            }
            None => far.store(address_of(Some(page)), Relaxed),
        }
        near.store(address_of(Some(page)), Relaxed);
    }

    fn remove(&self, page: &'static Page) {
        let (previous, next) = (page_at(&page.hot.previous), page_at(&page.hot.next));
        match previous {
            Some(previous) => previous.hot.next.store(address_of(next), Relaxed),
            None => self.first.store(address_of(next), Relaxed),
        }
        match next {
            Some(next) => next.hot.previous.store(address_of(previous), Relaxed),
            None => self.last.store(address_of(previous), Relaxed),
        }
        page.hot.next.store(ptr::null_mut(), Relaxed);
        page.hot.previous.store(ptr::null_mut(), Relaxed);
    }
}

impl Heap {
    /// The token for a page of this heap, all of which the heap's thread owns.
    pub(super) fn own(&self, page: &'static Page, operation: Operation) -> Owned {
        match page.owned_by(self.me()) {
            Some(owned) => owned,
            None => report::internal("a page in a heap that does not own it", operation, page.face.start().addr()),
        }
    }

    /// The table names the first page of the class's queue from now on: none if that is still to be redrawn after a fork.
    pub(super) fn aim(&self, class: Class) {
        self.set_direct(class, self.queue(class).first().filter(|page| page.is_current()));
    }

    /// A page that the heap's thread owns enters the heap, where malloc looks next.
    pub(super) fn enter(&'static self, page: &'static Page, class: Class, _owned: &Owned) {
        page.hot.heap.store(ptr::from_ref(self).cast_mut().cast(), Relaxed);
        page.hot.full.store(false, Relaxed);
        page.attend(Attention::WhenEmpty);
        self.queue(class).insert(page, End::First);
        self.aim(class);
    }

    /// The page enters the heap where malloc looks last.
    pub(super) fn join(&'static self, page: &'static Page, class: Class, _owned: &Owned) {
        page.hot.heap.store(ptr::from_ref(self).cast_mut().cast(), Relaxed);
        page.hot.full.store(false, Relaxed);
        page.hot.patience.store(0, Relaxed);
        page.attend(Attention::WhenEmpty);
        self.queue(class).insert(page, End::Last);
        self.aim(class);
    }

    /// The page leaves the heap; its owner is unchanged.
    pub(super) fn leave(&self, page: &'static Page, class: Class) {
        if page.hot.full.swap_relaxed(false) {
            self.full.remove(page);
        } else if page.hot.idle.swap_relaxed(false) {
            self.idle.remove(page);
            self.count_idle(page.face.slices().wrapping_neg());
        } else {
            self.queue(class).remove(page);
            self.aim(class);
        }
        page.hot.heap.store(ptr::null_mut(), Relaxed);
        self.adopted.store(self.adopted.load(Relaxed).saturating_sub(1), Relaxed);
    }

    /// The page has nothing to give: it waits among the full ones until enough of it is free ([`crate::page::Attention`]).
    pub(super) fn set_full(&self, page: &'static Page, class: Class, _owned: &Owned) {
        self.queue(class).remove(page);
        self.aim(class);
        page.hot.full.store(true, Relaxed);
        page.attend(Attention::WhenRoomy);
        self.full.insert(page, End::Last);
    }

    /// The page comes back from the full ones: at the tail, so that the blocks freed first wait longest.
    pub(super) fn set_roomy(&self, page: &'static Page, class: Class, _owned: &Owned) {
        self.full.remove(page);
        page.hot.full.store(false, Relaxed);
        page.attend(Attention::WhenEmpty);
        self.queue(class).insert(page, End::Last);
        self.aim(class);
    }

    /// What is to be done after a free into a page that wanted to be looked at.
    pub(super) fn attend(&self, page: &'static Page, owned: Owned) {
        let class = class_of(page, Operation::Free);
        if page.hot.full.load(Relaxed) {
            self.set_roomy(page, class, &owned);
        }
        if page.used() != 0 {
            return;
        }
        if self.queue(class).is_only(page) {
            page.hot.patience.store(PATIENCE, Relaxed);
            page.attend(Attention::Never);
            self.lingering.store(self.lingering.load(Relaxed) | 1 << class.index(), Relaxed);
        } else {
            self.shelve(page, class, owned);
        }
    }

    /// An empty page is put aside, for it has its key and its memory already; or given up, if there are too many of them.
    fn shelve(&self, page: &'static Page, class: Class, owned: Owned) {
        let slices = page.face.slices();
        if self.idle_slices.load(Relaxed).wrapping_add(slices) > IDLE_MAX {
            return self.retire(page, class, owned);
        }
        self.queue(class).remove(page);
        self.aim(class);
        page.attend(Attention::Never);
        page.hot.idle.store(true, Relaxed);
        self.idle.insert(page, End::First);
        self.count_idle(slices);
    }

    fn count_idle(&self, slices: usize) {
        self.idle_slices.store(self.idle_slices.load(Relaxed).wrapping_add(slices), Relaxed);
    }

    /// An idle page of the class comes back, if there is one. Its blocks are made anew: the order in which a program frees what
    /// it has is not one to allocate in again.
    pub(super) fn reuse(&'static self, class: Class) -> Option<&'static Page> {
        let page = self.idle.iter().find(|page| page.face.kind() == Kind::Blocks(class))?;
        let owned = self.own(page, Operation::Malloc);
        self.leave(page, class);
        page.unmake(&owned);
        self.enter(page, class, &owned);
        Some(page)
    }

    /// Idle pages are given up, the longest idle first, until at least so many slices are.
    pub(super) fn give_up_idle(&self, slices: usize, operation: Operation) {
        let mut given = 0_usize;
        while given < slices {
            let Some(page) = self.idle.last() else { return };
            given = given.wrapping_add(page.face.slices());
            self.retire(page, class_of(page, operation), self.own(page, operation));
        }
    }

    /// An empty page is given up.
    pub(super) fn retire(&self, page: &'static Page, class: Class, owned: Owned) {
        self.leave(page, class);
        segment::retire(page, owned);
    }

    /// Memory is wanted, or time has passed: empty pages that were kept in their queues lose patience, but for those of the
    /// class that is wanted.
    pub(super) fn lose_patience(&self, wanted: Option<Class>) {
        let mut classes = self.lingering.load(Relaxed) & !wanted.map_or(0, |class| 1 << class.index());
        while classes != 0 {
            let index = classes.trailing_zeros() as usize;
            classes &= classes.wrapping_sub(1);
            let Some(class) = Class::new(index) else { continue };
            let mut waits = false;
            let mut next = self.queue(class).first();
            while let Some(page) = next {
                next = page_at(&page.hot.next);
                let patience = page.hot.patience.load(Relaxed);
                if patience == 0 {
                    continue;
                }
                let owned = self.own(page, Operation::Malloc);
                let left = patience.saturating_sub(1);
                page.hot.patience.store(left, Relaxed);
                if left != 0 {
                    waits = true;
                } else if page.used() == 0 {
                    self.retire(page, class, owned);
                } else {
                    page.attend(Attention::WhenEmpty);
                }
            }
            if !waits {
                self.lingering.store(self.lingering.load(Relaxed) & !(1 << index), Relaxed);
            }
        }
    }

    /// After everything was collected: full pages with room come back, empty ones are given up.
    pub(super) fn sort_out(&self) {
        self.give_up_idle(usize::MAX, Operation::Collect);
        let mut next = self.full.first();
        while let Some(page) = next {
            next = page_at(&page.hot.next);
            let (owned, class) = (self.own(page, Operation::Collect), class_of(page, Operation::Collect));
            if page.wants_attention() {
                self.set_roomy(page, class, &owned);
            }
        }
        for class in Class::all() {
            let mut next = self.queue(class).first();
            while let Some(page) = next {
                next = page_at(&page.hot.next);
                let owned = self.own(page, Operation::Collect);
                if page.used() == 0 {
                    self.retire(page, class, owned);
                } else {
                    page.hot.patience.store(0, Relaxed);
                    page.attend(Attention::WhenEmpty);
                }
            }
        }
        self.lingering.store(0, Relaxed);
    }

    /// Full pages come back, whatever they have: there is no other memory, or, in the child of a fork, blocks of them may have been
    /// freed without a mark.
    pub(super) fn revisit_full(&self) {
        while let Some(page) = self.full.first() {
            let (owned, class) = (self.own(page, Operation::Collect), class_of(page, Operation::Collect));
            self.set_roomy(page, class, &owned);
        }
    }

    /// All queues that a page of the heap can be in.
    pub(super) fn all_queues(&self) -> impl Iterator<Item = &Queue> {
        self.queues.iter().chain([&self.full, &self.idle])
    }

    /// All pages of the heap, full and idle ones too.
    pub(crate) fn pages(&self) -> impl Iterator<Item = &'static Page> {
        self.all_queues().flat_map(Queue::iter)
    }
}

/// A plain exchange by the one thread that writes: no locked instruction.
trait SwapRelaxed {
    fn swap_relaxed(&self, value: bool) -> bool;
}

impl SwapRelaxed for crate::sync::AtomicBool {
    fn swap_relaxed(&self, value: bool) -> bool {
        let old = self.load(Relaxed);
        self.store(value, Relaxed);
        old
    }
}
