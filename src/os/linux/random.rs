//! Random bytes from the kernel.

use super::error::last;
use crate::os::Errno;
use crate::os::calls::{COUNTERS, counted};

/// Fills `bytes` from the kernel's generator.
///
/// The system call comes first: it neither blocks nor takes a lock nor opens a file. Only where it does not answer (an old
/// kernel, a filter, a machine that has just booted) the `getrandom` crate is asked, which may do all three. So call it
/// before any lock is taken.
///
/// # Errors
/// The last error when neither has an answer. `bytes` is then not to be used.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Errno> {
    let outcome = by_system_call(bytes).or_else(|_| by_crate(bytes));
    counted(&COUNTERS.random, outcome)
}

fn by_system_call(bytes: &mut [u8]) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the kernel writes at most `rest.len()` bytes to `rest`.
        let got = unsafe { libc::syscall(libc::SYS_getrandom, rest.as_mut_ptr(), rest.len(), libc::GRND_NONBLOCK) };
        match usize::try_from(got) {
            // A signal may cut the answer short.
            Ok(got) if got != 0 => rest = rest.get_mut(got..).ok_or(Errno::INVAL)?,
            Ok(_) => return Err(Errno::AGAIN),
            Err(_) => match last() {
                Errno(libc::EINTR) => {}
                error => return Err(error),
            },
        }
    }
    Ok(())
}

#[cold]
fn by_crate(bytes: &mut [u8]) -> Result<(), Errno> {
    getrandom::fill(bytes).map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)))
}
