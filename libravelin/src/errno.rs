//! errno, which only a call that fails may set, and the failure itself.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use crate::talk::error;

/// The largest request that is not refused at once, in bytes: PTRDIFF_MAX.
const LARGEST: usize = isize::MAX as usize;

/// What every allocating function answers when there is no memory: null, and errno is ENOMEM. The program's function for errors
/// hears of it, and of a size that no machine has as mimalloc tells it: two tries that are too large, then the failure.
#[cold]
#[inline(never)]
pub(crate) fn no_memory(size: usize) -> *mut c_void {
    if size > LARGEST {
        error(libc::EOVERFLOW, c"allocation request is too large", Some(size));
        error(libc::EOVERFLOW, c"allocation request is too large", Some(size));
    }
    error(libc::ENOMEM, c"unable to allocate memory", Some(size));
    fail(libc::ENOMEM)
}

/// What they answer to a count and a size whose product is no size: the same, but nobody is told in a release build.
#[cold]
#[inline(never)]
pub(crate) fn too_many() -> *mut c_void {
    if cfg!(debug_assertions) {
        error(libc::EOVERFLOW, c"allocation request is too large", None);
    }
    fail(libc::ENOMEM)
}

/// Hands a block for `size` bytes on a multiple of `align` to the caller as mimalloc's functions do: an alignment that is no power of
/// two gets none, and is no want of memory.
#[inline(always)]
pub(crate) fn or_failure(block: *mut u8, size: usize, align: usize) -> *mut c_void {
    if block.is_null() { failed_aligned(size, align) } else { block.cast() }
}

#[cold]
#[inline(never)]
fn failed_aligned(size: usize, align: usize) -> *mut c_void {
    if align.is_power_of_two() { no_memory(size) } else { not_aligned() }
}

/// What mimalloc's functions answer to an alignment that is no power of two.
#[cold]
pub(crate) fn not_aligned() -> *mut c_void {
    if cfg!(debug_assertions) {
        error(libc::EOVERFLOW, c"alignment is no power of two", None);
    }
    invalid()
}

/// What a function answers to an alignment that the standard does not allow: null, and errno is EINVAL.
#[cold]
pub(crate) fn invalid() -> *mut c_void {
    fail(libc::EINVAL)
}

/// Hands a block for `size` bytes to the caller as C expects it.
#[inline(always)]
pub(crate) fn or_no_memory(block: *mut u8, size: usize) -> *mut c_void {
    if block.is_null() { no_memory(size) } else { block.cast() }
}

/// Sets errno, and answers null.
pub(crate) fn fail(code: c_int) -> *mut c_void {
    set(code);
    null_mut()
}

/// errno.
pub(crate) fn get() -> c_int {
    // SAFETY: takes no argument and may be called by any thread at any time.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the C library gives the address of this thread's own errno, which lives as long as the thread.
    unsafe { place.read() }
}

/// Sets errno.
pub(crate) fn set(code: c_int) {
    // SAFETY: takes no argument and may be called by any thread at any time.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as in `get`.
    unsafe { place.write(code) };
}
