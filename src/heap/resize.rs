//! realloc, and questions about a block's size.

use super::claim::Claim;
use super::terms::{Fill, Terms};
use super::thread::{Heap, Thread};
use super::{diagnose, free, malloc, sample, skew, start};
use crate::geometry::{Class, GRANULE, LARGE_MAX, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::os::valgrind::{self, Holds, quiet};
use crate::page::{Kind, Origin, Page, TRAILER, is_possible_slack, padded};
use crate::remote::NotLive;
use crate::report::{self, Operation};
use crate::segment::{self, Role, Sampled, Segment, SingleShape, Zone, map};
use core::ptr::{self, NonNull};

/// A live block, its page and its segment.
#[derive(Clone, Copy)]
struct Live {
    segment: &'static Segment,
    page: &'static Page,
    /// How far behind the block's start the program's pointer lies.
    lead: usize,
}

/// Finds the live block; anything else stops the process.
#[inline]
fn live(pointer: UserPtr, operation: Operation) -> Live {
    match look(pointer) {
        Some(live) => live,
        None => look_again(pointer, operation),
    }
}

#[inline]
fn look(pointer: UserPtr) -> Option<Live> {
    let (segment, granule) = map::find(pointer)?;
    let is_live = !MITIGATIONS.free_checks || segment.tables().spot(granule).is_live();
    let page = segment.page_of(granule);
    (is_live && page.face.skew() == 0).then_some(Live { segment, page, lead: 0 })
}

#[cold]
#[inline(never)]
fn look_again(pointer: UserPtr, operation: Operation) -> Live {
    if let Some((segment, page)) = skew::find(pointer) {
        return Live { segment, page, lead: page.face.skew() };
    }
    if !diagnose::is_live_after_all(pointer) {
        diagnose::die(pointer, operation);
    }
    look(pointer).unwrap_or_else(|| diagnose::die(pointer, operation))
}

/// Bytes that the program may use: with `canaries` what it has requested, else all that the block has room for; 0 for null. Anything
/// but a live block stops the process.
pub(crate) fn usable_size(pointer: UserPtr) -> usize {
    if pointer.address() == 0 {
        return 0;
    }
    let _quiet = quiet();
    let live = live(pointer, Operation::UsableSize);
    let _ = live.with_sound_margins(pointer, Operation::UsableSize);
    live.holds(pointer, Operation::UsableSize, Claim::Any)
}

/// The most that may be requested without a larger block than for `size` bytes.
pub(crate) fn good_size(size: usize) -> usize {
    let padded = padded(size);
    let room = match Class::of(padded) {
        Some(class) => class.block_size(),
        None => SingleShape::of(padded, GRANULE).map_or(padded, |shape| shape.size),
    };
    room.saturating_sub(TRAILER)
}

/// Whether a live block starts there. Harmless for any pointer. Without `free-checks`: whether it lies in our memory.
pub(crate) fn owns(pointer: UserPtr) -> bool {
    let is_live =
        |(segment, granule): (&Segment, _)| !MITIGATIONS.free_checks || segment.tables().spot(granule).is_live();
    match map::find(pointer).filter(|&found| is_live(found)) {
        Some((segment, granule)) => !MITIGATIONS.free_checks || segment.page_of(granule).face.skew() == 0,
        None => skew::find(pointer).is_some(),
    }
}

/// Whether the address lies in memory of this allocator. Harmless for any pointer.
pub(crate) fn in_region(pointer: UserPtr) -> bool {
    let address = pointer.address();
    let start = UserPtr::new(ptr::without_provenance_mut(address & !(GRANULE - 1)));
    map::find(start).is_some_and(|(segment, _)| segment.role() == Role::Shared || segment.maps_huge(address))
}

/// C's realloc, but for size 0, which is a size like any other. Null: no memory, and the old block is untouched.
///
/// The block stays where it is if it has room and at most half of it would be wasted.
///
/// # Safety
/// - if `pointer` is a live block, nobody else uses it.
#[inline]
pub(crate) unsafe fn reallocate(pointer: UserPtr, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { reallocate_aligned(pointer, size, GRANULE) }
}

/// The same, for a block aligned to `align`, a power of two.
///
/// # Safety
/// - as `reallocate`.
pub(crate) unsafe fn reallocate_aligned(pointer: UserPtr, size: usize, align: usize) -> *mut u8 {
    let target = Target { heap: None, align, offset: 0, fill: Fill::Any };
    // SAFETY: the caller's promise.
    unsafe { reallocate_to(pointer, size, target) }
}

/// Where a block goes that cannot stay.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// A heap of the calling thread; none: its default heap.
    pub(crate) heap: Option<&'static Heap>,
    /// A power of two.
    pub(crate) align: usize,
    /// The pointer is aligned when so much is added to it.
    pub(crate) offset: usize,
    /// What the bytes hold that the old block had no room for.
    pub(crate) fill: Fill,
}

