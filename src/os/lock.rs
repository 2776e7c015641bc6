//! The lock of the slow paths: one word, no allocation, usable before `main` and across a fork.
//!
//! ```text
//!            acquire                    a second thread comes
//!   FREE  ------------->  HELD  ---------------------------->  CONTENDED
//!     ^                    |                                       |
//!     +---- release -------+------------- release, wake one -------+
//! ```
//!
//! A thread that may have slept marks the word CONTENDED when it gets the lock, for it cannot know whether others still
//! sleep: a wake-up too many is legal, a lost one is not.
//!
//! The word alone is the state, so the parent and the child of a fork can each release what [`Lock::hold`] took before it.

use super::{wait, wake};
use crate::sync::{Acquire, AtomicU32, Relaxed, Release, constructor, spin_loop};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// How often a thread looks before it sleeps. What is locked here takes well under a microsecond.
const SPINS: u32 = 100;

/// A mutual exclusion without data of its own.
pub(crate) struct Lock(AtomicU32);

/// Holds the lock until it is dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct Guard<'a>(&'a Lock);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Lock {
    constructor! {
        /// A lock that nobody holds.
        pub(crate) fn new() -> Lock {
            Lock(AtomicU32::new(FREE))
        }
    }

    /// Waits until the lock is this thread's. Not recursive.
    #[inline]
    pub(crate) fn acquire(&self) -> Guard<'_> {
        self.hold();
        Guard(self)
    }

    /// Takes the lock if nobody holds it.
    #[inline]
    pub(crate) fn try_acquire(&self) -> Option<Guard<'_>> {
        match self.0.compare_exchange(FREE, HELD, Acquire, Relaxed) {
            Ok(_) => Some(Guard(self)),
            Err(_) => None,
        }
    }

    /// Waits until the lock is this thread's, to be given back by [`release`](Lock::release): for fork, where the
    /// taking and the giving back are in different functions.
    #[inline]
    pub(crate) fn hold(&self) {
        if self.0.compare_exchange(FREE, HELD, Acquire, Relaxed).is_err() {
            self.hold_contended();
        }
    }

    /// Gives back what [`hold`](Lock::hold) took, in this process or, after a fork, in the child.
    #[inline]
    pub(crate) fn release(&self) {
        if self.0.swap(FREE, Release) == CONTENDED {
            wake(&self.0);
        }
    }

    #[cold]
    fn hold_contended(&self) {
        let mut state = self.spin();
        if state == FREE {
            match self.0.compare_exchange(FREE, HELD, Acquire, Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        loop {
            if state != CONTENDED && self.0.swap(CONTENDED, Acquire) == FREE {
                return;
            }
            wait(&self.0, CONTENDED);
            state = self.spin();
        }
    }

    /// Looks for a while whether the lock comes free, unless others already sleep for it.
    fn spin(&self) -> u32 {
        let mut left = SPINS;
        loop {
            let state = self.0.load(Relaxed);
            if state != HELD || left == 0 {
                return state;
            }
            left = left.wrapping_sub(1);
            spin_loop();
        }
    }
}
