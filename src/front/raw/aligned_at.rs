//! Blocks whose pointer is aligned when an offset is added to it, as the C library hands them on.
//!
//! `(pointer + offset) % align == 0` for any offset: such a pointer may lie anywhere, at an odd address too. Null on exhaustion, if
//! `align` is no power of two, and above 16 MiB if the offset is not a multiple of it. If it is one, the block is as any other; else
//! it has a page of the system to itself, and 64 KiB of addresses.

use crate::geometry::UserPtr;
use crate::heap::{self, Fill, HeapHandle, Target};
use crate::report::Operation;
use core::ptr;

/// A block of at least `size` bytes, aligned at an offset.
#[must_use]
pub fn allocate_aligned_at(size: usize, align: usize, offset: usize) -> *mut u8 {
    heap::allocate_at(None, size, align, offset, Fill::Any)
}

/// The same; all that the block has room for is zero.
#[must_use]
pub fn allocate_aligned_at_zeroed(size: usize, align: usize, offset: usize) -> *mut u8 {
    heap::allocate_at(None, size, align, offset, Fill::Zero)
}

/// The same of a heap.
#[must_use]
pub fn heap_allocate_aligned_at(heap: HeapHandle, size: usize, align: usize, offset: usize) -> *mut u8 {
    heap::allocate_at(Some(heap.expect_own(Operation::Malloc)), size, align, offset, Fill::Any)
}

/// The same of a heap; all that the block has room for is zero.
#[must_use]
pub fn heap_allocate_aligned_at_zeroed(heap: HeapHandle, size: usize, align: usize, offset: usize) -> *mut u8 {
    heap::allocate_at(Some(heap.expect_own(Operation::Malloc)), size, align, offset, Fill::Zero)
}

/// As [`reallocate`](super::reallocate), aligned at an offset, whatever the old block's alignment. It stays if it is aligned so,
/// has room, and at most half of it would be wasted.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn reallocate_aligned_at(pointer: *mut u8, size: usize, align: usize, offset: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { reallocate(None, pointer, size, align, offset, Fill::Any) }
}

/// The same for a block that was born zeroed: what the old block had no room for is zero.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn reallocate_aligned_at_zeroed(pointer: *mut u8, size: usize, align: usize, offset: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { reallocate(None, pointer, size, align, offset, Fill::Zero) }
}

/// As [`reallocate_aligned_at`]; a block that cannot stay moves to this heap.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn heap_reallocate_aligned_at(
    heap: HeapHandle,
    pointer: *mut u8,
    size: usize,
    align: usize,
    offset: usize,
) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { reallocate(Some(heap), pointer, size, align, offset, Fill::Any) }
}

/// As [`reallocate_aligned_at_zeroed`]; a block that cannot stay moves to this heap.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn heap_reallocate_aligned_at_zeroed(
    heap: HeapHandle,
    pointer: *mut u8,
    size: usize,
    align: usize,
    offset: usize,
) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { reallocate(Some(heap), pointer, size, align, offset, Fill::Zero) }
}

/// # Safety
/// - nobody else uses the block.
unsafe fn reallocate(
    heap: Option<HeapHandle>,
    pointer: *mut u8,
    size: usize,
    align: usize,
    offset: usize,
    fill: Fill,
) -> *mut u8 {
    let heap = heap.map(|heap| heap.expect_own(Operation::Realloc));
    if !align.is_power_of_two() {
        return ptr::null_mut();
    }
    let target = Target { heap, align, offset, fill };
    // SAFETY: the caller's promise.
    unsafe { heap::reallocate_to(UserPtr::new(pointer), size, target) }
}
