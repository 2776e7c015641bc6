//! How the process dies: once, with one line, whatever the hook and the signal handlers do.
//!
//! ```text
//! ALIVE --claim--> CLAIMED --line written--> WRITTEN --hook returned--> RAISED --SIGABRT--> dead
//!                                              |                          |
//!                                              the hook runs              a handler of the program may run
//! ```
//!
//! The stage only moves to the right. What a thread may do from CLAIMED on:
//!
//! - **The reporter** (the thread that claimed) may still allocate, because hooks and handlers do: they symbolise
//!   backtraces and write logs. Fast paths are not counted. A slow path calls [`die_if_dying`], which ends the process
//!   when [`SLOW_PATHS`] are used up (once SIGABRT is raised, [`SLOW_PATHS_RAISED`]), when [`GRACE`] is over, or when the stack is shallower than it was in [`die`]:
//!   then the report was left by a jump, for a handler's frames lie deeper, or on the thread's signal stack.
//!   So a handler that jumps away dies in its next slow path as a rule, and after a bounded number of them at the latest.
//! - **Any other thread** waits in its next slow path or report, and ends the process itself when the grace is over:
//!   the reporter may have jumped away, have exited, or be waiting for that very thread.
//! - **A second report by the reporter** ends the process at once. So does waiting for a lock, which it may hold itself:
//!   see [`is_reporter`].
//! - **A child** that the hook or a handler forks counts as the reporter: its one thread is a copy of it.
//!
//! Ending means SIGABRT with the program's handler the first time, and without any handler from then on.

use core::ptr;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize};

use super::facts::Report;
use super::hook;
use super::kind::{Kind, Operation};
use super::line::Line;
use super::output;
use crate::os;

/// How many slow paths the reporter may still take: a backtrace of a large program takes some thousands.
const SLOW_PATHS: u32 = 10_000;
/// How many of them are left at most once SIGABRT was raised, for whoever runs then may have jumped away.
const SLOW_PATHS_RAISED: u32 = 1_000;
/// Milliseconds that the hook, and again the handler of SIGABRT, may go on using the allocator, or keep others waiting.
const GRACE: u64 = if cfg!(test) { 2_000 } else { 10_000 };

const ALIVE: u8 = 0;
const CLAIMED: u8 = 1;
const WRITTEN: u8 = 2;
const RAISED: u8 = 3;

// These are core's atomics even under loom: they are statics, and no model is made of dying.

/// The thread that reports; 0 while nobody does. Set once.
static REPORTER: AtomicU64 = AtomicU64::new(0);
/// The process of the reporter, to recognise its children; 0 until it is known.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// How far the reporter has come.
static STAGE: AtomicU8 = AtomicU8::new(ALIVE);
/// When the grace ends, by the clock of [`os::milliseconds`].
static DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);
/// Where the reporter's stack stood in [`die`].
static STACK: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Slow paths that the reporter has taken since.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// What a thread that wants to report finds out about itself.
enum Claim {
    /// Nobody reports yet: now this thread does.
    First,
    /// This thread reports already, and comes again from its hook or a signal handler.
    Again,
    /// Another thread was faster.
    Late,
}

/// Writes the report, calls the hook, and ends the process. Never returns and never unwinds.
#[cold]
#[inline(never)]
pub(crate) fn die(report: &Report) -> ! {
    match claim() {
        Claim::First => {
            write(report);
            call_hook(report);
            finish()
        }
        Claim::Again => {
            // A signal that hit the reporter before its line was out must not cost the line.
            if STAGE.load(SeqCst) < WRITTEN {
                write(report);
            }
            finish()
        }
        Claim::Late => wait_for_death(),
    }
}

/// Stops the process: an invariant of the allocator does not hold, as `note` says, at `address` (0 if at none).
#[cold]
#[inline(never)]
pub(crate) fn internal(note: &'static str, operation: Operation, address: usize) -> ! {
    die(&Report::new(Kind::Internal, operation, address).with_note(note))
}

/// Whether the process is being stopped. Sticky.
#[inline(always)]
pub(crate) fn dying() -> bool {
    REPORTER.load(Relaxed) != 0
}

