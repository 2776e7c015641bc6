//! The one way to speak.

use std::io::Write;

/// Writes to standard error.
pub(crate) fn write_error(bytes: &[u8]) {
    let _ = std::io::stderr().write_all(bytes);
}

/// There is one standard error here, and it stays.
pub(crate) fn keep_error() {}

/// Writes to standard error.
pub(crate) fn write_kept_error(bytes: &[u8]) {
    write_error(bytes);
}
