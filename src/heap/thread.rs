//! What a thread has: a mailbox and heaps. Lies in metadata that is never given back, and serves the next thread.
//!
//! The first heap lies in the thread's own metadata, and is there as long as the thread: the *backing heap*. The program may
//! make others ([`super::life`]). The one that malloc takes is the *default heap*.

use super::handle::Name;
use super::lost::{self, Holder};
use super::quarantine::Quarantine;
use super::queue::Queue;
use super::sample::{self, UNDRAWN};
use crate::entropy::{self, Rng};
use crate::geometry::{CLASSES, Class, GRANULE, SMALL_MAX, SMALL_STEPS};
use crate::mitigations::MITIGATIONS;
use crate::os::{self, StackBounds};
use crate::page::{EMPTY, Page};
use crate::remote::Mailbox;
use crate::segment::{Home, Singles, Zone, meta, space};
use crate::sync::{
    Acquire, AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Relaxed, Release,
};
use core::ptr;

/// `os::local_state` of a thread whose last destructor has run.
pub(super) const GONE: usize = 1;

/// How many heaps for data a thread has.
const DATA_HEAPS: usize = if MITIGATIONS.partition { 1 } else { 0 };

/// A heap. Valid when all its bytes are zero; `reset` makes it fit for use.
#[repr(C)]
pub(crate) struct Heap {
    /// For each small size, in granules, the page to pop from.
    direct: [AtomicPtr<Page>; SMALL_STEPS],
    /// For each class, the same: for sizes above the small ones.
    by_class: [AtomicPtr<Page>; CLASSES],
    pub(super) queues: [Queue; CLASSES],
    pub(super) full: Queue,
    /// Pages that are empty, of any class, the last to become so first.
    pub(super) idle: Queue,
    /// Slices of those.
    pub(super) idle_slices: AtomicUsize,
    /// Blocks with pages of their own.
    pub(super) singles: Singles,
    pub(super) rng: Rng,
    thread: AtomicPtr<Thread>,
    /// Classes whose only page is empty and kept for a while, one bit each.
    pub(super) lingering: AtomicU64,
    /// The fork generation that the tables were aimed under.
    generation: AtomicU32,
    /// Slow paths so far.
    pub(super) beats: AtomicU32,
    /// Times that a page ran out and had what the thread itself had freed.
    pub(super) refills: AtomicU32,
    /// Pages of ended threads that this heap has adopted by freeing into them, less those of any origin that have left it since: a thread
    /// that uses its pages up may adopt many, one that only frees must not keep them from others.
    pub(super) adopted: AtomicUsize,
    /// One allocation in so many stands alone; 0 is none.
    pub(super) every: AtomicU32,
    /// Allocations until the next.
    pub(super) countdown: AtomicI64,
    /// What the program calls it by.
    pub(super) name: Name,
    /// Values of the safe interface that name it, but for the first.
    shares: AtomicUsize,
    /// The next of the thread's heaps, or of the spare ones. Changed under the lock of the space.
    pub(super) next: AtomicPtr<Heap>,
    pub(super) previous: AtomicPtr<Heap>,
}

/// A thread's part of the allocator.
#[repr(C)]
pub(crate) struct Thread {
    /// First, so that the thread's address is that of its mailbox: what pages say of their owner.
    mailbox: Mailbox,
    /// The backing heap.
    pub(crate) heap: Heap,
    /// With `partition` the one for blocks that can hold no pointer.
    data: [Heap; DATA_HEAPS],
    /// The heaps that the program has made.
    pub(super) heaps: AtomicPtr<Heap>,
    /// The heap of malloc.
    default: AtomicPtr<Heap>,
    /// The next of all that were ever made.
    next: AtomicPtr<Thread>,
    /// The next of those without a thread.
    spare: AtomicPtr<Thread>,
    active: AtomicU8,
    pub(super) holder: Holder,
    /// Rounds of thread-local destructors that have passed.
    pub(super) rounds: AtomicU8,
    /// The C library will call us at the end of the thread.
    pub(super) armed: AtomicBool,
    /// Blocks that other threads have freed and this one has collected. Never reset: the sum over all is a statistic.
    pub(super) collected: AtomicU64,
    /// The thread's stack, for those who want to know who called.
    pub(super) stack: StackBounds,
    /// The program's deferred frees are running.
    pub(super) in_deferred: AtomicBool,
    /// How often they were called by this thread.
    pub(super) heartbeat: AtomicU64,
    /// Freed blocks of its pages that wait.
    pub(super) quarantine: Quarantine,
}

