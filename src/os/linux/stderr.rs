//! The one way to speak.

use super::error::last;

/// Writes to standard error, in full unless it fails. Errors are ignored: there is nobody left to tell.
pub(crate) fn write_error(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        // SAFETY: the kernel reads at most `rest.len()` bytes from `rest`.
        let written = unsafe { libc::write(libc::STDERR_FILENO, rest.as_ptr().cast(), rest.len()) };
        match usize::try_from(written) {
            Ok(written) if written != 0 => rest = rest.get(written..).unwrap_or(&[]),
            Ok(_) => return,
            Err(_) if last().0 == libc::EINTR => {}
            Err(_) => return,
        }
    }
}
