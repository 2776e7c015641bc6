//! malloc.

use super::thread::{Heap, Thread};
use super::{Collect, abandon, deferred, mail, start};
use crate::geometry::{Class, GRANULE, SMALL_MAX};
use crate::mitigations::MITIGATIONS;
use crate::os;
use crate::page::{Block, Contents, Page, Refused};
use crate::remote::Owned;
use crate::report::{self, Kind, Operation, Report};
use crate::segment::{self, SingleShape};
use crate::sync::{AtomicU32, Relaxed};
use core::ptr::{self, NonNull};

/// Of so many times that a page runs out and has what the thread itself has freed, one takes the slow path all the same.
const REFILLS: u32 = 8;
/// Of so many slow paths one gives up an idle page: what was a peak is given back, and not drawn anew in between.
pub(super) const IDLE_BEATS: u32 = 32;

/// What a new block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Anything; its first word is zero.
    Any,
    /// Zeros.
    Zero,
}

/// A block of at least `size` bytes, aligned to 16. Null if there is no memory.
#[inline(always)]
pub(crate) fn allocate(size: usize) -> *mut u8 {
    match pop(size) {
        Some((block, _)) => block.start().as_ptr(),
        None => allocate_slow(size, GRANULE, Fill::Any),
    }
}

/// The same, filled with zeros.
#[inline(always)]
pub(crate) fn allocate_zeroed(size: usize) -> *mut u8 {
    match pop(size) {
        Some((block, page)) => zeroed(block, page).start().as_ptr(),
        None => allocate_slow(size, GRANULE, Fill::Zero),
    }
}

/// The same, if the fast path has one.
#[inline(always)]
pub(crate) fn at_hand(size: usize) -> Option<NonNull<u8>> {
    pop(size).map(|(block, _)| block.start())
}

/// The same, filled with zeros.
#[inline(always)]
pub(crate) fn at_hand_zeroed(size: usize) -> Option<NonNull<u8>> {
    pop(size).map(|(block, page)| zeroed(block, page).start())
}

/// A block aligned to `align`, a power of two. Null if there is no memory, or no such block.
#[inline]
pub(crate) fn allocate_aligned(size: usize, align: usize) -> *mut u8 {
    if align <= GRANULE { allocate(size) } else { allocate_slow(size, align, Fill::Any) }
}

/// The same, filled with zeros.
#[inline]
pub(crate) fn allocate_aligned_zeroed(size: usize, align: usize) -> *mut u8 {
    if align <= GRANULE { allocate_zeroed(size) } else { allocate_slow(size, align, Fill::Zero) }
}

/// The fast path: a block from the page that the heap's table names.
#[inline(always)]
fn pop(size: usize) -> Option<(Block, &'static Page)> {
    if size > SMALL_MAX {
        return None;
    }
    pop_small(Heap::current()?, size)
}

/// The same from a heap of this thread's, for at most SMALL_MAX bytes.
#[inline(always)]
fn pop_small(heap: &'static Heap, size: usize) -> Option<(Block, &'static Page)> {
    let page = heap.direct(size);
    // SAFETY: the table holds the empty page and pages of the heap, whose thread is the calling one.
    let owned = unsafe { Owned::known() };
    page.pop(&owned).ok().map(|block| (block, page))
}

/// Fills a block just popped with zeros, if it holds anything else.
#[inline(always)]
fn zeroed(block: Block, page: &Page) -> Block {
    if !page.gives_zeroed() {
        // SAFETY: a block of this page has room for that much.
        unsafe { block.clear(page.face.block_size()) };
    }
    block
}

/// A block of this heap, which is one of the calling thread's, aligned to `align`, a power of two. Null if there is no memory,
/// or no such block.
#[inline]
pub(crate) fn allocate_in(heap: &'static Heap, size: usize, align: usize, fill: Fill) -> *mut u8 {
    let is_small = size <= SMALL_MAX && align <= GRANULE;
    match is_small.then(|| pop_small(heap, size)).flatten() {
        Some((block, page)) => filled(block, page, fill).start().as_ptr(),
        None => allocate_slow_in(heap, size, align, fill),
    }
}

#[inline(always)]
fn filled(block: Block, page: &Page, fill: Fill) -> Block {
    match fill {
        Fill::Any => block,
        Fill::Zero => zeroed(block, page),
    }
}

/// Everything that is not a pop from a page that is ready.
#[cold]
#[inline(never)]
fn allocate_slow(size: usize, align: usize, fill: Fill) -> *mut u8 {
    allocate_slowly(Heap::current(), size, align, fill)
}

/// The same for a heap.
#[cold]
#[inline(never)]
fn allocate_slow_in(heap: &'static Heap, size: usize, align: usize, fill: Fill) -> *mut u8 {
    allocate_slowly(Some(heap), size, align, fill)
}

