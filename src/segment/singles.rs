//! The large blocks of one heap: a list through their pages' descriptions, for whoever ends the heap or walks over it.
//!
//! ```text
//!   heap: first ---> page <---> page <---> page          a page of one block has no lists of its own,
//!           ^---------'----------'----------'            so its links and the word for its heap are free for this
//! ```
//!
//! Anyone may free such a block, whatever his thread. So the list is changed under the lock of the space only, which a
//! large block's birth and end take anyway. A page is on the list of the heap that its word names, or on none.

use super::area::Home;
use super::space::{Locked, lock};
use super::{purge, segment_of, single, voids};
use crate::os::valgrind;
use crate::page::Page;
use crate::sync::{AtomicPtr, AtomicU32, Relaxed};
use core::{iter, ptr};

/// The head of such a list. Empty when all its bytes are zero.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Singles {
    first: AtomicPtr<Page>,
    /// Where the heap's memory comes from, as a number.
    home: AtomicU32,
    /// The page on the list that has the next block of no bytes.
    voids: AtomicPtr<Page>,
}

fn page_at(link: &AtomicPtr<Page>) -> Option<&'static Page> {
    // SAFETY: links are null or pages' descriptions, which are never unmapped.
    unsafe { link.load(Relaxed).as_ref() }
}

impl Singles {
    /// Of no heap.
    pub(super) const fn new() -> Singles {
        Singles {
            first: AtomicPtr::new(ptr::null_mut()),
            home: AtomicU32::new(0),
            voids: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// For a heap that is new: whatever was on the list was taken off it.
    pub(crate) fn clear(&self) {
        self.first.store(ptr::null_mut(), Relaxed);
        self.voids.store(ptr::null_mut(), Relaxed);
        self.settle(Home::ANY);
    }

    /// The heap's memory comes from there and from nowhere else.
    pub(crate) fn settle(&self, home: Home) {
        self.home.store(home.number(), Relaxed);
    }

    /// Where the heap's memory comes from.
    pub(crate) fn home(&self) -> Home {
        Home::numbered(self.home.load(Relaxed))
    }

    /// The same for whoever has a list, or none.
    pub(super) fn home_of(list: Option<&Singles>) -> Home {
        list.map_or(Home::ANY, Singles::home)
    }

    /// Whether this page of one block is on the list: for any thread, as of a moment ago.
    pub(crate) fn has(&self, page: &Page) -> bool {
        ptr::addr_eq(page.hot.heap.load(Relaxed), self)
    }

    /// The page that has the next block of no bytes. Like all that follows, under the lock.
    pub(super) fn voids(&self) -> Option<&'static Page> {
        page_at(&self.voids)
    }

    pub(super) fn set_voids(&self, page: Option<&'static Page>) {
        self.voids.store(page.map_or(ptr::null_mut(), |page| ptr::from_ref(page).cast_mut()), Relaxed);
    }

    /// The list that the page is on.
    pub(super) fn of(page: &Page) -> Option<&'static Singles> {
        // SAFETY: null or the list of a heap, whose metadata is never unmapped.
        unsafe { page.hot.heap.load(Relaxed).cast::<Singles>().as_ref() }
    }

    /// A page that is on no list enters one, or none.
    pub(super) fn link(list: Option<&'static Singles>, page: &'static Page, _locked: &Locked) {
        let this = ptr::from_ref(page).cast_mut();
        page.hot.previous.store(ptr::null_mut(), Relaxed);
        let Some(list) = list else {
            page.hot.next.store(ptr::null_mut(), Relaxed);
            page.hot.heap.store(ptr::null_mut(), Relaxed);
            return;
        };
        let next = page_at(&list.first);
        page.hot.next.store(list.first.load(Relaxed), Relaxed);
        page.hot.heap.store(ptr::from_ref(list).cast_mut().cast(), Relaxed);
        if let Some(next) = next {
            next.hot.previous.store(this, Relaxed);
        }
        list.first.store(this, Relaxed);
    }

    /// The page leaves its list, if it is on one.
    pub(super) fn unlink(page: &'static Page, locked: &Locked) {
        let Some(list) = Self::of(page) else { return };
        let next = page.hot.next.load(Relaxed);
        match page_at(&page.hot.previous) {
            Some(previous) => previous.hot.next.store(next, Relaxed),
            None => list.first.store(next, Relaxed),
        }
        if let Some(next) = page_at(&page.hot.next) {
            next.hot.previous.store(page.hot.previous.load(Relaxed), Relaxed);
        }
        Self::link(None, page, locked);
    }

    /// Those on the list. While the lock is held, they stay there.
    pub(crate) fn pages(&self, _locked: &Locked) -> impl Iterator<Item = &'static Page> {
        iter::successors(page_at(&self.first), |page| page_at(&page.hot.next))
    }

    /// All blocks move to another list, or to none.
    pub(crate) fn give(&self, to: Option<&'static Singles>) {
        loop {
            // For each block anew: there may be many, and others wait.
            let locked = lock();
            self.set_voids(None);
            let Some(page) = page_at(&self.first) else { return };
            if page.face.has_voids() && page.used() == 0 {
                voids::end(page, &locked);
                continue;
            }
            Self::unlink(page, &locked);
            Self::link(to, page, &locked);
        }
    }

    /// All blocks are freed.
    pub(crate) fn free_all(&self) {
        loop {
            let locked = lock();
            self.set_voids(None);
            let Some(page) = page_at(&self.first) else { break };
            if page.face.has_voids() {
                page.voids().for_each(|start| valgrind::block_ends(start.addr().get()));
                voids::end(page, &locked);
                continue;
            }
            Self::unlink(page, &locked);
            let Some(segment) = segment_of(page) else { continue };
            // Whoever was faster waits for the lock, and gives the page up himself.
            if single::claim(segment, page).is_ok() {
                valgrind::block_ends(page.face.start().addr().wrapping_add(page.face.skew()));
                single::give_up(page, single::hide(segment, page), &locked);
            }
        }
        purge::tick();
    }
}
