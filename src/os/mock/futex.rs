//! Sleeping on a word: a moment's patience, since every return is legal.

use super::thread::yield_now;
use crate::sync::{AtomicU32, Relaxed};

/// Waits a moment while `word` is `expected`.
pub(crate) fn wait(word: &AtomicU32, expected: u32) {
    if word.load(Relaxed) == expected {
        yield_now();
    }
}

/// Nobody sleeps long.
pub(crate) fn wake(_: &AtomicU32) {}
