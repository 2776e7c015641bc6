//! Blocks on a wished boundary.
//!
//! An alignment that is no power of two gets no block. When a block is resized, an alignment of 8 or less (even 0 or 3) means that none
//! is wished. The forms with an offset give a block of which the byte at that offset lies on the boundary.

use core::ffi::c_void;

use engine::raw;

use super::basic::{resize, resize_zeroed};
use super::offset::{resize_at, resize_zeroed_at};
use crate::errno::{not_aligned, or_failure, too_many};

/// Below this, a block that is resized has no alignment.
pub(crate) const NO_ALIGNMENT: usize = 8;

export! {
    /// A block whose address is a multiple of `align`.
    fn malloc_aligned(size: usize, align: usize) -> *mut c_void {
        or_failure(raw::allocate_aligned(size, align), size, align)
    }

    /// The same, all zero.
    fn zalloc_aligned(size: usize, align: usize) -> *mut c_void {
        or_failure(raw::allocate_aligned_zeroed(size, align), size, align)
    }

    /// The same, for `count` elements of `size` bytes.
    fn calloc_aligned(count: usize, size: usize, align: usize) -> *mut c_void {
        match count.checked_mul(size) {
            Some(bytes) => or_failure(raw::allocate_aligned_zeroed(bytes, align), bytes, align),
            None => too_many(),
        }
    }

    /// Changes a block's size. If the old block does not lie on the boundary, what it misses it by is taken for an offset.
    ///
    /// # Safety
    /// - `block` is null or a live block. Unless the answer is null, the old pointer is dead.
    unsafe fn realloc_aligned(block: *mut c_void, size: usize, align: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize_aligned(block, size, align) }
    }

    /// The same for a block that was zero when it was new; what is added is zero.
    ///
    /// # Safety
    /// - As for `realloc_aligned`.
    unsafe fn rezalloc_aligned(block: *mut c_void, size: usize, align: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize_zeroed_aligned(block, size, align) }
    }

    /// The same, to `count` elements of `size` bytes.
    ///
    /// # Safety
    /// - As for `realloc_aligned`.
    unsafe fn recalloc_aligned(block: *mut c_void, count: usize, size: usize, align: usize) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize_zeroed_aligned(block, bytes, align) },
            None => too_many(),
        }
    }
}

/// How far a block lies behind the boundary: what a block that is resized is offset by, if nothing else is said. 0 for null.
pub(super) fn missed_by(block: *mut c_void, align: usize) -> usize {
    block.addr() & align.wrapping_sub(1)
}

/// `realloc_aligned`, for the functions of this library.
///
/// # Safety
/// - As for `realloc_aligned` above.
pub(crate) unsafe fn resize_aligned(block: *mut c_void, size: usize, align: usize) -> *mut c_void {
    if align <= NO_ALIGNMENT {
        // SAFETY: the caller's promise.
        return unsafe { resize(block, size) };
    }
    if !align.is_power_of_two() {
        return not_aligned();
    }
    // SAFETY: the caller's promise.
    unsafe { resize_at(block, size, align, missed_by(block, align)) }
}

/// `rezalloc_aligned`, for the functions of this library.
///
/// # Safety
/// - As for `realloc_aligned` above.
pub(crate) unsafe fn resize_zeroed_aligned(block: *mut c_void, size: usize, align: usize) -> *mut c_void {
    if align <= NO_ALIGNMENT {
        // SAFETY: the caller's promise.
        return unsafe { resize_zeroed(block, size) };
    }
    if !align.is_power_of_two() {
        return not_aligned();
    }
    // SAFETY: the caller's promise.
    unsafe { resize_zeroed_at(block, size, align, missed_by(block, align)) }
}