/// The same for a heap of this thread; none if it has none yet.
#[inline(always)]
fn allocate_slowly(heap: Option<&'static Heap>, size: usize, align: usize, fill: Fill) -> *mut u8 {
    if !align.is_power_of_two() {
        return ptr::null_mut();
    }
    let class = Class::of_aligned(size, align);
    if let Some((block, page)) = heap.zip(class).and_then(|(heap, class)| pop_of(heap, class)) {
        return filled(block, page, fill).start().as_ptr();
    }
    let errno = os::errno();
    let pointer = allocate_slower(heap, size, align, class, fill);
    os::set_errno(errno);
    pointer
}

/// The fast path for sizes that are not small, and for alignments.
fn pop_of(heap: &'static Heap, class: Class) -> Option<(Block, &'static Page)> {
    let page = heap.direct_of(class);
    // SAFETY: as in `pop`.
    let owned = unsafe { Owned::known() };
    let mut popped = page.pop(&owned);
    // A short list runs out often, and what the thread itself has freed is at hand.
    if popped == Err(Refused::Empty) && !is_turn(&heap.refills, REFILLS) && page.is_current() && page.refill(&owned) {
        popped = page.pop(&owned);
    }
    popped.ok().map(|block| (block, page))
}

/// No page is ready.
fn allocate_slower(
    heap: Option<&'static Heap>,
    size: usize,
    align: usize,
    class: Option<Class>,
    fill: Fill,
) -> *mut u8 {
    report::die_if_dying();
    if start::renew_if_cloned().is_err() {
        return ptr::null_mut();
    }
    deferred::call_deferred(Collect::Gently);
    let thread = Thread::current_or_new();
    let heap = heap.or_else(|| thread.map(Thread::default));
    match (class, heap) {
        (None, heap) => allocate_single(heap, size, align, fill),
        (Some(class), heap) => {
            let block = match heap {
                Some(heap) => heap.allocate(class, fill),
                None => allocate_momentarily(class, fill),
            };
            block.map_or(ptr::null_mut(), |block| block.start().as_ptr())
        }
    }
}

/// A block with a page of its own.
fn allocate_single(heap: Option<&'static Heap>, size: usize, align: usize, fill: Fill) -> *mut u8 {
    start::start();
    if let Some(heap) = heap {
        heap.beat(None);
    }
    let singles = heap.map(|heap| &heap.singles);
    let Some(shape) = SingleShape::of(size, align) else { return ptr::null_mut() };
    let single = segment::allocate_single(&shape, singles).or_else(|_| {
        super::collect(Collect::Fully);
        segment::allocate_single(&shape, singles)
    });
    let Ok(single) = single else { return ptr::null_mut() };
    if (fill == Fill::Zero || MITIGATIONS.zero_on_free) && single.contents == Contents::Unknown {
        // SAFETY: a block that was just made, and has room for that much.
        unsafe { single.start.as_ptr().write_bytes(0, shape.size) };
    }
    single.start.as_ptr()
}

/// A block for a thread that has no heap: from one that exists for this moment.
fn allocate_momentarily(class: Class, fill: Fill) -> Option<Block> {
    start::start();
    let thread = Thread::take()?;
    let block = thread.heap.allocate(class, fill);
    abandon::abandon_all(thread);
    block
}

impl Heap {
    /// A block of `class`; none if there is no memory.
    pub(super) fn allocate(&'static self, class: Class, fill: Fill) -> Option<Block> {
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
            match page.pop(&owned) {
                Ok(block) if fill == Fill::Zero => return Some(zeroed(block, page)),
                Ok(block) => return Some(block),
                Err(Refused::Empty) => {}
                Err(refused) => die_of_damage(page, refused, Operation::Malloc),
            }
        }
    }

    /// There is no memory: what waits in empty pages and in quarantines may be just what is missing.
    #[cold]
    fn relieve(&'static self) {
        if let Some(thread) = self.thread() {
            thread.collect();
            abandon::sweep(thread);
        }
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
        let run = segment::claim(class.page_slices()).ok()?;
        let (page, owned) = segment::bear(&run, class, self.me(), &self.rng)?;
        let owned = owned.unwrap_or_else(|granule| mail::die_of_double_free(page, granule));
        self.enter(page, class, &owned);
        page.extend(&owned, &self.rng).then_some(page)
    }

    /// Gets something onto the page's free list. False: the page has nothing to give.
    fn make_ready(&self, page: &'static Page, owned: &Owned) -> bool {
        if !page.renew(page.tables(), owned, &self.rng) {
            return false;
        }
        if page.has_free() || page.refill(owned) {
            return true;
        }
        mail::collect_page(self, page, owned);
        page.refill(owned) || page.extend(owned, &self.rng)
    }

    /// What every slow path of malloc does besides.
    pub(super) fn beat(&'static self, wanted: Option<Class>) {
        if let Some(thread) = self.thread() {
            mail::take(thread);
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