impl Target {
    fn allocate(&self, size: usize, terms: Terms) -> *mut u8 {
        if self.lead() != 0 {
            return skew::allocate_at(self.heap, size, self.align, self.offset, self.fill);
        }
        match self.heap {
            Some(heap) => malloc::allocate_in(heap, size, self.align, terms),
            None => malloc::allocate_aligned_on(size, self.align, terms),
        }
    }

    fn lead(&self) -> usize {
        skew::lead(self.align, self.offset)
    }

    /// Whether the pointer is aligned as is wished.
    fn suits(&self, pointer: UserPtr) -> bool {
        pointer.address().wrapping_add(self.offset) & self.align.wrapping_sub(1) == 0
    }

    /// The same for a block that moves because it grows.
    fn allocate_grown(&self, size: usize, terms: Terms) -> *mut u8 {
        match Class::of_aligned(padded(size), self.align) {
            _ if self.lead() != 0 => self.allocate(size, terms),
            Some(_) => self.allocate(size, terms),
            None => malloc::allocate_grown(self.heap, size, self.align, terms),
        }
    }
}

/// The same, for a block wherever it is to go.
///
/// # Safety
/// - as `reallocate`.
pub(crate) unsafe fn reallocate_to(pointer: UserPtr, size: usize, target: Target) -> *mut u8 {
    let _quiet = quiet();
    if pointer.address() == 0 {
        return target.allocate(size, Terms::of(target.fill));
    }
    let live = live(pointer, Operation::Realloc);
    let held = live.holds(pointer, Operation::Realloc, Claim::Any);
    let terms = Terms::of(target.fill).within(live.zone(pointer));
    if live.is_sound_and_alone(pointer) {
        let is_as_wished = size == held && target.suits(pointer);
        // SAFETY: the caller's promise.
        return unsafe { live.moves_unless(is_as_wished, pointer, size, &target, terms, Claim::Any) };
    }
    if live.lead != 0 {
        // SAFETY: the caller's promise.
        return unsafe { live.leaves_its_lead(pointer, held, size, &target) };
    }
    let (room, padded) = (live.page.face.block_size(), padded(size));
    let is_aligned = target.suits(pointer);
    let wastes_little = match live.page.face.kind() {
        // The slack of a block is written in full.
        Kind::Single if MITIGATIONS.canaries => free::is_of_layout(live.page, size, target.align),
        _ => padded >= room / 2,
    };
    let resized = Resized { size, held, room, origin: Origin::MALLOC };
    if is_aligned && padded <= room && wastes_little {
        return live.stays(pointer, resized);
    }
    if is_aligned && live.resizes_to(pointer, size, target.align) {
        return live.stays(pointer, resized);
    }
    if target.lead() == 0
        && let Some(new) = live.grows_to(pointer, size, &target, terms)
    {
        return resized.settle(pointer, new);
    }
    let new = if padded > room { target.allocate_grown(size, terms) } else { target.allocate(size, terms) };
    if new.is_null() && is_aligned && padded <= room && is_possible_slack(room.wrapping_sub(size)) {
        // A block that is to shrink can always stay.
        return live.stays(pointer, resized);
    }
    // SAFETY: both blocks have room for that much, and the caller uses neither meanwhile.
    unsafe { live.move_to(pointer, new, held.min(size), Claim::Any) }
}

