//! The process: its number, its forks and its end.

use crate::os::Errno;
use core::{mem, ptr};
use libc::{c_int, c_long};

/// The kernel's number of this process. A system call, so that no cached number survives a raw clone.
pub(crate) fn process_id() -> u32 {
    getpid().cast_unsigned()
}

/// Has `prepare` called before every fork, and `parent` and `child` after it. Registered once at start, so that `prepare` runs
/// last and `child` first.
///
/// # Errors
/// ENOMEM when the C library needed memory and got none.
pub(crate) fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: the functions take nothing and are there as long as the code is.
    match unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } {
        0 => Ok(()),
        number => Err(Errno(number)),
    }
}

/// Has `f` called when the process exits in good order.
///
/// # Errors
/// ENOMEM when the C library needed memory and got none.
pub(crate) fn at_exit(f: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: the function takes nothing and is there as long as the code is.
    match unsafe { libc::atexit(f) } {
        0 => Ok(()),
        _ => Err(Errno::NOMEM),
    }
}

/// Ends the process by SIGABRT of the calling thread.
///
/// A handler may run. When it returns, or the signal is ignored, the default action is put back and the signal sent again;
/// if even that is denied, SIGKILL, and at last the plain exit. A handler that jumps away is caught elsewhere: it never
/// returns here.
pub(crate) fn abort() -> ! {
    unblock_abort();
    raise(libc::SIGABRT);
    abort_now()
}

/// Ends the process by SIGABRT of the calling thread, and asks no handler: for the second time.
pub(crate) fn abort_now() -> ! {
    default_abort();
    unblock_abort(); // the handler may have blocked it
    raise(libc::SIGABRT);
    raise(libc::SIGKILL);
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(127) }
}

/// Sends a signal to the calling thread by the system call itself: the C library's `raise` blocks signals around it.
fn raise(signal: c_int) {
    let process = getpid();
    // SAFETY: takes nothing and cannot fail.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    // SAFETY: sends a signal to this very thread; what it does is the caller's wish.
    let _ = unsafe { libc::syscall(libc::SYS_tgkill, c_long::from(process), thread, c_long::from(signal)) };
}

fn getpid() -> libc::pid_t {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getpid() }
}

fn unblock_abort() {
    // SAFETY: a set of zeros is a valid value of this plain C type.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: writes to the set that it is given.
    let _ = unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: writes to the set that it is given.
    let _ = unsafe { libc::sigaddset(&raw mut set, libc::SIGABRT) };
    // SAFETY: reads the set; no old mask is asked for.
    let _ = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, ptr::null_mut()) };
}

fn default_abort() {
    // SAFETY: zeros are a valid value of this plain C type, and mean the default action with no flags.
    let action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: reads the action; the old one is not asked for.
    let _ = unsafe { libc::sigaction(libc::SIGABRT, &raw const action, ptr::null_mut()) };
}
