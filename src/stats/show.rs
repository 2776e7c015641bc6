//! Who shows the table when.

use super::stats;
use crate::os;

/// Writes the table to standard error. Neither allocates nor locks.
pub(crate) fn print() {
    stats().write(&mut os::write_error);
}
