//! Committed memory: how much there is, the most there was, and what was given back.
//!
//! A slice is committed from when it is handed to a page until the kernel has taken its memory back, used or not in
//! between; so is the block of a huge mapping. All of it changes under the lock of the space, so that the peak is exact.

use super::peak;
use super::space::{self, Locked};
use crate::sync::{AtomicUsize, Relaxed};

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static PURGED: AtomicUsize = AtomicUsize::new(0);

/// Bytes now.
pub(crate) fn now() -> usize {
    NOW.load(Relaxed)
}

/// The most there ever were, in bytes.
pub(crate) fn most() -> usize {
    MOST.load(Relaxed)
}

/// Bytes given back to the kernel since the start of the process.
pub(crate) fn purged() -> usize {
    PURGED.load(Relaxed)
}

/// The most is what there is now.
pub(crate) fn forget_most() {
    let _locked = space::lock();
    MOST.store(now(), Relaxed);
}

/// So many bytes more may have memory behind them.
pub(super) fn rise(bytes: usize, _locked: &Locked) {
    let now = now().wrapping_add(bytes);
    NOW.store(now, Relaxed);
    if now > most() {
        MOST.store(now, Relaxed);
    }
}

/// So many of them have moved: whoever has them now says so next, and the peak knows nothing of the move.
pub(super) fn moved(bytes: usize, _locked: &Locked) {
    NOW.store(now().wrapping_sub(bytes), Relaxed);
}

/// The kernel has taken so many of them back.
pub(super) fn fall(bytes: usize, _locked: &Locked) {
    let now = now().wrapping_sub(bytes);
    NOW.store(now, Relaxed);
    PURGED.store(purged().wrapping_add(bytes), Relaxed);
    peak::fell_to(now);
}
