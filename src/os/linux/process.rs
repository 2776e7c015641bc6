//! The process: its number, its forks and its end.

use crate::os::{Errno, Usage};
use core::{mem, ptr};
use libc::{c_int, c_long};

/// The kernel's number of this process. A system call, so that no cached number survives a raw clone.
pub(crate) fn process_id() -> u32 {
    getpid().cast_unsigned()
}

/// Whether the calling thread is the only one of its process. No, if the kernel does not say.
pub(crate) fn is_only_thread() -> bool {
    let mut folder = mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: a C string, and room for the answer.
    if unsafe { libc::stat(c"/proc/self/task".as_ptr(), folder.as_mut_ptr()) } != 0 {
        return false;
    }
    // SAFETY: the call has succeeded, and so written it.
    let names = unsafe { folder.assume_init() }.st_nlink;
    // A folder for each thread, and as any folder has: its own name, and its name within.
    names == 2 + 1
}

/// What the process has used so far. All zero if the kernel does not say.
pub(crate) fn usage() -> Usage {
    // SAFETY: zeros are a valid value of this plain C type.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: writes to the place that it is given.
    let _ = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let milliseconds = |time: libc::timeval| {
        let whole = time.tv_sec.cast_unsigned().wrapping_mul(1000);
        whole.wrapping_add(time.tv_usec.cast_unsigned() / 1000)
    };
    Usage {
        user: milliseconds(usage.ru_utime),
        system: milliseconds(usage.ru_stime),
        // The kernel counts in KiB.
        peak_resident: usage.ru_maxrss.cast_unsigned().wrapping_mul(1024),
        major_faults: usage.ru_majflt.cast_unsigned(),
    }
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
pub(super) fn raise(signal: c_int) {
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

#[cfg(test)]
mod tests {
    use super::super::testing::{Birth, Ending, in_child, shared_words};
    use super::*;
    use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed};

    #[test]
    fn a_thread_is_alone_until_there_is_another() {
        let ending = in_child(Birth::Fork, || {
            let before = is_only_thread();
            let other = std::thread::spawn(|| i32::from(is_only_thread()));
            i32::from(!before) + other.join().expect("the thread does not panic") * 2
        });
        assert_eq!(ending, Some(Ending::Exit(0)));
    }

    const KILLED: Option<Ending> = Some(Ending::Signal(libc::SIGABRT));

    /// Shared with the child, whose handler counts here.
    static COUNT: AtomicPtr<u64> = AtomicPtr::new(ptr::null_mut());

    extern "C" fn returns(_: c_int) {
        let count = COUNT.load(Relaxed);
        // SAFETY: set before the handler; the parent reads when this child has ended.
        let so_far = unsafe { count.read() };
        // SAFETY: as above.
        unsafe { count.write(so_far + 1) };
    }

    extern "C" fn blocks_and_returns(signal: c_int) {
        returns(signal);
        block_abort();
    }

    /// `signal` takes handlers as numbers.
    fn handle(handler: extern "C" fn(c_int)) {
        set_action((handler as *const ()).addr());
    }

    fn set_action(action: libc::sighandler_t) {
        // SAFETY: the handlers of these tests may run at any time.
        unsafe { libc::signal(libc::SIGABRT, action) };
    }

    fn block_abort() {
        // SAFETY: zeros are an empty set on Linux.
        let mut set: libc::sigset_t = unsafe { mem::zeroed() };
        // SAFETY: writes to the set that it is given.
        unsafe { libc::sigaddset(&raw mut set, libc::SIGABRT) };
        // SAFETY: reads the set.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
    }

    #[test]
    fn abort_is_a_sigabrt() {
        assert_eq!(in_child(Birth::Fork, || abort()), KILLED);
    }

    #[test]
    fn abort_ends_a_process_that_ignores_or_blocks_it() {
        let ignoring = in_child(Birth::Fork, || {
            set_action(libc::SIG_IGN);
            abort()
        });
        assert_eq!(ignoring, KILLED);
        let blocking = in_child(Birth::Fork, || {
            block_abort();
            abort()
        });
        assert_eq!(blocking, KILLED);
    }

    #[test]
    fn a_handler_runs_once_and_its_return_saves_nobody() {
        for handler in [returns as extern "C" fn(c_int), blocks_and_returns] {
            let count = shared_words(1);
            COUNT.store(count, Relaxed);
            let ending = in_child(Birth::Fork, || {
                handle(handler);
                abort()
            });
            assert_eq!(ending, KILLED);
            // SAFETY: the child has ended.
            assert_eq!(unsafe { count.read() }, 1);
        }
    }

    static SEEN: AtomicU32 = AtomicU32::new(0);

    fn note(digit: u32) {
        SEEN.store(SEEN.load(Relaxed) * 10 + digit, Relaxed);
    }

    extern "C" fn prepare() {
        note(1);
    }

    extern "C" fn parent() {
        note(2);
    }

    extern "C" fn child() {
        note(3);
    }

    #[test]
    fn fork_handlers_run_on_their_side() {
        // In a child, so that no other test's forks meet them.
        let ending = in_child(Birth::Fork, || {
            if at_fork(prepare, parent, child).is_err() {
                return 1;
            }
            let inner = in_child(Birth::Fork, || i32::from(SEEN.load(Relaxed) != 13));
            i32::from(inner != Some(Ending::Exit(0)) || SEEN.load(Relaxed) != 12)
        });
        assert_eq!(ending, Some(Ending::Exit(0)));
    }

    extern "C" fn leave() {
        // SAFETY: ends the child.
        unsafe { libc::_exit(42) };
    }

    #[test]
    fn what_is_registered_for_the_exit_runs_there() {
        let ending = in_child(Birth::Fork, || {
            if at_exit(leave).is_err() {
                return 1;
            }
            // SAFETY: the child has one thread.
            unsafe { libc::exit(2) }
        });
        assert_eq!(ending, Some(Ending::Exit(42)));
    }

    #[test]
    fn a_raw_clone_has_a_number_of_its_own() {
        let ours = process_id();
        let ending = in_child(Birth::RawClone, || i32::from(process_id() == ours));
        assert_eq!(ending, Some(Ending::Exit(0)));
    }
}
