//! errno, which only a call that fails may set.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

/// What every allocating function answers when there is no memory: null, and errno is ENOMEM.
#[cold]
pub(crate) fn no_memory() -> *mut c_void {
    fail(libc::ENOMEM)
}

/// What a function answers to an alignment that the standard does not allow: null, and errno is EINVAL.
#[cold]
pub(crate) fn invalid() -> *mut c_void {
    fail(libc::EINVAL)
}

/// Hands a block to the caller as C expects it.
#[inline(always)]
pub(crate) fn or_no_memory(block: *mut u8) -> *mut c_void {
    if block.is_null() { no_memory() } else { block.cast() }
}

fn fail(code: c_int) -> *mut c_void {
    // SAFETY: takes no argument and may be called by any thread at any time.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: the C library gives the address of this thread's own errno, which lives as long as the thread.
    unsafe { place.write(code) };
    null_mut()
}
