//! Blocks: given, resized, given back, asked about.

use core::ffi::c_void;

use engine::raw;

use crate::errno::{or_no_memory, too_many};
use crate::malloc::{give, give_zeroed};

export! {
    /// A block of at least `size` bytes.
    fn malloc(size: usize) -> *mut c_void {
        give(size)
    }

    /// A block of at least `size` bytes, for sizes that a program knows to be small. Others work too.
    fn malloc_small(size: usize) -> *mut c_void {
        give(size)
    }

    /// A block of at least `size` bytes, all zero, also those that it has beyond `size`.
    fn zalloc(size: usize) -> *mut c_void {
        give_zeroed(size)
    }

    /// The same, for sizes that a program knows to be small. Others work too.
    fn zalloc_small(size: usize) -> *mut c_void {
        give_zeroed(size)
    }

    /// A block for `count` elements of `size` bytes, all zero.
    fn calloc(count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            Some(bytes) => give_zeroed(bytes),
            None => too_many(),
        }
    }

    /// A block for `count` elements of `size` bytes.
    fn mallocn(count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            Some(bytes) => give(bytes),
            None => too_many(),
        }
    }

    /// The block itself if `size` bytes fit into it as it is, else null.
    ///
    /// # Safety
    /// - `block` is null or a live block; anything else stops the process.
    unsafe fn expand(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { fits(block, size) }
    }

    /// Changes a block's size. A null block is `malloc`; size 0 gives a block of its own, whose first byte is 0.
    ///
    /// # Safety
    /// - `block` is null or a live block. Unless the answer is null, the old pointer is dead.
    unsafe fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize(block, size) }
    }

    /// The same, to `count` elements of `size` bytes.
    ///
    /// # Safety
    /// - As for `realloc`.
    unsafe fn reallocn(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize(block, bytes) },
            None => too_many(),
        }
    }

    /// The same as `realloc`, but a block that cannot be resized is freed.
    ///
    /// # Safety
    /// - `block` is null or a live block. It is dead afterwards, unless it is the answer.
    unsafe fn reallocf(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        let moved = unsafe { resize(block, size) };
        if moved.is_null() {
            // SAFETY: a failed resize leaves the block as it was (null or live), and the caller gave it up.
            unsafe { raw::free(block.cast()) };
        }
        moved
    }

    /// Changes the size of a block that was zero when it was new; what is added is zero.
    ///
    /// # Safety
    /// - As for `realloc`.
    unsafe fn rezalloc(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize_zeroed(block, size) }
    }

    /// The same, to `count` elements of `size` bytes.
    ///
    /// # Safety
    /// - As for `realloc`.
    unsafe fn recalloc(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize_zeroed(block, bytes) },
            None => too_many(),
        }
    }

    /// Gives a block back. Null is nothing; anything but a live block stops the process. Preserves errno.
    ///
    /// # Safety
    /// - `block` is null or a live block, and nobody uses it any more.
    unsafe fn free(block: *mut c_void) {
        // SAFETY: the caller's promise, which the engine checks besides.
        unsafe { raw::free(block.cast()) };
    }

    /// Gives a block back if it lies in this allocator's memory; a pointer that does not is left alone.
    ///
    /// # Safety
    /// - `block` is not ours, or a live block that nobody uses any more.
    unsafe fn cfree(block: *mut c_void) {
        if raw::in_region(block.cast_const().cast()) {
            // SAFETY: the caller's promise, which the engine checks besides.
            unsafe { raw::free(block.cast()) };
        }
    }

    /// `free`, for one who knows the size that was asked for. It is not needed, and not looked at: mimalloc lets it be any up to the usable size.
    ///
    /// # Safety
    /// - As for `free`.
    unsafe fn free_size(block: *mut c_void, _size: usize) {
        // SAFETY: the caller's promise, which the engine checks besides.
        unsafe { raw::free(block.cast()) };
    }

    /// `free`, for one who knows size and alignment that were asked for. They are not needed, as above.
    ///
    /// # Safety
    /// - As for `free`.
    unsafe fn free_size_aligned(block: *mut c_void, _size: usize, _align: usize) {
        // SAFETY: the caller's promise, which the engine checks besides.
        unsafe { raw::free(block.cast()) };
    }

    /// `free`, for one who knows the alignment that was asked for. It is not needed.
    ///
    /// # Safety
    /// - As for `free`.
    unsafe fn free_aligned(block: *mut c_void, _align: usize) {
        // SAFETY: the caller's promise, which the engine checks besides.
        unsafe { raw::free(block.cast()) };
    }

    /// How many bytes of a block the program may use; 0 for null.
    ///
    /// # Safety
    /// - `block` is null or a live block; anything else stops the process.
    unsafe fn usable_size(block: *const c_void) -> usize {
        // SAFETY: the caller's promise, which the engine checks besides.
        unsafe { raw::usable_size(block.cast()) }
    }

    /// How many bytes a block for `size` bytes would have.
    fn good_size(size: usize) -> usize {
        raw::good_size(size)
    }

    /// Whether the pointer lies in this allocator's memory. Harmless for any pointer.
    fn is_in_heap_region(pointer: *const c_void) -> bool {
        raw::in_region(pointer.cast())
    }
}

/// `realloc` as mimalloc has it, for the functions of this library.
///
/// # Safety
/// - As for `realloc` above.
#[inline(always)]
pub(crate) unsafe fn resize(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise, which the engine checks besides.
    or_no_memory(unsafe { resize_quietly(block, size) }, size)
}

/// The same, without a word of failure.
///
/// # Safety
/// - As for `realloc` above.
#[inline(always)]
pub(crate) unsafe fn resize_quietly(block: *mut c_void, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise, which the engine checks besides.
    let moved = unsafe { raw::reallocate(block.cast(), with_an_end(size)) };
    // SAFETY: null or a block of that size, the caller's.
    unsafe { end_if_empty(moved, size) };
    moved
}

/// Bytes that a resized block must have: what is resized to none is an empty string, for those who meant one, and has its end.
#[inline(always)]
pub(super) const fn with_an_end(size: usize) -> usize {
    if size == 0 { 1 } else { size }
}

/// Ends a string of no bytes.
///
/// # Safety
/// - `block` is null or of [`with_an_end`]`(size)` bytes, and the caller's.
#[inline(always)]
pub(super) unsafe fn end_if_empty(block: *mut u8, size: usize) {
    if size == 0 && !block.is_null() {
        // SAFETY: it has a byte.
        unsafe { block.write(0) };
    }
}

/// `rezalloc`, for the functions of this library.
///
/// # Safety
/// - As for `rezalloc` above.
pub(crate) unsafe fn resize_zeroed(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise, which the engine checks besides.
    or_no_memory(unsafe { raw::reallocate_zeroed(block.cast(), size) }, size)
}

/// `expand`, for the functions of this library.
///
/// # Safety
/// - As for `expand` above.
pub(crate) unsafe fn fits(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise, which the engine checks besides.
    let room = unsafe { raw::usable_size(block.cast_const().cast()) };
    if size <= room { block } else { core::ptr::null_mut() }
}
