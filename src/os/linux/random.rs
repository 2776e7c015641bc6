//! Random bytes from the kernel.

use super::error::last;
use crate::os::Errno;
use crate::os::calls::{COUNTERS, counted};
use libc::c_int;

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

/// It opens, reads and polls: the points of cancellation that [`file`](super::file) avoids. So there are none meanwhile.
#[cold]
fn by_crate(bytes: &mut [u8]) -> Result<(), Errno> {
    let before = set_cancellation(PTHREAD_CANCEL_DISABLE);
    let filled = getrandom::fill(bytes).map_err(|error| Errno(error.raw_os_error().unwrap_or(libc::EIO)));
    set_cancellation(before);
    filled
}

const PTHREAD_CANCEL_DISABLE: c_int = 1;

/// What it was before.
fn set_cancellation(state: c_int) -> c_int {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
    }
    let mut old = 0;
    // SAFETY: writes to the number that it is given.
    let _ = unsafe { pthread_setcancelstate(state, &raw mut old) };
    old
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Birth, Ending, deny, in_child};
    use super::*;

    #[test]
    fn both_sources_answer() {
        // SAFETY: writes to no byte.
        let is_refused = unsafe { libc::getrandom(core::ptr::null_mut(), 0, libc::GRND_NONBLOCK) } != 0;
        let sources: [fn(&mut [u8]) -> _; 2] = [by_crate, by_system_call];
        // Where the tests run under a filter, one is left.
        for source in sources.into_iter().take(if is_refused { 1 } else { 2 }) {
            let mut bytes = [0; 64];
            source(&mut bytes).expect("randomness");
            assert!(bytes.iter().filter(|byte| **byte == 0).count() < 16);
            assert_eq!(source(&mut []), Ok(()));
        }
    }

    #[test]
    fn a_filter_on_the_call_leaves_the_other_source() {
        // Once here: the crate keeps what it has found out about the machine.
        by_crate(&mut [0; 8]).expect("randomness");
        let ending = in_child(Birth::Fork, || {
            if !deny(&[libc::SYS_getrandom]) {
                return 77;
            }
            let mut bytes = [0; 64];
            let refused = by_system_call(&mut bytes) == Err(Errno(libc::EPERM));
            // The crate may have found the system call before the filter came; then it is refused too, and says so.
            let answered = match random(&mut bytes) {
                Ok(()) => bytes != [0; 64],
                Err(error) => error == Errno(libc::EPERM),
            };
            i32::from(!(refused && answered))
        });
        assert!(matches!(ending, Some(Ending::Exit(0 | 77))), "{ending:?}");
    }
}
