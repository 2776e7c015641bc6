//! Random bytes from whatever std's system has.

use super::controls::may_fail;
use crate::os::Errno;
use crate::os::calls::{COUNTERS, counted};

/// Fills `bytes`.
///
/// # Errors
/// ENOSYS. `bytes` is then not to be used.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Errno> {
    let filled = may_fail(Errno(libc::ENOSYS)).and_then(|()| getrandom::fill(bytes).map_err(|_| Errno(libc::ENOSYS)));
    counted(&COUNTERS.random, filled)
}
