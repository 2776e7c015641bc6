//! realloc, and questions about a block's size.

use super::{diagnose, free, malloc, start};
use crate::geometry::{Class, GRANULE, LARGE_MAX, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::page::{Kind, Page};
use crate::remote::NotLive;
use crate::report::{self, Operation};
use crate::segment::{self, Segment, SingleShape, map};
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
    if pointer.address() == 0 {
        return malloc::allocate_aligned(size, align);
    }
    let live = live(pointer, Operation::Realloc);
    let room = live.page.face.block_size();
    let is_aligned = pointer.address() & align.wrapping_sub(1) == 0;
    if is_aligned && size <= room && size >= room / 2 {
        return live.start(pointer);
    }
    if is_aligned && live.resizes_to(size, align) {
        return live.start(pointer);
    }
    if let Some(new) = live.grows_to(pointer, size, align) {
        return new.as_ptr();
    }
    let new = live.allocate_next(size, align);
    if new.is_null() && is_aligned && size <= room {
        // A block that is to shrink can always stay.
        return live.start(pointer);
    }
    // SAFETY: both blocks have room for that much, and the caller uses neither meanwhile.
    unsafe { live.move_to(pointer, new, room.min(size)) }
}

/// Rust's realloc: afterwards the block is of the class that a Layout of `size` bytes and this alignment names.
///
/// # Safety
/// - as `reallocate`.
#[inline]
pub(crate) unsafe fn reallocate_with_layout(pointer: UserPtr, old: usize, align: usize, size: usize) -> *mut u8 {
    let live = live(pointer, Operation::Realloc);
    if MITIGATIONS.layout_checks && !free::is_of_layout(live.page, old, align) {
        diagnose::die_of_layout(pointer, live.page, Operation::Realloc, old, align);
    }
    if free::is_of_layout(live.page, size, align) || live.resizes_to(size, align) {
        return live.start(pointer);
    }
    if let Some(new) = live.grows_to(pointer, size, align) {
        return new.as_ptr();
    }
    let new = live.allocate_next(size, align);
    // SAFETY: both blocks have room for that much, and the caller uses neither meanwhile.
    unsafe { live.move_to(pointer, new, old.min(size)) }
}

impl Live {
    /// The block's start, from the page and not from the program's pointer.
    fn start(&self, pointer: UserPtr) -> *mut u8 {
        self.page.face.start().with_addr(pointer.address())
    }

    /// The block to move to.
    fn allocate_next(&self, size: usize, align: usize) -> *mut u8 {
        if size > self.page.face.block_size() {
            malloc::allocate_grown(size, align)
        } else {
            malloc::allocate_aligned(size, align)
        }
    }

    /// Whether a large block has changed its size where it stands, and is one for `size` bytes now.
    fn resizes_to(&self, size: usize, align: usize) -> bool {
        self.page.face.kind() == Kind::Single
            && Class::of_aligned(size, align).is_none()
            && SingleShape::of(size, align)
                .is_some_and(|shape| free::preserving_errno(|| segment::resize_single(self.segment, self.page, &shape)))
    }

    /// A huge block of `size` bytes that has this one's pages; this one is freed then. None: there is nothing to move, or the
    /// kernel does not.
    fn grows_to(&self, pointer: UserPtr, size: usize, align: usize) -> Option<NonNull<u8>> {
        if size <= LARGE_MAX || self.page.face.kind() != Kind::Single {
            return None;
        }
        self.grows_huge_to(pointer, &SingleShape::of(size, align)?)
    }

    #[cold]
    #[inline(never)]
    fn grows_huge_to(&self, pointer: UserPtr, shape: &SingleShape) -> Option<NonNull<u8>> {
        report::die_if_dying();
        start::renew_if_cloned().ok()?;
        free::preserving_errno(|| segment::grow_to_huge(self.segment, self.page, shape))
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
