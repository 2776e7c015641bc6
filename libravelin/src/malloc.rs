//! `malloc`, `free` and what C and the BSDs put around them.

use core::ffi::c_void;
use core::ptr::null_mut;

use engine::raw;

use crate::errno::{or_no_memory, too_many};

/// A block of at least `size` bytes, or null and ENOMEM. Of size 0 too: it is unique and is freed like any other.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    give(size)
}

/// Gives a block back. Null is nothing; anything but a live block stops the process. Preserves errno.
///
/// # Safety
/// - `block` is null or a live block, and nobody uses it any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::free(block.cast()) };
}

/// `free`, as SunOS called it.
///
/// # Safety
/// - As for [`free`].
#[unsafe(no_mangle)]
unsafe extern "C" fn cfree(block: *mut c_void) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::free(block.cast()) };
}

/// C23: `free` for one who knows the size that was asked for. With canaries a wrong one stops the process; else it does no harm.
///
/// # Safety
/// - As for [`free`].
#[unsafe(no_mangle)]
unsafe extern "C" fn free_sized(block: *mut c_void, size: usize) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::free_sized(block.cast(), size) };
}

/// A block for `count` elements of `size` bytes, all zero; null and ENOMEM when the product overflows.
#[unsafe(no_mangle)]
extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => give_zeroed(bytes),
        None => too_many(),
    }
}

/// Changes a block's size. As in glibc: a null block is `malloc`, size 0 is `free` and answers null without an error.
///
/// # Safety
/// - `block` is null or a live block. Unless the answer is null for want of memory, the old pointer is dead.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise is the same.
    unsafe { resize(block, size) }
}

/// `realloc` to `count` elements of `size` bytes; null and ENOMEM, and the block as it was, when the product overflows.
///
/// # Safety
/// - As for [`realloc`].
#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise is the same.
    unsafe { resize_array(block, count, size) }
}

/// BSD: `realloc` that frees the old block when it fails.
///
/// # Safety
/// - `block` is null or a live block. It is dead afterwards, unless it is the answer.
#[unsafe(no_mangle)]
unsafe extern "C" fn reallocf(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise is the same.
    let moved = unsafe { resize(block, size) };
    // Size 0 has freed it already.
    if moved.is_null() && size != 0 {
        // SAFETY: a failed resize leaves the block as it was (null or live), and the caller gave it up.
        unsafe { raw::free(block.cast()) };
    }
    moved
}

/// How many bytes of a block the program may use: at least what it asked for. 0 for null.
///
/// # Safety
/// - `block` is null or a live block; anything else stops the process.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(block: *mut c_void) -> usize {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::usable_size(block.cast_const().cast()) }
}

/// macOS: how many bytes a block of `size` would really have.
#[unsafe(no_mangle)]
extern "C" fn malloc_good_size(size: usize) -> usize {
    raw::good_size(size)
}

/// `malloc`, for the functions of this library.
#[inline(always)]
pub(crate) fn give(size: usize) -> *mut c_void {
    match raw::at_hand(size) {
        Some(block) => block.as_ptr().cast(),
        None => give_slowly(size),
    }
}

/// Where `malloc` jumps to, so that it needs no frame of its own.
#[cold]
#[inline(never)]
fn give_slowly(size: usize) -> *mut c_void {
    or_no_memory(raw::allocate_slowly(size), size)
}

/// `calloc` of one element, for the functions of this library.
#[inline(always)]
pub(crate) fn give_zeroed(size: usize) -> *mut c_void {
    match raw::at_hand_zeroed(size) {
        Some(block) => block.as_ptr().cast(),
        None => give_zeroed_slowly(size),
    }
}

#[cold]
#[inline(never)]
fn give_zeroed_slowly(size: usize) -> *mut c_void {
    or_no_memory(raw::allocate_zeroed_slowly(size), size)
}

/// `realloc`, for the functions of this library.
///
/// # Safety
/// - As for [`realloc`].
#[inline(always)]
pub(crate) unsafe fn resize(block: *mut c_void, size: usize) -> *mut c_void {
    if size == 0 && !block.is_null() {
        // SAFETY: a live block that the caller gives up, since size 0 means `free`.
        unsafe { raw::free(block.cast()) };
        return null_mut();
    }
    // SAFETY: the caller's promise, which the engine checks besides.
    or_no_memory(unsafe { raw::reallocate(block.cast(), size) }, size)
}

/// `reallocarray`, for the functions of this library.
///
/// # Safety
/// - As for [`realloc`].
#[inline(always)]
pub(crate) unsafe fn resize_array(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the caller's promise is the same.
        Some(bytes) => unsafe { resize(block, bytes) },
        None => too_many(),
    }
}
