//! Blocks of which the byte at an offset lies on a wished boundary.
//!
//! Any offset will do, also one beyond the block. Above 16 MiB an alignment has no offset but 0.

use core::ffi::c_void;

use engine::raw::{self, HeapHandle};

use super::aligned::NO_ALIGNMENT;
use super::basic::{resize, resize_zeroed};
use super::heaps::{self, from};
use crate::errno::{not_aligned, or_failure, too_many};

/// `realloc_aligned_at`, for the functions of this library.
///
/// # Safety
/// - `block` is null or a live block. Unless the answer is null, the old pointer is dead.
pub(super) unsafe fn resize_at(block: *mut c_void, size: usize, align: usize, offset: usize) -> *mut c_void {
    if align <= NO_ALIGNMENT {
        // SAFETY: the caller's promise.
        return unsafe { resize(block, size) };
    }
    if !align.is_power_of_two() {
        return not_aligned();
    }
    // SAFETY: the caller's promise, which the engine checks besides.
    or_failure(unsafe { raw::reallocate_aligned_at(block.cast(), size, align, offset) }, size, align)
}

/// `rezalloc_aligned_at`, for the functions of this library.
///
/// # Safety
/// - As for `resize_at`.
pub(super) unsafe fn resize_zeroed_at(block: *mut c_void, size: usize, align: usize, offset: usize) -> *mut c_void {
    if align <= NO_ALIGNMENT {
        // SAFETY: the caller's promise.
        return unsafe { resize_zeroed(block, size) };
    }
    if !align.is_power_of_two() {
        return not_aligned();
    }
    // SAFETY: the caller's promise, which the engine checks besides.
    or_failure(unsafe { raw::reallocate_aligned_at_zeroed(block.cast(), size, align, offset) }, size, align)
}

/// `heap_realloc_aligned_at`, for the functions of this library.
///
/// # Safety
/// - As for `resize_at`.
pub(super) unsafe fn heap_resize_at(
    heap: Option<HeapHandle>,
    block: *mut c_void,
    size: usize,
    align: usize,
    offset: usize,
) -> *mut c_void {
    if align <= NO_ALIGNMENT {
        // SAFETY: the caller's promise.
        return unsafe { heaps::resize(heap, block, size) };
    }
    if !align.is_power_of_two() {
        return not_aligned();
    }
    // SAFETY: the caller's promise, which the engine checks besides.
    let moved = from(heap, |heap| unsafe { raw::heap_reallocate_aligned_at(heap, block.cast(), size, align, offset) });
    or_failure(moved, size, align)
}

/// `heap_rezalloc_aligned_at`, for the functions of this library.
///
/// # Safety
/// - As for `resize_at`.
pub(super) unsafe fn heap_resize_zeroed_at(
    heap: Option<HeapHandle>,
    block: *mut c_void,
    size: usize,
    align: usize,
    offset: usize,
) -> *mut c_void {
    if align <= NO_ALIGNMENT {
        // SAFETY: the caller's promise.
        return unsafe { heaps::resize_zeroed(heap, block, size) };
    }
    if !align.is_power_of_two() {
        return not_aligned();
    }
    // SAFETY: the caller's promise, which the engine checks besides.
    let moved =
        from(heap, |heap| unsafe { raw::heap_reallocate_aligned_at_zeroed(heap, block.cast(), size, align, offset) });
    or_failure(moved, size, align)
}

