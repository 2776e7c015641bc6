//! The one way to speak.

use std::io::Write;

/// Writes to standard error.
pub(crate) fn write_error(bytes: &[u8]) {
    let _ = std::io::stderr().write_all(bytes);
}
