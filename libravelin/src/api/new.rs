//! Blocks as C++ allocates them: the new-handler is asked, and a call that fails throws `std::bad_alloc`, but for the `nothrow` forms.
//!
//! The forms that may throw are Rust functions whose last act is a jump into a frame of [`crate::arch`], like `operator new`'s.

use core::ffi::c_void;
use core::ptr::null_mut;

use engine::raw;

use super::basic::resize_quietly;
use crate::arch;
use crate::cxx::{Retry, again, new_aligned_or_null, new_or_null};

/// The alignment that stands for none.
const ANY: usize = 1;

/// Every try of `new_realloc` but the first.
extern "C" fn resize_again(size: usize, _: usize, block: *mut c_void) -> *mut c_void {
    // SAFETY: the block that the caller of `new_realloc` gave, which a failed try has left as it was.
    unsafe { resize_quietly(block, size) }.cast()
}

export! {
    /// A block of at least `size` bytes.
    fn new(size: usize) -> *mut c_void {
        let block = raw::allocate(size);
        if block.is_null() {
            // SAFETY: the last act of this function, and `again` takes these arguments.
            return unsafe { arch::failed(size, ANY, null_mut(), Some(again)) };
        }
        block.cast()
    }

    /// A block whose address is a multiple of `align`.
    fn new_aligned(size: usize, align: usize) -> *mut c_void {
        let block = raw::allocate_aligned(size, align);
        if block.is_null() {
            // No handler can cure an impossible alignment.
            let retry = if align.is_power_of_two() { Some(again as Retry) } else { None };
            // SAFETY: the last act of this function, and `again` takes these arguments.
            return unsafe { arch::failed(size, align, null_mut(), retry) };
        }
        block.cast()
    }

    /// A block of at least `size` bytes; null for whatever would be thrown.
    fn new_nothrow(size: usize) -> *mut c_void {
        new_or_null(size)
    }

    /// A block whose address is a multiple of `align`; null for whatever would be thrown.
    fn new_aligned_nothrow(size: usize, align: usize) -> *mut c_void {
        new_aligned_or_null(size, align)
    }

    /// A block for `count` elements of `size` bytes. When that cannot be counted, the new-handler is called once and null returned.
    fn new_n(count: usize, size: usize) -> *mut c_void {
        let Some(bytes) = count.checked_mul(size) else {
            // SAFETY: the last act of this function.
            return unsafe { arch::too_many() };
        };
        let block = raw::allocate(bytes);
        if block.is_null() {
            // SAFETY: the last act of this function, and `again` takes these arguments.
            return unsafe { arch::failed(bytes, ANY, null_mut(), Some(again)) };
        }
        block.cast()
    }

    /// Changes a block's size. It is as it was if that throws.
    ///
    /// # Safety
    /// - `block` is null or a live block. If there is an answer, the old pointer is dead.
    unsafe fn new_realloc(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        let moved = unsafe { resize_quietly(block, size) };
        if moved.is_null() {
            // SAFETY: the last act of this function, and `resize_again` takes these arguments.
            return unsafe { arch::failed(size, ANY, block, Some(resize_again)) };
        }
        moved.cast()
    }

    /// The same, to `count` elements of `size` bytes.
    ///
    /// # Safety
    /// - As for `new_realloc`.
    unsafe fn new_reallocn(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
        let Some(bytes) = count.checked_mul(size) else {
            // SAFETY: the last act of this function.
            return unsafe { arch::too_many() };
        };
        // SAFETY: the caller's promise.
        let moved = unsafe { resize_quietly(block, bytes) };
        if moved.is_null() {
            // SAFETY: the last act of this function, and `resize_again` takes these arguments.
            return unsafe { arch::failed(bytes, ANY, block, Some(resize_again)) };
        }
        moved.cast()
    }
}
