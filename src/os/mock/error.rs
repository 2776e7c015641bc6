//! An `errno` of our own.

use core::cell::Cell;

std::thread_local! {
    static ERRNO: Cell<i32> = const { Cell::new(0) };
}

/// The calling thread's `errno`.
pub(crate) fn errno() -> i32 {
    ERRNO.get()
}

/// What tells the calling thread from all others that run: a multiple of 4, and not 0.
pub(crate) fn thread_mark() -> usize {
    ERRNO.with(|place| place.as_ptr().addr())
}

/// Sets the calling thread's `errno`.
pub(crate) fn set_errno(value: i32) {
    ERRNO.set(value);
}
