//! The program's own last word: a function that is called with the report before the process dies.
//!
//! The pointer is set once and never replaced, so that whoever gets to call into the program later cannot put another
//! function in its place.

use core::mem;
use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::{Acquire, Release};

use super::death::warn;
use super::facts::Report;

/// The hook as a bare pointer, null while there is none.
static HOOK: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Sets the function that is called when the process is about to be stopped.
///
/// It is called once, on the thread whose call failed, after the line was written and before the process aborts.
/// The first hook stays for the life of the process: a later call changes nothing, and says so on stderr.
///
/// The hook runs in a process whose heap can no longer be trusted. It may allocate within narrow bounds; if it
/// misuses the heap, panics, or comes to wait for a thread that waits in the allocator, the process aborts all the same.
/// Nothing bounds the time that it spends elsewhere. It cannot prevent the death of the process.
///
/// ```
/// fn last_words(report: &ravelin::Report) {
///     if report.kind() == ravelin::Kind::DoubleFree {
///         // Tell the supervisor, for instance through a descriptor that is open already.
///     }
/// }
/// ravelin::set_report_hook(last_words);
/// ```
pub fn set_report_hook(hook: fn(&Report)) {
    let pointer = hook as *mut ();
    if let Err(present) = HOOK.compare_exchange(ptr::null_mut(), pointer, Release, Acquire)
        && present != pointer
    {
        warn(&[b"a report hook is set already; the new one is not used"]);
    }
}

/// The hook, if the program has set one.
pub(super) fn hook() -> Option<fn(&Report)> {
    let pointer = HOOK.load(Acquire);
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the pointer is not null, and the only other value ever stored is a `fn(&Report)` cast to a pointer in
    // `set_report_hook`; a function pointer keeps its value through that cast.
    Some(unsafe { mem::transmute::<*mut (), fn(&Report)>(pointer) })
}
