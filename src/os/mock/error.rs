//! An `errno` of our own.

use core::cell::Cell;

std::thread_local! {
    static ERRNO: Cell<i32> = const { Cell::new(0) };
}

/// The calling thread's `errno`.
pub(crate) fn errno() -> i32 {
    ERRNO.get()
}

/// Sets the calling thread's `errno`.
pub(crate) fn set_errno(value: i32) {
    ERRNO.set(value);
}
