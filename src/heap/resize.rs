//! realloc, and questions about a block's size.

use super::malloc::Fill;
use super::thread::{Heap, Thread};
use super::{diagnose, free, malloc, start};
use crate::geometry::{Class, GRANULE, LARGE_MAX, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::page::{Kind, Page};
use crate::remote::NotLive;
use crate::report::{self, Operation};
use crate::segment::{self, Home, Role, Segment, SingleShape, map};
use core::ptr::{self, NonNull};

/// A live block, its page and its segment.
#[derive(Clone, Copy)]
struct Live {
    segment: &'static Segment,
    page: &'static Page,
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
    is_live.then(|| Live { segment, page: segment.page_of(granule) })
}

#[cold]
#[inline(never)]
fn look_again(pointer: UserPtr, operation: Operation) -> Live {
    if !diagnose::is_live_after_all(pointer) {
        diagnose::die(pointer, operation);
    }
    look(pointer).unwrap_or_else(|| diagnose::die(pointer, operation))
}

/// Bytes that the block has room for; 0 for null. Anything but a live block stops the process.
pub(crate) fn usable_size(pointer: UserPtr) -> usize {
    if pointer.address() == 0 {
        return 0;
    }
    live(pointer, Operation::UsableSize).page.face.block_size()
}

/// Bytes that a block for `size` bytes would have room for.
pub(crate) fn good_size(size: usize) -> usize {
    match Class::of(size) {
        Some(class) => class.block_size(),
        None => SingleShape::of(size, GRANULE).map_or(size, |shape| shape.size),
    }
}

/// Whether a live block starts there. Harmless for any pointer. Without `free-checks`: whether it lies in our memory.
pub(crate) fn owns(pointer: UserPtr) -> bool {
    map::find(pointer)
        .is_some_and(|(segment, granule)| !MITIGATIONS.free_checks || segment.tables().spot(granule).is_live())
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
    let target = Target { heap: Heap::current(), align, fill: Fill::Any };
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
    /// What the bytes hold that the old block had no room for.
    pub(crate) fill: Fill,
}

impl Target {
    fn allocate(&self, size: usize) -> *mut u8 {
        match (self.heap, self.fill) {
            (Some(heap), fill) => malloc::allocate_in(heap, size, self.align, fill),
            (None, Fill::Any) => malloc::allocate_aligned(size, self.align),
            (None, Fill::Zero) => malloc::allocate_aligned_zeroed(size, self.align),
        }
    }
}

/// The same, for a block wherever it is to go.
///
/// # Safety
/// - as `reallocate`.
pub(crate) unsafe fn reallocate_to(pointer: UserPtr, size: usize, target: Target) -> *mut u8 {
    if pointer.address() == 0 {
        return target.allocate(size);
    }
    let live = live(pointer, Operation::Realloc);
    let room = live.page.face.block_size();
    let is_aligned = pointer.address() & target.align.wrapping_sub(1) == 0;
    if is_aligned && size <= room && size >= room / 2 {
        return live.start(pointer);
    }
    if is_aligned && live.shrinks_to(size, target.align) {
        return live.start(pointer);
    }
    if let Some(new) = live.grows_to(pointer, size, &target) {
        return new.as_ptr();
    }
    let new = target.allocate(size);
    if new.is_null() && is_aligned && size <= room {
        // A block that is to shrink can always stay.
        return live.start(pointer);
    }
    // SAFETY: both blocks have room for that much, and the caller uses neither meanwhile.
    unsafe { live.move_to(pointer, new, room.min(size)) }
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
    let live = live(pointer, Operation::Realloc);
    if MITIGATIONS.layout_checks && !free::is_of_layout(live.page, old, align) {
        diagnose::die_of_layout(pointer, live.page, Operation::Realloc, old, align);
    }
    if free::is_of_layout(live.page, size, align) || live.shrinks_to(size, align) {
        return live.start(pointer);
    }
    let target = Target { heap, align, fill: Fill::Any };
    if let Some(new) = live.grows_to(pointer, size, &target) {
        return new.as_ptr();
    }
    let new = target.allocate(size);
    // SAFETY: both blocks have room for that much, and the caller uses neither meanwhile.
    unsafe { live.move_to(pointer, new, old.min(size)) }
}

impl Live {
    /// The block's start, from the page and not from the program's pointer.
    fn start(&self, pointer: UserPtr) -> *mut u8 {
        self.page.face.start().with_addr(pointer.address())
    }

    /// Whether a large block gave its tail back, and is one for `size` bytes now.
    fn shrinks_to(&self, size: usize, align: usize) -> bool {
        self.page.face.kind() == Kind::Single
            && Class::of_aligned(size, align).is_none()
            && SingleShape::of(size, align).is_some_and(|shape| segment::shrink_huge(self.segment, self.page, &shape))
    }

    /// A huge block of `size` bytes that has this one's pages; this one is freed then. None: there is nothing to move, or the
    /// kernel does not.
    fn grows_to(&self, pointer: UserPtr, size: usize, target: &Target) -> Option<NonNull<u8>> {
        if size <= LARGE_MAX || self.page.face.kind() != Kind::Single {
            return None;
        }
        self.grows_huge_to(pointer, &SingleShape::of(size, target.align)?, target.heap)
    }

    #[cold]
    #[inline(never)]
    fn grows_huge_to(&self, pointer: UserPtr, shape: &SingleShape, heap: Option<&'static Heap>) -> Option<NonNull<u8>> {
        report::die_if_dying();
        start::renew_if_cloned().ok()?;
        let heap = heap.or_else(|| Thread::current_or_new().map(Thread::default));
        if heap.is_some_and(|heap| heap.home() != Home::ANY) {
            return None;
        }
        let list = heap.map(|heap| &heap.singles);
        free::preserving_errno(|| segment::grow_huge(self.segment, self.page, shape, list))
            .unwrap_or_else(|NotLive| diagnose::die(pointer, Operation::Realloc))
    }

    /// Copies `count` bytes to `new` and frees the old block. Null, and the old block as it was, if `new` is null.
    ///
    /// # Safety
    /// - both blocks have room for `count` bytes; nobody else uses them.
    unsafe fn move_to(&self, pointer: UserPtr, new: *mut u8, count: usize) -> *mut u8 {
        let Some(target) = NonNull::new(new) else { return new };
        let source = self.start(pointer);
        // SAFETY: the caller's promise; the new block is not the old one, which is live.
        unsafe { ptr::copy_nonoverlapping(source, target.as_ptr(), count) };
        free::free(pointer);
        new
    }
}
