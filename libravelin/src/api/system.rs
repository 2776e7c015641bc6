//! The names that other systems have: POSIX, the BSDs, glibc, Microsoft.

use core::ffi::{c_int, c_void};

use engine::raw;

use super::aligned::resize_zeroed_aligned;
use super::basic::{fits, resize};
use crate::aligned::{on_a_page, store_aligned, whole_pages};
use crate::errno::{fail, or_failure, too_many};

export! {
    /// `usable_size`, as macOS calls it.
    ///
    /// # Safety
    /// - `block` is null or a live block; anything else stops the process.
    unsafe fn malloc_size(block: *const c_void) -> usize {
        // SAFETY: the caller's promise, which the engine checks besides.
        unsafe { raw::usable_size(block.cast()) }
    }

    /// `usable_size`, as glibc calls it.
    ///
    /// # Safety
    /// - `block` is null or a live block; anything else stops the process.
    unsafe fn malloc_usable_size(block: *const c_void) -> usize {
        // SAFETY: the caller's promise, which the engine checks besides.
        unsafe { raw::usable_size(block.cast()) }
    }

    /// `good_size`, as macOS calls it.
    fn malloc_good_size(size: usize) -> usize {
        raw::good_size(size)
    }

    /// Stores an aligned block in `*place` and returns 0; or returns EINVAL or ENOMEM and stores nothing. Never sets errno.
    ///
    /// # Safety
    /// - `place` is null or may be written.
    unsafe fn posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int {
        if place.is_null() {
            return libc::EINVAL;
        }
        // SAFETY: the caller's promise.
        unsafe { store_aligned(place, align, size) }
    }

    /// A block whose address is a multiple of `align`; null if that is no power of two.
    fn memalign(align: usize, size: usize) -> *mut c_void {
        or_failure(raw::allocate_aligned(size, align), size, align)
    }

    /// The same. The size need not be a multiple of the alignment.
    fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
        or_failure(raw::allocate_aligned(size, align), size, align)
    }

    /// A block that starts an OS page.
    fn valloc(size: usize) -> *mut c_void {
        on_a_page(size)
    }

    /// A block that starts an OS page and has whole ones.
    fn pvalloc(size: usize) -> *mut c_void {
        whole_pages(size)
    }

    /// Changes a block's size to `count` elements of `size` bytes; null and ENOMEM, and the block as it was, if that fails.
    ///
    /// # Safety
    /// - `block` is null or a live block. Unless the answer is null, the old pointer is dead.
    unsafe fn reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize(block, bytes) },
            None => too_many(),
        }
    }

    /// NetBSD: the same for the block in `*place`, where the new one is stored. Returns 0, EINVAL or ENOMEM, and sets errno to it.
    ///
    /// # Safety
    /// - `place` is null, or the address of a pointer to a block or of null.
    unsafe fn reallocarr(place: *mut c_void, count: usize, size: usize) -> c_int {
        let place = place.cast::<*mut c_void>();
        if place.is_null() {
            fail(libc::EINVAL);
            return libc::EINVAL;
        }
        // SAFETY: the caller's promise. It may be a pointer to any type.
        let block = unsafe { place.read() };
        let moved = match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize(block, bytes) },
            None => too_many(),
        };
        if moved.is_null() {
            return libc::ENOMEM;
        }
        // SAFETY: the caller's promise.
        unsafe { place.write(moved) };
        0
    }

    /// Microsoft: `expand`, which sets ENOMEM if the block has no such room.
    ///
    /// # Safety
    /// - `block` is null or a live block; anything else stops the process.
    unsafe fn _expand(block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        let same = unsafe { fits(block, size) };
        if same.is_null() { fail(libc::ENOMEM) } else { same }
    }

    /// Microsoft: `recalloc_aligned`.
    ///
    /// # Safety
    /// - `block` is null or a live block. Unless the answer is null, the old pointer is dead.
    unsafe fn aligned_recalloc(block: *mut c_void, count: usize, size: usize, align: usize) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize_zeroed_aligned(block, bytes, align) },
            None => too_many(),
        }
    }
}
