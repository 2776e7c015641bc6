//! A clock that stands still until a test moves it.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

static NOW: AtomicU64 = AtomicU64::new(1000);

/// Milliseconds since some moment in the past.
pub(crate) fn milliseconds() -> u64 {
    NOW.load(Relaxed)
}

/// Lets time pass, for the whole process.
pub(crate) fn advance_clock(milliseconds: u64) {
    NOW.fetch_add(milliseconds, Relaxed);
}
