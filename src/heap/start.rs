//! The first use: randomness, and the calls at fork and at the end of threads and of the process.

use super::thread::{GONE, Heap, Thread};
use super::{abandon, fork};
use crate::entropy::{self, NoSecret, Renewed};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os;
use crate::os::valgrind::quiet;
use crate::page::limit_wiping;
use crate::report::{self, Kind, Operation, Report};
use crate::sync::{AtomicBool, AtomicU64, Relaxed, SeqCst};
use core::ffi::c_void;
use core::ptr;

/// Calls at the end of a thread until its heap ends: the destructors of the first round have it, those of later ones one for the moment.
///
/// The C library runs four rounds, but a thread that first allocates in a destructor is armed only then, and called from the next round
/// on: it may never see a fourth call, and what it has is then only found when another thread begins ([`super::lost`]).
const ROUNDS: u8 = 2;

static KEY_REFUSED: AtomicBool = AtomicBool::new(false);
/// The fork handlers are registered.
static REGISTERED: AtomicBool = AtomicBool::new(false);
static FORK_REFUSED: AtomicBool = AtomicBool::new(false);
pub(super) static FORKS: AtomicU64 = AtomicU64::new(0);

/// Forks that this process and its ancestors have made with this allocator in use.
pub(crate) fn forks() -> u64 {
    FORKS.load(Relaxed)
}

/// There is no memory to begin with.
#[derive(Debug)]
pub(super) struct NoMemory;

/// Makes the allocator ready, before it takes its first lock: without randomness the process stops here. Without memory
/// nothing is ready, and the next allocation tries again.
pub(crate) fn start() {
    if entropy::init() == Err(NoSecret::NoRandomness) {
        die_without_randomness();
    }
    options::settle();
    if MITIGATIONS.zero_on_free {
        limit_wiping(options::bytes(Setting::WipeLimit));
    }
}

/// Gives the calling thread its heap, and registers with the C library: for those who come early.
pub(crate) fn open() {
    // Without memory for it, the first malloc tries again, and says so.
    let _ = Thread::current_or_new();
}

/// Sees to it that the process has a secret, and one of its own: it may have been cloned without its fork handlers.
#[inline]
pub(super) fn renew_if_cloned() -> Result<(), NoMemory> {
    match entropy::renew_if_cloned() {
        Ok(Renewed::No | Renewed::Yes) => {
            if let Some(thread) = Thread::current() {
                thread.heaps().for_each(Heap::follow_generation);
            }
            Ok(())
        }
        Err(NoSecret::NoMemory) => Err(NoMemory),
        Err(NoSecret::NoRandomness) => die_without_randomness(),
    }
}

/// No secret can be drawn: fail closed.
#[cold]
pub(super) fn die_without_randomness() -> ! {
    report::die(&Report::new(Kind::NoRandomness, Operation::Malloc, 0))
}

/// Has the C library call us at the end of the calling thread, unless it will, and at forks.
#[inline]
pub(super) fn arm(thread: &Thread) {
    if !thread.armed.load(Relaxed) {
        try_to_arm(thread);
    }
}

/// Until this succeeds the thread's pages stay the thread's after it has ended, until they are found ([`super::lost`]). So each slow path
/// tries.
#[cold]
fn try_to_arm(thread: &Thread) {
    // First, because the C library may allocate.
    thread.armed.store(true, Relaxed);
    // Made once; threads that start together must all find it, so none waits for another to have made it.
    if os::make_thread_exit_key(end_of_thread).is_err() {
        warn_once(
            &KEY_REFUSED,
            b"no thread-local key is left: memory of ended threads is not used again before other threads begin",
        );
    }
    if os::arm_thread_exit(thread.me().cast()).is_err() {
        thread.armed.store(false, Relaxed);
    }
    register_forks();
}

/// Registers with the C library, once. If that is refused, the next thread tries again.
fn register_forks() {
    if REGISTERED.swap(true, SeqCst) {
        return;
    }
    if os::at_fork(fork::before, fork::after_in_parent, fork::after_in_child).is_err() {
        REGISTERED.store(false, SeqCst);
        warn_once(&FORK_REFUSED, b"fork handlers cannot be registered: a child of a process with threads may hang");
    }
}

pub(super) fn warn_once(said: &AtomicBool, words: &[u8]) {
    if !said.swap(true, SeqCst) {
        report::warn(&[words]);
    }
}

/// Called at the end of a thread, after the destructors of thread-locals, up to [`ROUNDS`] times.
extern "C" fn end_of_thread(value: *mut c_void) {
    // SAFETY: null or what was armed: a thread's metadata, which is never unmapped.
    let Some(thread) = (unsafe { value.cast::<Thread>().as_ref() }) else { return };
    let _quiet = quiet();
    match Thread::current() {
        // With `dynamic-tls` the word may have been cleared before this destructor ran.
        None => os::set_local(value),
        Some(now) if ptr::eq(now, thread) => {}
        // And a destructor in between may have made the thread another heap: that is armed itself.
        Some(_) => return abandon::abandon_all(thread),
    }
    let round = thread.rounds.load(Relaxed).wrapping_add(1);
    thread.rounds.store(round, Relaxed);
    if round < ROUNDS && os::arm_thread_exit(value).is_ok() {
        return;
    }
    os::set_local(ptr::null_mut());
    os::set_local_heap(ptr::null_mut());
    os::set_local_state(GONE);
    abandon::abandon_all(thread);
}
