//! Faults: a handler of SIGSEGV that asks whose the address is, and hands on what is not ours.
//!
//! ```text
//!   fault --> on_fault -- ours? --yes--> the thread goes on in `explain`, as if the access had been a call of it
//!                |
//!                no --> the program's own handler, or what the kernel would have done without one
//! ```
//!
//! The handler has the flags and the mask of the one that it stands before, so that this one runs as it would have without
//! us. Nothing is explained in the handler itself: it may run on a small signal stack, and in the middle of anything.

use super::error::{errno, last, set_errno};
use super::process::{process_id, raise};
use crate::os::arch;
use crate::os::{Access, Errno, Fault, Watch};
use core::ffi::c_void;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize};
use core::{mem, ptr};
use libc::c_int;

/// Who is asked.
static WATCH: AtomicPtr<Watch> = AtomicPtr::new(ptr::null_mut());
/// The process one of whose threads is about to put the handler in its place: in the child of a fork that thread is not.
static BUSY: AtomicU32 = AtomicU32::new(0);
/// What was in our place when the handler was put there last, and what was there the time before.
static LATEST: Action = Action::new();
static FORMER: Action = Action::new();

/// An action of the program's.
struct Action {
    handler: AtomicUsize,
    flags: AtomicI32,
}

impl Action {
    const fn new() -> Action {
        Action { handler: AtomicUsize::new(libc::SIG_DFL), flags: AtomicI32::new(0) }
    }

    fn set(&self, handler: usize, flags: c_int) {
        self.handler.store(handler, Relaxed);
        self.flags.store(flags, Relaxed);
    }
}

/// Who stands in the first place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    /// Ours did, and does.
    Ours,
    /// Ours does from now on.
    OursNow,
    /// Another's, which was put there after ours.
    Theirs,
}

fn own_handler() -> usize {
    (on_fault as *const ()).addr()
}

/// Has faults told to `watch` from now on, before any handler that the program has now.
///
/// # Errors
/// The kernel's, or a filter's.
pub(crate) fn watch_faults(watch: &'static Watch) -> Result<Front, Errno> {
    let here = process_id();
    if BUSY.swap(here, Acquire) == here {
        return Ok(Front::Ours);
    }
    WATCH.store(ptr::from_ref(watch).cast_mut(), Release);
    let front = step_before();
    BUSY.store(0, Release);
    front
}

/// Whether a handler of another's has taken the place of ours.
///
/// # Errors
/// The kernel's, or a filter's.
pub(crate) fn front() -> Result<Front, Errno> {
    Ok(if present()?.sa_sigaction == own_handler() { Front::Ours } else { Front::Theirs })
}

fn step_before() -> Result<Front, Errno> {
    let theirs = present()?;
    if theirs.sa_sigaction == own_handler() {
        return Ok(Front::Ours);
    }
    let was_first = LATEST.handler.load(Relaxed) == libc::SIG_DFL;
    let mut ours = theirs;
    ours.sa_sigaction = own_handler();
    ours.sa_flags = theirs.sa_flags & !libc::SA_RESETHAND | libc::SA_SIGINFO;
    if theirs.sa_sigaction == libc::SIG_DFL || theirs.sa_sigaction == libc::SIG_IGN {
        ours.sa_flags |= libc::SA_ONSTACK;
    }
    if !was_first {
        FORMER.set(LATEST.handler.load(Relaxed), LATEST.flags.load(Relaxed));
    }
    LATEST.set(theirs.sa_sigaction, theirs.sa_flags);
    // SAFETY: reads the action, whose handler has the signature that its flags say, and is there as long as the code is.
    match unsafe { libc::sigaction(libc::SIGSEGV, &raw const ours, ptr::null_mut()) } {
        0 => Ok(Front::OursNow),
        _ => Err(last()),
    }
}

fn present() -> Result<libc::sigaction, Errno> {
    // SAFETY: zeros are a valid value of this plain C type.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: writes to the place that it is given, and sets nothing.
    match unsafe { libc::sigaction(libc::SIGSEGV, ptr::null(), &raw mut action) } {
        0 => Ok(action),
        _ => Err(last()),
    }
}

