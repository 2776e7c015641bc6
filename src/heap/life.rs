//! Heaps that the program makes and ends.
//!
//! ```text
//!   new ---> a heap of the calling thread ---+--- delete ---> its pages join the thread's backing heap
//!              (its own pages, its own order)  |
//!                                              +--- destroy --> all its blocks are freed, whoever holds them
//!                                              |
//!                                              +--- end of the thread: as delete, and then abandoned with the rest
//! ```
//!
//! Such a heap never adopts a page of an ended thread: destroying it must free what was allocated from it and nothing else.
//!
//! What `destroy` does to a block is what its owner's free does, without the way back to a list: the state bit goes first,
//! so that a later free finds no live block, and is a double free. A free by another thread that has returned is collected like
//! any other. One that is held up half way is a misuse that no allocator can order; its marks are cleared with the rest, or
//! found at the next birth of the page.

use super::handle::HeapHandle;
use super::mail;
use super::queue::class_of;
use super::thread::{Heap, Thread};
use super::{Collect, abandon, start, verify};
use crate::mitigations::MITIGATIONS;
use crate::os::valgrind::quiet;
use crate::report::{self, Operation};
use crate::segment::{self, ArenaId, Home, meta, space};
use crate::sync::{AtomicPtr, Relaxed};
use core::ptr;

/// Heaps that have ended.
static SPARE: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());

/// A new heap of the calling thread. None if there is no memory, or the thread has run its last destructor.
pub(crate) fn new() -> Option<HeapHandle> {
    report::die_if_dying();
    start::renew_if_cloned().ok()?;
    let thread = Thread::current_or_new()?;
    let locked = space::lock();
    // SAFETY: null or a heap's metadata, which is never unmapped.
    let heap = match unsafe { SPARE.load(Relaxed).as_ref() } {
        Some(heap) => {
            SPARE.store(heap.next.load(Relaxed), Relaxed);
            heap
        }
        None => meta::allocate::<Heap>(&locked).ok()?,
    };
    heap.reset(thread);
    heap.join_thread(thread, &locked);
    let handle = heap.name.begin(heap, &locked);
    if handle.is_err() {
        heap.part(thread, &locked);
    }
    handle.ok()
}

/// The same, of memory of this arena alone. Of an id that is none every allocation fails.
pub(crate) fn new_at(id: ArenaId) -> Option<HeapHandle> {
    let handle = new()?;
    if let Some(heap) = handle.own() {
        heap.singles.settle(Home::of(id));
    }
    Some(handle)
}

/// The calling thread's first heap.
pub(crate) fn backing() -> Option<HeapHandle> {
    handle_of(|thread| &thread.heap)
}

/// The heap that the calling thread's malloc takes.
pub(crate) fn default() -> Option<HeapHandle> {
    handle_of(Thread::default)
}

