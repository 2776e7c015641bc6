//! Three words for each thread, zero when it starts.

use crate::mitigations::DYNAMIC_TLS;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;

// There is only one way here, whatever the feature says.
const _: bool = DYNAMIC_TLS;

std::thread_local! {
    // Constant and without a destructor: never initialised, never gone.
    static FIRST: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
    static SECOND: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
    static THIRD: Cell<usize> = const { Cell::new(0) };
}

/// The first word: what the thread has, or null.
#[inline(always)]
pub(crate) fn local() -> *mut c_void {
    FIRST.get()
}

/// Sets the first word.
#[inline(always)]
pub(crate) fn set_local(value: *mut c_void) {
    FIRST.set(value);
}

/// The second word: the heap that the thread allocates from, or null.
#[inline(always)]
pub(crate) fn local_heap() -> *mut c_void {
    SECOND.get()
}

/// Sets the second word.
#[inline(always)]
pub(crate) fn set_local_heap(value: *mut c_void) {
    SECOND.set(value);
}

/// The third word: a number of the engine's own.
#[inline(always)]
pub(crate) fn local_state() -> usize {
    THIRD.get()
}

/// Sets the third word.
#[inline(always)]
pub(crate) fn set_local_state(value: usize) {
    THIRD.set(value);
}