/// Codes of a fault at an address: nothing is mapped there, or not for this access.
const AT_AN_ADDRESS: [c_int; 2] = [1, 2];

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let saved = errno();
    // SAFETY: the kernel, or the handler that hands on to us, gives what belongs to the signal.
    let told = unsafe { &*info };
    let code = told.si_code;
    // SAFETY: null, or set to what lives for ever.
    let watch = unsafe { WATCH.load(Acquire).as_ref() };
    if let Some(watch) = watch
        && AT_AN_ADDRESS.contains(&code)
    {
        // SAFETY: a signal with such a code has an address.
        let address = unsafe { told.si_addr() }.addr();
        if (watch.is_ours)(address) {
            // SAFETY: the context is that of the access that faulted, and this handler returns to it at once.
            unsafe { arch::divert(context, explain, address) };
            set_errno(saved);
            return;
        }
    }
    hand_on(signal, code, info, context);
}

/// What the thread goes on with instead of the access.
extern "C" fn explain(address: usize, access: usize) -> ! {
    let access = match access {
        arch::READ => Access::Read,
        arch::WRITE => Access::Write,
        _ => Access::Unknown,
    };
    // SAFETY: the handler has diverted the thread here, and so found it set.
    let watch = unsafe { WATCH.load(Acquire).as_ref() };
    match watch {
        Some(watch) => (watch.explain)(Fault { address, access }),
        None => super::process::abort(),
    }
}

/// How many handings-on are remembered at a time.
const REMEMBERED: usize = 16;

/// A handing-on under way: of which signal (its context says), and how deep its stack is.
struct Handing {
    context: AtomicUsize,
    depth: AtomicUsize,
}

static HANDINGS: [Handing; REMEMBERED] =
    [const { Handing { context: AtomicUsize::new(0), depth: AtomicUsize::new(0) } }; REMEMBERED];

/// The program's own action, as if ours were not there.
///
/// A handler that took our place may hand on to us what it does not know, for we were there when it came; then it must not be
/// asked again, but whoever was before us both. Such a call is known by its context, and by being deeper in the stack: a new
/// fault at the same place, after a handler has jumped away, is not.
fn hand_on(signal: c_int, code: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let here = 0_u8;
    let depth = ptr::from_ref(core::hint::black_box(&here)).addr();
    let place = HANDINGS.get((context.addr() >> 12) % REMEMBERED);
    let is_nested = place
        .is_some_and(|handing| handing.context.load(Relaxed) == context.addr() && depth < handing.depth.load(Relaxed));
    let action = if is_nested { &FORMER } else { &LATEST };
    let handler = action.handler.load(Relaxed);
    if handler == libc::SIG_DFL || (handler == libc::SIG_IGN && code > 0) {
        return die_by_default(signal, code);
    }
    if handler == libc::SIG_IGN {
        return;
    }
    if action.flags.load(Relaxed) & libc::SA_RESETHAND != 0 {
        set_default(signal);
    }
    if let Some(handing) = place {
        handing.depth.store(depth, Relaxed);
        handing.context.store(context.addr(), Relaxed);
    }
    // SAFETY: a handler that the program has set for this signal; one that takes the number only is called with more, as the
    // kernel does.
    let handler = unsafe { mem::transmute::<usize, extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void)>(handler) };
    handler(signal, info, context);
    if let Some(handing) = place {
        let _ = handing.context.compare_exchange(context.addr(), 0, AcqRel, Relaxed);
    }
}

/// The kernel's own action follows: at once, for the access is tried again and faults again, or when the handler returns, for a
/// signal that somebody has sent.
fn die_by_default(signal: c_int, code: c_int) {
    set_default(signal);
    if code <= 0 {
        raise(signal);
    }
}

fn set_default(signal: c_int) {
    // SAFETY: zeros are a valid value of this plain C type, and mean the default action with no flags.
    let action: libc::sigaction = unsafe { mem::zeroed() };
    // SAFETY: reads the action; the old one is not asked for.
    let _ = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
}