/// Whether the process is being stopped by this thread, or by the thread that forked it: such a thread must not wait for
/// a lock, which it may hold itself, but call [`finish`].
#[inline]
pub(crate) fn is_reporter() -> bool {
    dying() && reports_itself()
}

/// For the start of every slow path: returns only in a process that is well, or to a reporter within its bounds.
#[inline(always)]
pub(crate) fn die_if_dying() {
    if dying() {
        last_rites();
    }
}

/// Ends the process without a word: with SIGABRT, whose handler is asked only the first time.
#[cold]
#[inline(never)]
pub(crate) fn finish() -> ! {
    if STAGE.swap(RAISED, SeqCst) == RAISED {
        os::abort_now()
    }
    TAKEN.fetch_max(SLOW_PATHS.wrapping_sub(SLOW_PATHS_RAISED), Relaxed);
    start_grace();
    os::valgrind::speak_up();
    os::abort()
}

/// Writes a line `ravelin: warning: ...` of the parts, which may come from outside.
#[cold]
pub(crate) fn warn(parts: &[&[u8]]) {
    if !output::may_warn() {
        return;
    }
    let mut line = Line::new();
    line.push_str("ravelin: warning: ");
    for part in parts {
        line.push_foreign(part);
    }
    output::write(line.end());
}

#[cold]
#[inline(never)]
fn last_rites() {
    if !reports_itself() {
        wait_for_death();
    }
    // Beyond the bound the process is dead, so the count cannot come round to 0 again.
    if TAKEN.fetch_add(1, Relaxed) >= SLOW_PATHS || grace_is_over() || has_jumped_away() {
        finish();
    }
}

fn claim() -> Claim {
    match REPORTER.compare_exchange(0, os::thread_id(), SeqCst, SeqCst) {
        Ok(_) => {
            PROCESS.store(os::process_id(), SeqCst);
            STACK.store(stack_depth(), SeqCst);
            start_grace();
            // A signal handler of this thread may have been here meanwhile; then the stage is past this already.
            let _ = STAGE.compare_exchange(ALIVE, CLAIMED, SeqCst, SeqCst);
            Claim::First
        }
        Err(_) if reports_itself() => Claim::Again,
        Err(_) => Claim::Late,
    }
}

/// Whether the calling thread is the reporter, or the copy of it in a child.
fn reports_itself() -> bool {
    let process = PROCESS.load(SeqCst);
    REPORTER.load(SeqCst) == os::thread_id() || (process != 0 && process != os::process_id())
}

fn write(report: &Report) {
    let mut line = Line::new();
    line.push_str("ravelin: ");
    report.describe(&mut line);
    os::write_error(line.end());
    STAGE.store(WRITTEN, SeqCst);
    report.tell_life(&mut os::write_error);
}

/// Calls the hook, if there is one. A panic that comes out of it must not reach the caller of `free`.
fn call_hook(report: &Report) {
    struct FinishOnUnwind;
    impl Drop for FinishOnUnwind {
        fn drop(&mut self) {
            finish()
        }
    }
    if let Some(hook) = hook::hook() {
        let guard = FinishOnUnwind;
        hook(report);
        core::mem::forget(guard);
    }
}

fn wait_for_death() -> ! {
    while !grace_is_over() {
        os::nap();
    }
    finish()
}

fn start_grace() {
    DEADLINE.store(os::milliseconds().saturating_add(GRACE), SeqCst);
}

fn grace_is_over() -> bool {
    os::milliseconds() > DEADLINE.load(SeqCst)
}

/// Whether the reporter's stack is shallower than in [`die`]. Stacks grow downwards on every platform that there is a
/// backend for. A handler on a signal stack of its own says nothing either way, and is left to the other bounds.
fn has_jumped_away() -> bool {
    stack_depth() > STACK.load(SeqCst) && !os::on_signal_stack()
}

/// The address of something in the current frame.
#[inline(never)]
fn stack_depth() -> usize {
    let here = 0u8;
    ptr::from_ref(core::hint::black_box(&here)).addr()
}

#[cfg(test)]
#[path = "deaths.rs"]
mod tests;
