//! A thread's number, its patience and its end.

use super::error::errno;
use super::keys::{Destructor, Key};
use crate::os::Errno;
use core::{mem, ptr};
use libc::c_void;

/// The kernel's number of the calling thread. A system call.
pub(crate) fn thread_id() -> u64 {
    // SAFETY: takes nothing and cannot fail.
    let id = unsafe { libc::syscall(libc::SYS_gettid) };
    id.cast_unsigned()
}

/// Whether that thread of that process has ended, for good. No, if the kernel does not say.
pub(crate) fn has_ended(process: u32, thread: u64) -> bool {
    // SAFETY: sends nothing, whoever has these numbers.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, i64::from(process), thread, 0) };
    result != 0 && errno() == libc::ESRCH
}

/// Lets others run.
pub(crate) fn yield_now() {
    // SAFETY: takes nothing and cannot fail on Linux.
    let _ = unsafe { libc::sched_yield() };
}

/// Lets a millisecond pass.
pub(crate) fn nap() {
    let millisecond = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    // By the system call: a thread that was cancelled must not end in here (see `file`).
    // SAFETY: reads the timespec that it is given. A signal may shorten the nap.
    let _ = unsafe { libc::syscall(libc::SYS_nanosleep, &raw const millisecond, ptr::null_mut::<libc::timespec>()) };
}

/// Whether the calling thread runs a signal handler on a stack of its own (`sigaltstack`).
pub(crate) fn on_signal_stack() -> bool {
    // SAFETY: zeros are a valid value of this plain C type.
    let mut stack: libc::stack_t = unsafe { mem::zeroed() };
    // SAFETY: writes to the place that it is given, and sets nothing.
    let result = unsafe { libc::sigaltstack(ptr::null(), &raw mut stack) };
    result == 0 && stack.ss_flags & libc::SS_ONSTACK != 0
}

static EXIT: Key = Key::new();

/// Has `f` called at the end of every thread that [`arm_thread_exit`] has armed, after the destructors of thread-locals.
///
/// To be made at start: the C library keeps the values of its first 32 keys without allocating.
///
/// # Errors
/// EAGAIN when the process has no keys left; no thread can be armed then.
pub(crate) fn make_thread_exit_key(f: Destructor) -> Result<(), Errno> {
    EXIT.make(Some(f)).map(|_| ())
}

/// Has the end of the calling thread call the exit function with `value`, unless it is null. The call disarms; the function
/// may arm again and is then called again, in at most four rounds. Nothing runs for the main thread when the process exits.
///
/// # Errors
/// EINVAL before the key is made; ENOMEM when the C library needed memory for the value and got none.
pub(crate) fn arm_thread_exit(value: *mut c_void) -> Result<(), Errno> {
    EXIT.set(value)
}
