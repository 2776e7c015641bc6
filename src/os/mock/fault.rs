//! Faults: there are none here, for nothing enforces protections.

use super::controls::may_fail;
use crate::os::{Errno, Watch};

/// Who stands in the first place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Front {
    Ours,
    OursNow,
    Theirs,
}

/// Accepts whom to tell, and never does.
///
/// # Errors
/// EPERM.
pub(crate) fn watch_faults(_: &'static Watch) -> Result<Front, Errno> {
    may_fail(Errno(1)).map(|()| Front::OursNow)
}

/// Ours, for there are no others.
///
/// # Errors
/// None.
pub(crate) fn front() -> Result<Front, Errno> {
    Ok(Front::Ours)
}