export! {
    /// A block of which the byte at `offset` lies on a multiple of `align`.
    fn malloc_aligned_at(size: usize, align: usize, offset: usize) -> *mut c_void {
        or_failure(raw::allocate_aligned_at(size, align, offset), size, align)
    }

    /// The same, all zero.
    fn zalloc_aligned_at(size: usize, align: usize, offset: usize) -> *mut c_void {
        or_failure(raw::allocate_aligned_at_zeroed(size, align, offset), size, align)
    }

    /// The same, for `count` elements of `size` bytes.
    fn calloc_aligned_at(count: usize, size: usize, align: usize, offset: usize) -> *mut c_void {
        match count.checked_mul(size) {
            Some(bytes) => or_failure(raw::allocate_aligned_at_zeroed(bytes, align, offset), bytes, align),
            None => too_many(),
        }
    }

    /// Changes a block's size, and moves it if the byte at `offset` is not on the boundary.
    ///
    /// # Safety
    /// - `block` is null or a live block. Unless the answer is null, the old pointer is dead.
    unsafe fn realloc_aligned_at(block: *mut c_void, size: usize, align: usize, offset: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize_at(block, size, align, offset) }
    }

    /// The same for a block that was zero when it was new; what is added is zero.
    ///
    /// # Safety
    /// - As for `realloc_aligned_at`.
    unsafe fn rezalloc_aligned_at(block: *mut c_void, size: usize, align: usize, offset: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize_zeroed_at(block, size, align, offset) }
    }

    /// The same, to `count` elements of `size` bytes.
    ///
    /// # Safety
    /// - As for `realloc_aligned_at`.
    unsafe fn recalloc_aligned_at(
        block: *mut c_void,
        count: usize,
        size: usize,
        align: usize,
        offset: usize,
    ) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize_zeroed_at(block, bytes, align, offset) },
            None => too_many(),
        }
    }

    /// Microsoft: `recalloc_aligned_at`.
    ///
    /// # Safety
    /// - As for `realloc_aligned_at`.
    unsafe fn aligned_offset_recalloc(
        block: *mut c_void,
        count: usize,
        size: usize,
        align: usize,
        offset: usize,
    ) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize_zeroed_at(block, bytes, align, offset) },
            None => too_many(),
        }
    }

    /// `malloc_aligned_at`, from a heap.
    fn heap_malloc_aligned_at(heap: Option<HeapHandle>, size: usize, align: usize, offset: usize) -> *mut c_void {
        or_failure(from(heap, |heap| raw::heap_allocate_aligned_at(heap, size, align, offset)), size, align)
    }

    /// `zalloc_aligned_at`, from a heap.
    fn heap_zalloc_aligned_at(heap: Option<HeapHandle>, size: usize, align: usize, offset: usize) -> *mut c_void {
        or_failure(from(heap, |heap| raw::heap_allocate_aligned_at_zeroed(heap, size, align, offset)), size, align)
    }

    /// `calloc_aligned_at`, from a heap.
    fn heap_calloc_aligned_at(
        heap: Option<HeapHandle>,
        count: usize,
        size: usize,
        align: usize,
        offset: usize,
    ) -> *mut c_void {
        let Some(bytes) = count.checked_mul(size) else { return too_many() };
        or_failure(from(heap, |heap| raw::heap_allocate_aligned_at_zeroed(heap, bytes, align, offset)), bytes, align)
    }

    /// `realloc_aligned_at`, into a heap.
    ///
    /// # Safety
    /// - As for `realloc_aligned_at`.
    unsafe fn heap_realloc_aligned_at(
        heap: Option<HeapHandle>,
        block: *mut c_void,
        size: usize,
        align: usize,
        offset: usize,
    ) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { heap_resize_at(heap, block, size, align, offset) }
    }

    /// `rezalloc_aligned_at`, into a heap.
    ///
    /// # Safety
    /// - As for `realloc_aligned_at`.
    unsafe fn heap_rezalloc_aligned_at(
        heap: Option<HeapHandle>,
        block: *mut c_void,
        size: usize,
        align: usize,
        offset: usize,
    ) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { heap_resize_zeroed_at(heap, block, size, align, offset) }
    }

    /// `recalloc_aligned_at`, into a heap.
    ///
    /// # Safety
    /// - As for `realloc_aligned_at`.
    unsafe fn heap_recalloc_aligned_at(
        heap: Option<HeapHandle>,
        block: *mut c_void,
        count: usize,
        size: usize,
        align: usize,
        offset: usize,
    ) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { heap_resize_zeroed_at(heap, block, bytes, align, offset) },
            None => too_many(),
        }
    }
}
