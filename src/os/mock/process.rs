//! The process: its number, its forks and its end.

use super::controls::may_fail;
use crate::os::Errno;
use std::sync::{Mutex, PoisonError};

/// The number of this process.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Before a fork, and after it in the parent and in the child.
pub(crate) type ForkHandlers = [extern "C" fn(); 3];

static FORK: Mutex<Option<ForkHandlers>> = Mutex::new(None);

/// Records the handlers: [`fork_handlers`] hands them to a test that plays a fork.
///
/// # Errors
/// ENOMEM.
pub(crate) fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) -> Result<(), Errno> {
    may_fail(Errno::NOMEM)?;
    *FORK.lock().unwrap_or_else(PoisonError::into_inner) = Some([prepare, parent, child]);
    Ok(())
}

/// What was registered last.
pub(crate) fn fork_handlers() -> Option<ForkHandlers> {
    *FORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accepts the function, and never calls it.
///
/// # Errors
/// ENOMEM.
pub(crate) fn at_exit(_: extern "C" fn()) -> Result<(), Errno> {
    may_fail(Errno::NOMEM)
}

/// Ends the process.
pub(crate) fn abort() -> ! {
    std::process::abort()
}

/// Ends the process, as ever: there is no telling a handler apart here.
pub(crate) fn abort_now() -> ! {
    std::process::abort()
}