/// Rust's realloc: afterwards the block is of the class that a Layout of `size` bytes and this alignment names. If it moves, to
/// this heap of the calling thread's, or else its default one.
///
/// # Safety
/// - as `reallocate`.
#[inline]
pub(crate) unsafe fn reallocate_with_layout(
    heap: Option<&'static Heap>,
    pointer: UserPtr,
    old: usize,
    align: usize,
    size: usize,
) -> *mut u8 {
    let _quiet = quiet();
    let live = live(pointer, Operation::Realloc);
    if live.lead != 0 {
        skew::refuse_layout(pointer, live.page, Operation::Realloc);
    }
    let claim = Claim::Layout { size: old, align };
    let _ = live.holds(pointer, Operation::Realloc, claim);
    let target = Target { heap, align, offset: 0, fill: Fill::Any };
    let terms = Terms::of_layout(target.fill, align);
    if live.is_sound_and_alone(pointer) {
        // SAFETY: the caller's promise.
        return unsafe { live.moves_unless(size == old, pointer, size, &target, terms, claim) };
    }
    let resized = Resized { size, held: old, room: live.page.face.block_size(), origin: Origin::layout(align) };
    if free::is_of_layout(live.page, size, align) || live.resizes_to(pointer, size, align) {
        return live.stays(pointer, resized);
    }
    if let Some(new) = live.grows_to(pointer, size, &target, terms) {
        return resized.settle(pointer, new);
    }
    let new = if size > old { target.allocate_grown(size, terms) } else { target.allocate(size, terms) };
    // SAFETY: both blocks have room for that much, and the caller uses neither meanwhile.
    unsafe { live.move_to(pointer, new, old.min(size), claim) }
}

/// What a block becomes that keeps its memory.
#[derive(Clone, Copy)]
struct Resized {
    size: usize,
    /// What it held before.
    held: usize,
    /// What it had room for.
    room: usize,
    origin: Origin,
}

impl Resized {
    /// Makes a canary of what lies behind the new size; what comes to lie before it reads as zero.
    #[inline]
    fn plant(self, segment: &Segment, page: &Page, address: usize) {
        let block = page.face.block(address);
        // What it had no room for is zero.
        let grown = self.size.min(self.room).saturating_sub(self.held);
        if grown != 0 {
            page.clear_slack(segment.tables(), block);
            // SAFETY: the block has room for the new size, and is its resizer's.
            unsafe { block.clear_part(self.held, grown) };
        }
        page.replant(segment.tables(), block, self.size, self.origin);
    }

    /// The same for a block that has got another page.
    fn settle(self, old: UserPtr, new: NonNull<u8>) -> *mut u8 {
        if MITIGATIONS.canaries
            && let Some((segment, granule)) = map::find(UserPtr::new(new.as_ptr()))
        {
            let page = segment.page_of(granule);
            self.plant(segment, page, new.addr().get());
            valgrind::block_ends(old.address());
            valgrind::block_begins(new, self.size, page.face.block_size(), Holds::Something);
        }
        new.as_ptr()
    }
}

impl Live {
    /// Stops the process unless the claim is true of the block, and its canary whole. Returns how many bytes the program may use.
    #[inline]
    fn holds(&self, pointer: UserPtr, operation: Operation, claim: Claim) -> usize {
        let start = if self.lead == 0 { pointer } else { UserPtr::new(self.page.face.start()) };
        claim.check(start, self.segment, self.page, operation);
        self.page.usable(self.segment.tables(), start.address()).wrapping_sub(self.lead)
    }

    /// A block with a lead gets another size: it stays only if nothing of it changes.
    ///
    /// # Safety
    /// - nobody else uses the block.
    #[cold]
    unsafe fn leaves_its_lead(&self, pointer: UserPtr, held: usize, size: usize, target: &Target) -> *mut u8 {
        let fits = if MITIGATIONS.canaries { size == held } else { size <= held && size >= held / 2 };
        if target.suits(pointer) && fits {
            return self.start(pointer);
        }
        let new = target.allocate(size, Terms::of(target.fill));
        if new.is_null() && target.suits(pointer) && size <= held {
            // A block that is to shrink can always stay.
            return self.start(pointer);
        }
        // SAFETY: both blocks have room for that much, and the caller uses neither meanwhile.
        unsafe { self.move_to(pointer, new, held.min(size), Claim::Any) }
    }

    /// The block stays where it is, with another size.
    #[inline]
    fn stays(&self, pointer: UserPtr, resized: Resized) -> *mut u8 {
        if MITIGATIONS.canaries {
            resized.plant(self.segment, self.page, pointer.address());
            let room = self.page.face.block_size();
            valgrind::block_changes(pointer.address(), resized.held, resized.size, room);
        }
        self.start(pointer)
    }

    /// Where the block lies, or, if it has no bytes, where it would if it had any.
    fn zone(&self, pointer: UserPtr) -> Zone {
        let tables = self.segment.tables();
        if MITIGATIONS.partition
            && self.page.face.has_voids()
            && self.page.void_origin(tables, pointer.address()) == Origin::DATA
        {
            return Zone::Data;
        }
        self.segment.zone()
    }

