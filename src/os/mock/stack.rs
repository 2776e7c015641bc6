//! Who called: not known here.

use crate::os::Caller;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Finds no caller.
pub(crate) fn capture(frames: &[AtomicUsize], _: &Caller<'_>) {
    if let Some(first) = frames.first() {
        first.store(0, Relaxed);
    }
}

/// Cannot be found out.
pub(crate) fn follows_a_call(_: usize) -> bool {
    true
}
