//! Sleeping on a word.

use super::error::last;
use super::thread::yield_now;
use crate::sync::AtomicU32;
use core::ptr;
use libc::{c_int, timespec};

const WAIT: c_int = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
const WAKE: c_int = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;

/// Sleeps while `word` is `expected`, until [`wake`]. May return at any time: the caller looks again.
pub(crate) fn wait(word: &AtomicU32, expected: u32) {
    let forever = ptr::null::<timespec>();
    // SAFETY: the word is alive for the call, and the kernel only reads it.
    let result = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), WAIT, expected, forever) };
    // EAGAIN: the word has changed. EINTR: a signal. Anything else means that sleeping is forbidden: then go on politely.
    if result != 0 && !matches!(last().0, libc::EAGAIN | libc::EINTR) {
        yield_now();
    }
}

/// Wakes one thread that sleeps on `word`.
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: the kernel uses the address as a name only.
    let _ = unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), WAKE, 1 as c_int) };
}