    /// The block's start, from the page and not from the program's pointer.
    fn start(&self, pointer: UserPtr) -> *mut u8 {
        self.page.face.start().with_addr(pointer.address())
    }

    /// Whether the block stands alone, or has no bytes; then what margins it has are looked at.
    fn is_sound_and_alone(&self, pointer: UserPtr) -> bool {
        self.with_sound_margins(pointer, Operation::Realloc).is_some() || self.page.face.has_voids()
    }

    /// The block if it stands alone, after a look at its margins.
    fn with_sound_margins(&self, pointer: UserPtr, operation: Operation) -> Option<Sampled> {
        let sampled = Sampled::of(self.segment, self.page)?;
        sample::inspect(pointer, operation, &sampled);
        Some(sampled)
    }

    /// A block that stands alone is of its very size, so that its guards are where its bytes end: it moves, unless it is already
    /// what it is to be.
    ///
    /// # Safety
    /// - nobody else uses it.
    unsafe fn moves_unless(
        &self,
        is_as_wished: bool,
        pointer: UserPtr,
        size: usize,
        target: &Target,
        terms: Terms,
        claim: Claim,
    ) -> *mut u8 {
        if is_as_wished {
            return self.start(pointer);
        }
        let new = target.allocate(size, terms);
        // SAFETY: both blocks have room for that much, and the caller uses neither meanwhile.
        unsafe { self.move_to(pointer, new, self.page.face.block_size().min(size), claim) }
    }

    /// Whether a large block has changed its size where it stands, and is one for `size` bytes now. What it gains reads as zero.
    fn resizes_to(&self, pointer: UserPtr, size: usize, align: usize) -> bool {
        self.page.face.kind() == Kind::Single
            && Class::of_aligned(padded(size), align).is_none()
            && SingleShape::of(padded(size), align).is_some_and(|shape| self.resizes_single_to(pointer, &shape))
    }

    fn resizes_single_to(&self, pointer: UserPtr, shape: &SingleShape) -> bool {
        let tables = self.segment.tables();
        let hidden = MITIGATIONS.canaries.then(|| self.page.hide_slack(tables, pointer.address()));
        let resized = free::preserving_errno(|| segment::resize_single(self.segment, self.page, shape));
        if let Some(slack) = hidden.filter(|_| !resized) {
            self.page.show_slack(tables, pointer.address(), slack);
        }
        resized
    }

    /// A huge block of `size` bytes that has this one's pages; this one is freed then. None: there is nothing to move, or the
    /// kernel does not.
    fn grows_to(&self, pointer: UserPtr, size: usize, target: &Target, terms: Terms) -> Option<NonNull<u8>> {
        let size = padded(size);
        if size <= LARGE_MAX || self.page.face.kind() != Kind::Single {
            return None;
        }
        self.grows_huge_to(pointer, &SingleShape::of(size, target.align)?, target.heap, terms)
    }

    #[cold]
    #[inline(never)]
    fn grows_huge_to(
        &self,
        pointer: UserPtr,
        shape: &SingleShape,
        heap: Option<&'static Heap>,
        terms: Terms,
    ) -> Option<NonNull<u8>> {
        report::die_if_dying();
        start::renew_if_cloned().ok()?;
        let heap = terms.heap_or(heap, Thread::current_or_new());
        let list = heap.map(|heap| &heap.singles);
        free::preserving_errno(|| segment::grow_to_huge(self.segment, self.page, shape, list))
            .unwrap_or_else(|NotLive| diagnose::die(pointer, Operation::Realloc))
    }

    /// Copies `count` bytes to `new` and frees the old block. Null, and the old block as it was, if `new` is null.
    ///
    /// # Safety
    /// - both blocks have room for `count` bytes; nobody else uses them.
    unsafe fn move_to(&self, pointer: UserPtr, new: *mut u8, count: usize, claim: Claim) -> *mut u8 {
        let Some(target) = NonNull::new(new) else { return new };
        let source = self.start(pointer);
        // SAFETY: the caller's promise; the new block is not the old one, which is live.
        unsafe { ptr::copy_nonoverlapping(source, target.as_ptr(), count) };
        free::free_checked(pointer, Operation::Free, claim);
        new
    }
}
