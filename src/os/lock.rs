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
use crate::sync::{Acquire, AtomicU32, CHECKER, Relaxed, Release, constructor, spin_loop};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// How often a thread looks before it sleeps. What is locked here takes well under a microsecond.
const SPINS: u32 = if CHECKER { 1 } else { 100 };

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
        if self.try_to_hold() { Some(Guard(self)) } else { None }
    }

    /// The same, to be given back by [`release`](Lock::release).
    #[inline]
    #[must_use]
    pub(crate) fn try_to_hold(&self) -> bool {
        self.0.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok()
    }

    /// Waits until the lock is this thread's, to be given back by [`release`](Lock::release): for fork, where the
    /// taking and the giving back are in different functions.
    #[inline]
    pub(crate) fn hold(&self) {
        if !self.try_to_hold() {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Arc, AtomicU64, model, thread};
    use std::vec::Vec;

    const THREADS: usize = if CHECKER { 2 } else { 8 };
    const TURNS: u64 = if CHECKER { 2 } else { 20_000 };

    /// Each thread reads and writes back, in two steps that tolerate no other between them.
    fn count(take: fn(&Lock, &dyn Fn())) {
        model(move || {
            let shared = Arc::new((Lock::new(), AtomicU64::new(0)));
            let others: Vec<_> = (1..THREADS)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || turns(&shared, take))
                })
                .collect();
            turns(&shared, take);
            for other in others {
                other.join().expect("the thread does not panic");
            }
            assert_eq!(shared.1.load(Relaxed), THREADS as u64 * TURNS);
        });
    }

    fn turns(shared: &(Lock, AtomicU64), take: fn(&Lock, &dyn Fn())) {
        let (lock, number) = shared;
        for _ in 0..TURNS {
            take(lock, &|| number.store(number.load(Relaxed) + 1, Relaxed));
        }
    }

    #[test]
    fn one_thread_at_a_time_is_inside() {
        count(|lock, work| {
            let _guard = lock.acquire();
            work();
        });
    }

    #[test]
    fn holding_without_a_guard_excludes_as_well() {
        count(|lock, work| {
            lock.hold();
            work();
            lock.release();
        });
    }

    #[test]
    fn trying_excludes_as_well() {
        count(|lock, work| {
            loop {
                if let Some(_guard) = lock.try_acquire() {
                    return work();
                }
                spin_loop();
            }
        });
    }

    #[test]
    fn a_held_lock_refuses_those_who_try_until_it_is_released() {
        model(|| {
            let lock = Lock::new();
            let guard = lock.acquire();
            assert!(lock.try_acquire().is_none());
            drop(guard);
            assert!(lock.try_acquire().is_some());
            lock.hold();
            assert!(lock.try_acquire().is_none());
            lock.release();
            assert!(lock.try_acquire().is_some());
        });
    }
}