// SAFETY: atomics throughout, for which zero is valid; a queue and a generator are such.
unsafe impl meta::Zeroed for Thread {}

// SAFETY: as above.
unsafe impl meta::Zeroed for Heap {}

static ALL: AtomicPtr<Thread> = AtomicPtr::new(ptr::null_mut());
static SPARE: AtomicPtr<Thread> = AtomicPtr::new(ptr::null_mut());

impl Heap {
    /// The calling thread's default heap, if it has one.
    #[inline(always)]
    pub(crate) fn current() -> Option<&'static Heap> {
        let heap = os::local_heap().cast::<Heap>();
        // SAFETY: the word is null or a heap of this thread, whose metadata is never unmapped.
        unsafe { heap.as_ref() }
    }

    /// The page that malloc pops from for a small size. The empty page if the heap has none.
    #[inline(always)]
    pub(super) fn direct(&self, size: usize) -> &'static Page {
        let step = size.wrapping_add(GRANULE - 1) / GRANULE;
        // SAFETY: the callers' sizes are at most SMALL_MAX.
        let page = unsafe { self.direct.get_unchecked(step) }.load(Relaxed);
        // SAFETY: `reset` fills the table before the heap is used; its entries are the empty page or pages' descriptions,
        // which are never unmapped.
        unsafe { &*page }
    }

    /// The same for any size of a class.
    #[inline]
    pub(super) fn direct_of(&self, class: Class) -> &'static Page {
        // SAFETY: a class is below CLASSES by construction.
        let page = unsafe { self.by_class.get_unchecked(class.index()) }.load(Relaxed);
        // SAFETY: as in `direct`.
        unsafe { &*page }
    }

    /// The tables name `page` for all sizes of its class from now on.
    pub(super) fn set_direct(&self, class: Class, page: Option<&'static Page>) {
        let page = page.filter(|_| !self.takes_all_slow_paths());
        let page = ptr::from_ref(page.unwrap_or(&EMPTY)).cast_mut();
        if let Some(entry) = self.by_class.get(class.index()) {
            entry.store(page, Relaxed);
        }
        if class.block_size() > SMALL_MAX {
            return;
        }
        let first = class.least().div_ceil(GRANULE);
        let count = (class.block_size() / GRANULE).wrapping_add(1).wrapping_sub(first);
        for entry in self.direct.iter().skip(first).take(count) {
            entry.store(page, Relaxed);
        }
    }

    /// In a clone whose secret was renewed, by whatever path: no page is popped from before it was redrawn.
    pub(super) fn follow_generation(&self) {
        let now = entropy::generation();
        if self.generation.load(Relaxed) != now {
            self.generation.store(now, Relaxed);
            self.forget_direct();
        }
    }

    /// No page is popped from without a slow path first.
    pub(super) fn forget_direct(&self) {
        for entry in self.direct.iter().chain(&self.by_class) {
            entry.store(ptr::from_ref(&EMPTY).cast_mut(), Relaxed);
        }
    }

    pub(super) fn queue(&self, class: Class) -> &Queue {
        // A class is below CLASSES by construction.
        self.queues.get(class.index()).unwrap_or(&self.full)
    }

    /// The mailbox of the heap's thread.
    pub(super) fn me(&self) -> *mut Mailbox {
        self.thread.load(Relaxed).cast()
    }

    pub(super) fn thread(&self) -> Option<&'static Thread> {
        // SAFETY: null or a thread's metadata, which is never unmapped.
        unsafe { self.thread.load(Relaxed).as_ref() }
    }

    /// Whether it is one of those that a thread begins with, and which stay as long as the thread.
    pub(super) fn is_backing(&self) -> bool {
        self.thread().is_some_and(|thread| thread.backing().any(|heap| ptr::eq(self, heap)))
    }

    /// Where its memory comes from.
    pub(super) fn home(&self) -> Home {
        self.singles.home()
    }

    /// One value more names the heap.
    pub(crate) fn share(&self) {
        self.shares.store(self.shares.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// One value less. True: it was the last.
    pub(crate) fn unshare(&self) -> bool {
        let others = self.shares.load(Relaxed);
        self.shares.store(others.saturating_sub(1), Relaxed);
        others == 0
    }

    pub(super) fn reset(&self, thread: &'static Thread) {
        self.forget_direct();
        self.all_queues().for_each(Queue::clear);
        self.idle_slices.store(0, Relaxed);
        self.beats.store(0, Relaxed);
        self.refills.store(0, Relaxed);
        self.singles.clear();
        self.thread.store(ptr::from_ref(thread).cast_mut(), Relaxed);
        self.lingering.store(0, Relaxed);
        self.generation.store(entropy::generation(), Relaxed);
        self.adopted.store(0, Relaxed);
        self.every.store(sample::every() as u32, Relaxed);
        self.countdown.store(UNDRAWN, Relaxed);
        self.shares.store(0, Relaxed);
    }
}

impl Thread {
    /// The calling thread's, if it has one.
    #[inline(always)]
    pub(crate) fn current() -> Option<&'static Thread> {
        let thread = os::local().cast::<Thread>();
        // SAFETY: the word is null or the address of this thread's metadata, which is never unmapped.
        unsafe { thread.as_ref() }
    }

    /// The mailbox, which is also how pages name their owner.
    #[inline(always)]
    pub(crate) fn me(&self) -> *mut Mailbox {
        ptr::from_ref(self).cast_mut().cast()
    }

    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }

    /// The calling thread's, made if need be. None if it is gone, or there is no memory for one.
    pub(super) fn current_or_new() -> Option<&'static Thread> {
        if let Some(thread) = Self::current() {
            super::start::arm(thread);
            if os::local_heap().is_null() {
                thread.set_default(thread.default());
            }
            return Some(thread);
        }
        if os::local_state() == GONE {
            return None;
        }
        super::start::start();
        let thread = Self::take()?;
        thread.holder.begin();
        os::set_local(thread.me().cast());
        thread.set_default(&thread.heap);
        super::start::arm(thread);
        Some(thread)
    }

    /// The heaps that it begins with, malloc's first.
    fn backing(&self) -> impl Iterator<Item = &Heap> {
        core::iter::once(&self.heap).chain(&self.data)
    }

    /// The heap for blocks of this zone: the default heap, but for data if the program has chosen none.
    #[inline(always)]
    pub(super) fn heap_for(&'static self, zone: Zone) -> &'static Heap {
        let default = self.default();
        match self.data.first() {
            Some(data) if zone == Zone::Data && ptr::eq(default, &self.heap) => data,
            _ => default,
        }
    }

    /// The one of the heaps that it begins with that may have pages of this zone.
    pub(super) fn backing_for(&'static self, zone: Zone) -> &'static Heap {
        match self.data.first() {
            Some(data) if zone == Zone::Data => data,
            _ => &self.heap,
        }
    }

    /// The heap of malloc.
    pub(super) fn default(&'static self) -> &'static Heap {
        // SAFETY: null or a heap of this thread, whose metadata is never unmapped.
        unsafe { self.default.load(Relaxed).as_ref() }.unwrap_or(&self.heap)
    }

    /// The calling thread allocates from this heap of its own from now on.
    pub(super) fn set_default(&'static self, heap: &'static Heap) {
        let heap = ptr::from_ref(heap).cast_mut();
        self.default.store(heap, Relaxed);
        os::set_local_heap(heap.cast());
    }

    /// The thread's heaps, those that it began with first. The one that the caller has may leave meanwhile.
    pub(super) fn heaps(&'static self) -> impl Iterator<Item = &'static Heap> {
        let mut next = self.heaps.load(Relaxed);
        self.backing().chain(core::iter::from_fn(move || {
            // SAFETY: null or a heap's metadata, which is never unmapped.
            let heap = unsafe { next.as_ref() }?;
            next = heap.next.load(Relaxed);
            Some(heap)
        }))
    }

    /// Does `work` with the calling thread's part or, if it has none, with one for the moment, whose heap stays empty. None if
    /// there is no memory for that.
    pub(super) fn with_one<T>(work: impl FnOnce(&'static Thread) -> T) -> Option<T> {
        if let Some(thread) = Self::current() {
            return Some(work(thread));
        }
        if super::start::renew_if_cloned().is_err() {
            return None;
        }
        let thread = Self::take()?;
        let result = work(thread);
        thread.put_back();
        Some(result)
    }

    /// A thread's metadata for the moment, spare or new.
    pub(super) fn take() -> Option<&'static Thread> {
        if SPARE.load(Relaxed).is_null() {
            lost::find_some();
        }
        let thread = Self::take_as_it_is()?;
        thread.backing().for_each(|heap| heap.reset(thread));
        thread.data.iter().for_each(|heap| heap.singles.settle(Home::DATA));
        if MITIGATIONS.quarantine {
            thread.quarantine.reset();
        }
        thread.heaps.store(ptr::null_mut(), Relaxed);
        thread.default.store(ptr::null_mut(), Relaxed);
        thread.rounds.store(0, Relaxed);
        thread.armed.store(false, Relaxed);
        thread.stack.forget();
        thread.in_deferred.store(false, Relaxed);
        thread.heartbeat.store(0, Relaxed);
        Some(thread)
    }

    /// The same as whoever had it has left it.
    pub(super) fn take_as_it_is() -> Option<&'static Thread> {
        let locked = space::lock();
        // SAFETY: null or a thread's metadata, which is never unmapped.
        let thread = match unsafe { SPARE.load(Relaxed).as_ref() } {
            Some(thread) => {
                SPARE.store(thread.spare.load(Relaxed), Relaxed);
                thread
            }
            None => {
                let thread = meta::allocate::<Thread>(&locked).ok()?;
                thread.next.store(ALL.load(Relaxed), Relaxed);
                ALL.store(ptr::from_ref(thread).cast_mut(), Release);
                thread
            }
        };
        // Under the lock, which fork holds: in its child metadata is among the spare ones, or active and put there.
        thread.active.store(1, Relaxed);
        Some(thread)
    }

    /// Puts the metadata among the spare ones, and that of its heaps. They have no page any more.
    pub(super) fn put_back(&'static self) {
        let locked = space::lock();
        self.heap.name.end();
        while let Some(heap) = self.heaps().nth(1 + DATA_HEAPS) {
            heap.part(self, &locked);
        }
        self.holder.end();
        self.active.store(0, Relaxed);
        self.spare.store(SPARE.load(Relaxed), Relaxed);
        SPARE.store(ptr::from_ref(self).cast_mut(), Relaxed);
    }

    /// All that were ever made.
    pub(crate) fn all() -> impl Iterator<Item = &'static Thread> {
        core::iter::successors(Self::newest(), |thread| thread.older())
    }

    /// The first of them.
    pub(super) fn newest() -> Option<&'static Thread> {
        // SAFETY: null or a thread's metadata, which is never unmapped.
        unsafe { ALL.load(Acquire).as_ref() }
    }

    /// The next of them.
    pub(super) fn older(&self) -> Option<&'static Thread> {
        // SAFETY: as in `newest`.
        unsafe { self.next.load(Acquire).as_ref() }
    }

    /// Whether a thread uses it.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Relaxed) != 0
    }

    /// Blocks that others have freed and this thread, and those that had its metadata before, have collected.
    pub(crate) fn collected(&self) -> u64 {
        self.collected.load(Relaxed)
    }
}
