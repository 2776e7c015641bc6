//! malloc.

use super::terms::{Fill, Terms};
use super::thread::{Heap, Thread};
use super::{Collect, abandon, deferred, free, mail, sample, start};
use crate::geometry::{Class, GRANULE, SMALL_MAX, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::os::Caller;
use crate::os::valgrind::{self, quiet};
use crate::page::{Block, Contents, Page, Refused, TRAILER, VOIDS, padded};
use crate::remote::Owned;
use crate::report::{self, Kind, Operation, Report};
use crate::segment::{self, SingleShape, Zone, map};
use crate::sync::{AtomicU32, Relaxed};
use core::ptr::{self, NonNull};

/// Of so many times that a page runs out and has what the thread itself has freed, one takes the slow path all the same.
const REFILLS: u32 = 8;
/// Of so many slow paths one gives up an idle page: what was a peak is given back, and not drawn anew in between.
pub(super) const IDLE_BEATS: u32 = 32;

/// A block of at least `size` bytes, aligned to 16. Null if there is no memory.
#[inline(always)]
pub(crate) fn allocate(size: usize) -> *mut u8 {
    allocate_on(size, Terms::of(Fill::Any))
}

/// The same, filled with zeros.
#[inline(always)]
pub(crate) fn allocate_zeroed(size: usize) -> *mut u8 {
    allocate_on(size, Terms::of(Fill::Zero))
}

/// The same on any terms.
#[inline(always)]
pub(crate) fn allocate_on(size: usize, terms: Terms) -> *mut u8 {
    let _quiet = quiet();
    match pop(size, terms) {
        Some((block, page)) => terms.hand_out(block, page, size),
        None => allocate_slow(size, terms),
    }
}

/// The same, if the fast path has one.
#[inline(always)]
pub(crate) fn at_hand(size: usize, terms: Terms) -> Option<NonNull<u8>> {
    let _quiet = quiet();
    let (block, page) = pop(size, terms)?;
    terms.hand_out(block, page, size);
    Some(block.start())
}

/// A block aligned to `align`, a power of two. Null if there is no memory, or no such block.
#[inline]
pub(crate) fn allocate_aligned(size: usize, align: usize) -> *mut u8 {
    allocate_aligned_on(size, align, Terms::of(Fill::Any))
}

/// The same, filled with zeros.
#[inline]
pub(crate) fn allocate_aligned_zeroed(size: usize, align: usize) -> *mut u8 {
    allocate_aligned_on(size, align, Terms::of(Fill::Zero))
}

/// The same on any terms.
#[inline(always)]
pub(crate) fn allocate_aligned_on(size: usize, align: usize, terms: Terms) -> *mut u8 {
    let _quiet = quiet();
    if align <= GRANULE { allocate_on(size, terms) } else { allocate_slow_aligned(size, align, terms) }
}

/// Whether a block for `size` bytes is found in the table of the small ones: not one of no bytes, if those have pages of their own.
#[inline(always)]
const fn is_small(size: usize) -> bool {
    if VOIDS { size.wrapping_sub(1) < SMALL_MAX - TRAILER } else { size <= SMALL_MAX - TRAILER }
}

/// Whether a block for `size` bytes is one of no bytes, and so in no heap's pages of blocks.
#[inline(always)]
const fn is_void(size: usize) -> bool {
    VOIDS && size == 0
}

/// The fast path: a block from the page that the heap's table names.
#[inline(always)]
fn pop(size: usize, terms: Terms) -> Option<(Block, &'static Page)> {
    if !is_small(size) {
        return None;
    }
    pop_small(terms.heap()?, size)
}

/// The same from a heap of this thread's, for a small size.
#[inline(always)]
fn pop_small(heap: &'static Heap, size: usize) -> Option<(Block, &'static Page)> {
    let page = heap.direct(padded(size));
    // SAFETY: the table holds the empty page and pages of the heap, whose thread is the calling one.
    let owned = unsafe { Owned::known() };
    page.pop(&owned).ok().map(|block| (block, page))
}

/// A block of this heap, which is one of the calling thread's, aligned to `align`, a power of two. Null if there is no memory,
/// or no such block.
#[inline]
pub(crate) fn allocate_in(heap: &'static Heap, size: usize, align: usize, terms: Terms) -> *mut u8 {
    let _quiet = quiet();
    let is_small = is_small(size) && align <= GRANULE;
    match is_small.then(|| pop_small(heap, size)).flatten() {
        Some((block, page)) => terms.hand_out(block, page, size),
        None => allocate_slow_in(heap, size, align, terms),
    }
}

/// What `allocate_on` does when its fast path has no block.
#[cold]
#[inline(never)]
pub(crate) fn allocate_slow(size: usize, terms: Terms) -> *mut u8 {
    let _quiet = quiet();
    let heap = terms.heap();
    let popped = match heap {
        Some(heap) if is_small(size) => pop_refilled(heap, heap.direct(padded(size))),
        Some(heap) if !is_void(size) => Class::of(padded(size)).and_then(|class| pop_of(heap, class)),
        _ => None,
    };
    match popped {
        Some((block, page)) => terms.hand_out(block, page, size),
        None => allocate_anew(heap, size, GRANULE, Class::of(padded(size)), terms),
    }
}

#[cold]
#[inline(never)]
fn allocate_slow_aligned(size: usize, align: usize, terms: Terms) -> *mut u8 {
    allocate_slowly(terms.heap(), size, align, terms)
}

#[cold]
#[inline(never)]
fn allocate_slow_in(heap: &'static Heap, size: usize, align: usize, terms: Terms) -> *mut u8 {
    allocate_slowly(Some(heap), size, align, terms)
}

/// Everything that is not a pop from a page that is ready, for a heap of this thread; none if it has none yet.
#[inline(never)]
fn allocate_slowly(heap: Option<&'static Heap>, size: usize, align: usize, terms: Terms) -> *mut u8 {
    if !align.is_power_of_two() {
        return ptr::null_mut();
    }
    let class = Class::of_aligned(padded(size), align);
    if let Some((block, page)) =
        heap.zip(class).filter(|_| !is_void(size)).and_then(|(heap, class)| pop_of(heap, class))
    {
        return terms.hand_out(block, page, size);
    }
    allocate_anew(heap, size, align, class, terms)
}

/// The fast path for sizes that are not small, and for alignments.
#[inline(always)]
fn pop_of(heap: &'static Heap, class: Class) -> Option<(Block, &'static Page)> {
    let page = heap.direct_of(class);
    // SAFETY: as in `pop_small`.
    let owned = unsafe { Owned::known() };
    match page.pop(&owned) {
        Ok(block) => Some((block, page)),
        Err(Refused::Empty) => pop_refilled(heap, page),
        Err(_) => None,
    }
}

/// A short list runs out often, and what the thread itself has freed is at hand, or room for more blocks. (Not before what others
/// have freed was taken back.)
#[inline(never)]
fn pop_refilled(heap: &'static Heap, page: &'static Page) -> Option<(Block, &'static Page)> {
    // SAFETY: as in `pop_small`.
    let owned = unsafe { Owned::known() };
    if is_turn(&heap.refills, REFILLS) || !page.is_current() || !heap.may_hurry(page) {
        return None;
    }
    if page.has_free() {
        return None; // there was one, and it is damaged
    }
    if !page.refill(&owned) && (page.summary().load(Relaxed) != 0 || !heap.extend(page, &owned)) {
        return None;
    }
    let popped = page.pop(&owned);
    if heap.samples() {
        page.note_dealt();
    }
    popped.ok().map(|block| (block, page))
}

/// No page is ready. errno stays as it was.
#[inline(never)]
fn allocate_anew(
    heap: Option<&'static Heap>,
    size: usize,
    align: usize,
    class: Option<Class>,
    terms: Terms,
) -> *mut u8 {
    free::preserving_errno(|| allocate_slower(heap, size, align, class, terms))
}

#[inline(always)]
fn allocate_slower(
    heap: Option<&'static Heap>,
    size: usize,
    align: usize,
    class: Option<Class>,
    terms: Terms,
) -> *mut u8 {
    let caller = Caller::here();
    report::die_if_dying();
    if start::renew_if_cloned().is_err() {
        return ptr::null_mut();
    }
    deferred::call_deferred(Collect::Gently);
    let thread = Thread::current_or_new();
    let heap = terms.heap_or(heap, thread);
    let caller = caller.in_thread(thread.map(|thread| &thread.stack));
    if let Some(block) = sample::allocate(heap, size, align, class, terms.origin(), &caller) {
        return block.as_ptr();
    }
    if is_void(size)
        && let Some(block) = allocate_void(heap, align, terms)
    {
        return block.as_ptr();
    }
    match (class, heap) {
        (None, heap) => allocate_single(heap, size, align, terms, padded(size)),
        (Some(class), heap) => {
            let found = match heap {
                Some(heap) => heap.allocate(class).map(|(block, page)| terms.hand_out(block, page, size)),
                None => allocate_momentarily(class, terms.zone(), |block, page| terms.hand_out(block, page, size)),
            };
            found.unwrap_or(ptr::null_mut())
        }
    }
}

/// The same as `allocate_slowly`, for a large block that takes the place of a smaller one, and is likely to grow on.
pub(super) fn allocate_grown(heap: Option<&'static Heap>, size: usize, align: usize, terms: Terms) -> *mut u8 {
    let caller = Caller::here();
    free::preserving_errno(|| {
        report::die_if_dying();
        if !align.is_power_of_two() || start::renew_if_cloned().is_err() {
            return ptr::null_mut();
        }
        let thread = Thread::current_or_new();
        let heap = terms.heap_or(heap, thread);
        let caller = caller.in_thread(thread.map(|thread| &thread.stack));
        if let Some(block) =
            sample::allocate(heap, size, align, Class::of_aligned(padded(size), align), terms.origin(), &caller)
        {
            return block.as_ptr();
        }
        allocate_single(heap, size, align, terms, padded(size).saturating_add(size / 2))
    })
}

/// The same for a block of this shape.
pub(super) fn allocate_alone(heap: Option<&'static Heap>, size: usize, shape: SingleShape, terms: Terms) -> *mut u8 {
    free::preserving_errno(|| {
        report::die_if_dying();
        if start::renew_if_cloned().is_err() {
            return ptr::null_mut();
        }
        deferred::call_deferred(Collect::Gently);
        let heap = terms.heap_or(heap, Thread::current_or_new());
        allocate_shaped(heap, size, shape, terms, padded(size))
    })
}

/// A block with a page of its own, which may have `room` bytes later.
fn allocate_single(heap: Option<&'static Heap>, size: usize, align: usize, terms: Terms, room: usize) -> *mut u8 {
    match SingleShape::of(padded(size), align) {
        Some(shape) => allocate_shaped(heap, size, shape, terms, room),
        None => ptr::null_mut(),
    }
}

fn allocate_shaped(heap: Option<&'static Heap>, size: usize, shape: SingleShape, terms: Terms, room: usize) -> *mut u8 {
    start::start();
    if let Some(heap) = heap {
        heap.beat(None);
    }
    let singles = heap.map(|heap| &heap.singles);
    let single = segment::allocate_single(&shape, room, singles).or_else(|_| {
        segment::release_sampled();
        super::give_back(Collect::Fully);
        segment::allocate_single(&shape, padded(size), singles)
    });
    let Ok(single) = single else { return ptr::null_mut() };
    if terms.fill() == Fill::Zero && single.contents == Contents::Unknown {
        segment::wipe_single(&single);
    }
    if MITIGATIONS.canaries
        && let Some((segment, granule)) = map::find(UserPtr::new(single.start.as_ptr()))
    {
        let page = segment.page_of(granule);
        page.replant(segment.tables(), page.face.block(single.start.addr().get()), size, terms.origin());
    }
    valgrind::block_begins(single.start, size, single.size, terms.fill().holds());
    single.start.as_ptr()
}

/// None: there is no guard for it.
fn allocate_void(heap: Option<&'static Heap>, align: usize, terms: Terms) -> Option<NonNull<u8>> {
    start::start();
    if let Some(heap) = heap {
        heap.beat(None);
    }
    let block = segment::allocate_void(align, terms.void_origin(), heap.map(|heap| &heap.singles))?;
    valgrind::block_begins(block, 0, 0, terms.fill().holds());
    Some(block)
}

/// A block for a thread that has no heap, handed out: from one that exists for this moment.
fn allocate_momentarily(class: Class, zone: Zone, hand_out: impl FnOnce(Block, &Page) -> *mut u8) -> Option<*mut u8> {
    start::start();
    let thread = Thread::take()?;
    let pointer = thread.backing_for(zone).allocate(class).map(|(block, page)| hand_out(block, page));
    abandon::abandon_all(thread);
    pointer
}

impl Heap {
    /// A block of `class`; none if there is no memory.
    fn allocate(&'static self, class: Class) -> Option<(Block, &'static Page)> {
        self.beat(Some(class));
        loop {
            let page = match self.find_page(class) {
                Some(page) => page,
                None => {
                    self.relieve();
                    self.find_page(class)?
                }
            };
            let owned = self.own(page, Operation::Malloc);
            let popped = page.pop(&owned);
            if self.samples() {
                page.note_dealt();
            }
            match popped {
                Ok(block) => return Some((block, page)),
                Err(Refused::Empty) => {}
                Err(refused) => die_of_damage(page, refused, Operation::Malloc),
            }
        }
    }

    /// There is no memory: what waits in empty pages, in quarantines and in pages that are all but full may be just what is missing.
    #[cold]
    fn relieve(&'static self) {
        if let Some(thread) = self.thread() {
            thread.collect(Collect::Fully);
            self.revisit_full();
            abandon::sweep(thread);
        }
        segment::release_sampled();
        segment::purge_all();
    }

    /// A page of `class` whose free list is not empty.
    fn find_page(&'static self, class: Class) -> Option<&'static Page> {
        while let Some(page) = self.queue(class).first() {
            let owned = self.own(page, Operation::Malloc);
            if self.make_ready(page, &owned) {
                if !ptr::eq(self.direct_of(class), page) {
                    self.aim(class);
                }
                return Some(page);
            }
            self.set_full(page, class, &owned);
        }
        if let Some(page) = self.reuse(class) {
            let owned = self.own(page, Operation::Malloc);
            if self.make_ready(page, &owned) {
                return Some(page);
            }
            self.retire(page, class, owned);
        }
        if let Some(page) = self.is_backing().then(|| abandon::adopt(self, class)).flatten() {
            let owned = self.own(page, Operation::Malloc);
            if self.make_ready(page, &owned) {
                return Some(page);
            }
            self.set_full(page, class, &owned);
        }
        // What the heap keeps for other classes may be had first.
        self.give_up_idle(class.page_slices(), Operation::Malloc);
        self.lose_patience(Some(class));
        let run = segment::claim(self.home(), class.page_slices()).ok()?;
        let (page, owned) = segment::bear(&run, class, self.me(), &self.rng)?;
        let owned = owned.unwrap_or_else(|granule| mail::die_of_double_free(page, granule));
        self.enter(page, class, &owned);
        self.extend(page, &owned).then_some(page)
    }

    /// Gets something onto the page's free list. False: the page has nothing to give.
    fn make_ready(&self, page: &'static Page, owned: &Owned) -> bool {
        if !self.renew(page, owned) {
            return false;
        }
        if page.has_free() || page.refill(owned) {
            return true;
        }
        mail::collect_page(self, page, owned);
        page.refill(owned) || self.extend(page, owned)
    }

    /// Makes more blocks of the page. False: it has them all.
    fn extend(&self, page: &'static Page, owned: &Owned) -> bool {
        page.extend(owned, &self.rng).unwrap_or_else(|refused| die_of_damage(page, refused, Operation::Malloc))
    }

    /// What every slow path of malloc does besides.
    pub(super) fn beat(&'static self, wanted: Option<Class>) {
        if let Some(thread) = self.thread() {
            mail::take(thread);
            if MITIGATIONS.quarantine && thread.takes_unattended() {
                thread.heaps().for_each(Heap::sort_out);
            }
        }
        if is_turn(&self.beats, IDLE_BEATS) {
            self.lose_patience(wanted);
            self.give_up_idle(1, Operation::Malloc);
        }
        segment::purge_due();
    }
}

/// Counts. True for one of so many calls.
fn is_turn(count: &AtomicU32, of: u32) -> bool {
    let now = count.load(Relaxed).wrapping_add(1);
    count.store(now, Relaxed);
    now.is_multiple_of(of)
}

/// A free block was written to.
#[cold]
pub(super) fn die_of_damage(page: &'static Page, refused: Refused, operation: Operation) -> ! {
    let report = match refused {
        Refused::Corrupt(address) => Report::new(Kind::CorruptedFreeList, operation, address),
        Refused::Written(address) => {
            Report::new(Kind::WriteAfterFree, operation, address).at_offset(page.first_unwiped(address))
        }
        Refused::Empty => report::internal("an empty list is no damage", operation, page.face.start().addr()),
    };
    report::die(&report.of_block(super::diagnose::facts(page)))
}

const _: () = assert!(!MITIGATIONS.encoded_links || MITIGATIONS.free_checks, "Cargo.toml says so too");