fn handle_of(choose: impl FnOnce(&'static Thread) -> &'static Heap) -> Option<HeapHandle> {
    report::die_if_dying();
    start::renew_if_cloned().ok()?;
    let heap = choose(Thread::current_or_new()?);
    match heap.name.handle() {
        Some(handle) => Some(handle),
        None => heap.name.begin(heap, &space::lock()).ok(),
    }
}

/// malloc takes this heap from now on. The one that it took before; null only if that has no name and there is no memory for
/// one.
pub(crate) fn set_default(handle: HeapHandle) -> Option<HeapHandle> {
    let heap = handle.expect_own(Operation::SetDefault);
    let old = default();
    if let Some(thread) = heap.thread() {
        thread.set_default(heap);
    }
    old
}

/// Takes back what other threads have freed in this heap's pages, and gives empty ones back.
pub(crate) fn collect(handle: HeapHandle, how: Collect) {
    let heap = handle.expect_own(Operation::Collect);
    verify::before_collection(how);
    let _quiet = quiet();
    if let Some(thread) = heap.thread() {
        mail::take(thread);
        heap.collect();
        if how == Collect::Fully {
            abandon::sweep(thread);
        }
    }
    match how {
        Collect::Gently => segment::purge_due(),
        Collect::Fully => segment::purge_all(),
    }
}

/// Ends the heap; its live blocks are the backing heap's from now on. The backing heap itself stays.
pub(crate) fn delete(handle: HeapHandle) {
    let heap = handle.expect_own(Operation::HeapDelete);
    let _quiet = quiet();
    report::die_if_dying();
    if let Some(thread) = heap.thread().filter(|_| !heap.is_backing()) {
        if MITIGATIONS.quarantine && heap.home() != Home::ANY {
            // Pages may be abandoned, and none with a block that waits.
            thread.empty_quarantine();
        }
        heap.give_pages(&thread.heap);
        heap.singles.give(Some(&thread.heap.singles));
        heap.end(thread);
    }
}

/// Ends the heap, and frees all its blocks. The backing heap stays, and so do its blocks.
pub(crate) fn destroy(handle: HeapHandle) {
    let heap = handle.expect_own(Operation::HeapDestroy);
    let _quiet = quiet();
    report::die_if_dying();
    if let Some(thread) = heap.thread().filter(|_| !heap.is_backing()) {
        verify::before_destruction(heap);
        heap.free_pages();
        heap.singles.free_all();
        heap.end(thread);
    }
}

impl Heap {
    /// All pages move to another heap of the same thread.
    fn give_pages(&'static self, to: &'static Heap) {
        self.forget_direct();
        for queue in self.all_queues() {
            while let Some(page) = queue.first() {
                let (owned, class) = (self.own(page, Operation::HeapDelete), class_of(page, Operation::HeapDelete));
                self.leave(page, class);
                if page.used() == 0 {
                    segment::retire(page, owned);
                } else if segment::segment_of(page).is_some_and(|segment| segment.is_at(to.home())) {
                    to.join(page, class, &owned);
                } else {
                    // The other heap must not allocate there.
                    abandon::give_away(self, page, class, owned);
                }
            }
        }
    }

    /// All blocks are freed, and the pages given up.
    fn free_pages(&'static self) {
        self.forget_direct();
        for queue in self.all_queues() {
            while let Some(page) = queue.first() {
                let (owned, class) = (self.own(page, Operation::HeapDestroy), class_of(page, Operation::HeapDestroy));
                self.leave(page, class);
                mail::collect_page(self, page, &owned);
                self.release_from_quarantine(page);
                page.free_all(&owned);
                segment::retire(page, owned);
            }
        }
    }

    /// The heap has no block any more, and no handle names it.
    fn end(&'static self, thread: &'static Thread) {
        if ptr::eq(thread.default(), self) {
            thread.set_default(&thread.heap);
        }
        self.part(thread, &space::lock());
    }

    /// Becomes one of the thread's heaps.
    fn join_thread(&'static self, thread: &'static Thread, _locked: &space::Locked) {
        let next = thread.heaps.load(Relaxed);
        let this = ptr::from_ref(self).cast_mut();
        // SAFETY: null or a heap's metadata, which is never unmapped.
        if let Some(next) = unsafe { next.as_ref() } {
            next.previous.store(this, Relaxed);
        }
        self.previous.store(ptr::null_mut(), Relaxed);
        self.next.store(next, Relaxed);
        thread.heaps.store(this, Relaxed);
    }

    /// Leaves its thread's heaps for the spare ones.
    pub(super) fn part(&'static self, thread: &'static Thread, _locked: &space::Locked) {
        self.name.end();
        let (previous, next) = (self.previous.load(Relaxed), self.next.load(Relaxed));
        // SAFETY: null or a heap's metadata, which is never unmapped.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.store(next, Relaxed),
            None => thread.heaps.store(next, Relaxed),
        }
        // SAFETY: as above.
        if let Some(next) = unsafe { next.as_ref() } {
            next.previous.store(previous, Relaxed);
        }
        self.next.store(SPARE.load(Relaxed), Relaxed);
        SPARE.store(ptr::from_ref(self).cast_mut(), Relaxed);
    }
}
