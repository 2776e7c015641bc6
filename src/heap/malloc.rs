//! malloc.

use super::thread::{Heap, Thread};
use super::{Collect, abandon, mail, start};
use crate::geometry::{Class, GRANULE, SMALL_MAX, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::os;
use crate::page::{Block, Contents, Origin, Page, Refused, TRAILER, padded};
use crate::remote::Owned;
use crate::report::{self, Kind, Operation, Report};
use crate::segment::{self, SingleShape, map};
use crate::sync::Relaxed;
use core::ptr::{self, NonNull};

/// What a new block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Anything; its first word is zero.
    Any,
    /// Zeros.
    Zero,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
struct Request {
    size: usize,
    fill: Fill,
    origin: Origin,
}

/// A block of at least `size` bytes, aligned to 16. Null if there is no memory.
#[inline(always)]
pub(crate) fn allocate(size: usize) -> *mut u8 {
    Request { size, fill: Fill::Any, origin: Origin::MALLOC }.serve()
}

/// The same, filled with zeros.
#[inline(always)]
pub(crate) fn allocate_zeroed(size: usize) -> *mut u8 {
    Request { size, fill: Fill::Zero, origin: Origin::MALLOC }.serve()
}

/// A block aligned to `align`, a power of two. Null if there is no memory, or no such block.
#[inline]
pub(crate) fn allocate_aligned(size: usize, align: usize) -> *mut u8 {
    Request { size, fill: Fill::Any, origin: Origin::MALLOC }.serve_aligned(align)
}

/// The same, filled with zeros.
#[inline]
pub(crate) fn allocate_aligned_zeroed(size: usize, align: usize) -> *mut u8 {
    Request { size, fill: Fill::Zero, origin: Origin::MALLOC }.serve_aligned(align)
}

/// A block that comes back with this Layout.
#[inline]
pub(crate) fn allocate_with_layout(size: usize, align: usize) -> *mut u8 {
    Request { size, fill: Fill::Any, origin: Origin::layout(align) }.serve_aligned(align)
}

/// The same, filled with zeros.
#[inline]
pub(crate) fn allocate_with_layout_zeroed(size: usize, align: usize) -> *mut u8 {
    Request { size, fill: Fill::Zero, origin: Origin::layout(align) }.serve_aligned(align)
}

impl Request {
    #[inline(always)]
    fn serve(self) -> *mut u8 {
        match pop(self.size) {
            Some((block, page)) => self.hand_out(block, page),
            None => allocate_slow(self, GRANULE),
        }
    }

    #[inline(always)]
    fn serve_aligned(self, align: usize) -> *mut u8 {
        if align <= GRANULE { self.serve() } else { allocate_slow(self, align) }
    }

    /// Makes of a block just popped what was asked for.
    #[inline(always)]
    fn hand_out(self, block: Block, page: &Page) -> *mut u8 {
        if self.fill == Fill::Zero && !page.gives_zeroed() {
            // SAFETY: a block of this page has room for that much.
            unsafe { block.clear(page.face.block_size()) };
        }
        if MITIGATIONS.canaries {
            page.plant(page.tables(), block, self.size, self.origin);
        }
        block.start().as_ptr()
    }
}

/// The fast path: a block from the page that the heap's table names.
#[inline(always)]
fn pop(size: usize) -> Option<(Block, &'static Page)> {
    if size > SMALL_MAX - TRAILER {
        return None;
    }
    let page = Thread::current()?.heap.direct(padded(size));
    // SAFETY: the table holds the empty page and pages of the heap, whose thread is the calling one.
    let owned = unsafe { Owned::known() };
    page.pop(&owned).ok().map(|block| (block, page))
}

/// Everything that is not a pop from a page that is ready.
#[cold]
#[inline(never)]
fn allocate_slow(request: Request, align: usize) -> *mut u8 {
    if !align.is_power_of_two() {
        return ptr::null_mut();
    }
    let class = Class::of_aligned(padded(request.size), align);
    if let Some((block, page)) = class.and_then(pop_of) {
        return request.hand_out(block, page);
    }
    let errno = os::errno();
    let pointer = allocate_slower(request, align, class);
    os::set_errno(errno);
    pointer
}

/// The fast path for sizes that are not small, and for alignments.
fn pop_of(class: Class) -> Option<(Block, &'static Page)> {
    let heap = &Thread::current()?.heap;
    let page = heap.direct_of(class);
    // SAFETY: as in `pop`.
    let owned = unsafe { Owned::known() };
    let mut popped = page.pop(&owned);
    // A short list runs out often, and what the thread itself has freed is at hand.
    if popped == Err(Refused::Empty) && heap.skips_a_beat() && page.is_current() && page.refill(&owned) {
        popped = page.pop(&owned);
    }
    popped.ok().map(|block| (block, page))
}

/// No page is ready.
fn allocate_slower(request: Request, align: usize, class: Option<Class>) -> *mut u8 {
    report::die_if_dying();
    if start::renew_if_cloned().is_err() {
        return ptr::null_mut();
    }
    match class {
        Some(class) => {
            let pointer = match Thread::current_or_new() {
                Some(thread) => thread.heap.allocate(class, request),
                None => allocate_momentarily(class, request),
            };
            pointer.unwrap_or(ptr::null_mut())
        }
        None => allocate_single(request, align),
    }
}

/// A block with a page of its own.
fn allocate_single(request: Request, align: usize) -> *mut u8 {
    start::start();
    if let Some(thread) = Thread::current() {
        thread.heap.beat(None);
    }
    let Some(shape) = SingleShape::of(padded(request.size), align) else { return ptr::null_mut() };
    let single = segment::allocate_single(&shape).or_else(|_| {
        super::collect(Collect::Fully);
        segment::allocate_single(&shape)
    });
    let Ok(single) = single else { return ptr::null_mut() };
    if (request.fill == Fill::Zero || MITIGATIONS.zero_on_free) && single.contents == Contents::Unknown {
        // SAFETY: a block that was just made, and has room for that much.
        unsafe { single.start.as_ptr().write_bytes(0, shape.size) };
    }
    plant_in_single(single.start, request.size, request.origin);
    single.start.as_ptr()
}

/// Plants the canary of a block that has a page of its own.
fn plant_in_single(start: NonNull<u8>, size: usize, origin: Origin) {
    if MITIGATIONS.canaries
        && let Some((segment, granule)) = map::find(UserPtr::new(start.as_ptr()))
    {
        let page = segment.page_of(granule);
        page.replant(segment.tables(), page.face.block(start.addr().get()), size, origin);
    }
}

/// A block for a thread that has no heap: from one that exists for this moment.
fn allocate_momentarily(class: Class, request: Request) -> Option<*mut u8> {
    start::start();
    let thread = Thread::take()?;
    let pointer = thread.heap.allocate(class, request);
    abandon::abandon_all(thread);
    pointer
}

impl Heap {
    /// A block of `class`; none if there is no memory.
    fn allocate(&'static self, class: Class, request: Request) -> Option<*mut u8> {
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
                Ok(block) => return Some(request.hand_out(block, page)),
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
        if let Some(page) = abandon::adopt(self, class) {
            let owned = self.own(page, Operation::Malloc);
            if self.make_ready(page, &owned) {
                return Some(page);
            }
            self.set_full(page, class, &owned);
        }
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

    /// Whether what a slow path does besides may wait: seven times out of eight.
    fn skips_a_beat(&self) -> bool {
        let beats = self.beats.load(Relaxed).wrapping_add(1);
        self.beats.store(beats, Relaxed);
        !beats.is_multiple_of(8)
    }

    /// What every slow path of malloc does besides.
    pub(super) fn beat(&'static self, wanted: Option<Class>) {
        if let Some(thread) = self.thread() {
            mail::take(thread);
        }
        if self.lingering.load(Relaxed) != 0 {
            self.lose_patience(wanted);
        }
        segment::purge_due();
    }
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
