//! The process: its number, its forks and its end.

use super::controls::may_fail;
use crate::os::{Errno, Usage};

/// The number of this process.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Nobody knows.
pub(crate) fn is_only_thread() -> bool {
    false
}

/// Nothing is used here.
pub(crate) fn usage() -> Usage {
    Usage::default()
}

/// Accepts the handlers, and never calls them: there are no forks here.
///
/// # Errors
/// ENOMEM.
pub(crate) fn at_fork(_: extern "C" fn(), _: extern "C" fn(), _: extern "C" fn()) -> Result<(), Errno> {
    may_fail(Errno::NOMEM)
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
