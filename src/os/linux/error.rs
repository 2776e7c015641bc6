//! The C library's `errno`, which `free` must keep.

use crate::os::Errno;

/// The calling thread's `errno`.
pub(crate) fn errno() -> i32 {
    let place = place();
    // SAFETY: the C library gives the address of the calling thread's own variable, valid as long as the thread runs.
    unsafe { place.read() }
}

/// Sets the calling thread's `errno`.
pub(crate) fn set_errno(value: i32) {
    let place = place();
    // SAFETY: as in `errno`; nobody else writes this thread's variable.
    unsafe { place.write(value) }
}

/// What the call that just failed left behind.
pub(super) fn last() -> Errno {
    Errno(errno())
}

/// Turns the result of a call that answers 0 or -1.
pub(super) fn outcome(result: libc::c_int) -> Result<(), Errno> {
    if result == 0 { Ok(()) } else { Err(last()) }
}

/// What tells the calling thread from all others that run, also in the child of a fork: a multiple of 4, and not 0.
pub(crate) fn thread_mark() -> usize {
    place().addr()
}

fn place() -> *mut i32 {
    // SAFETY: takes nothing and has no precondition.
    unsafe { libc::__errno_location() }
}
