//! Atomics: core's, or loom's when the protocols are model-checked (`--cfg ravelin_loom`).
//!
//! loom's atomics cannot be made in constants, cannot lie in mapped memory, and exist only inside a model. So under loom only
//! what a model runs is compiled: the lock, the remote protocol, sets of slices. The models bring the words themselves.

#[cfg(not(ravelin_loom))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
};
#[cfg(ravelin_loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
};

pub(crate) use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Passes a moment in a loop that waits for another thread: loom must be told, or it explores the loop for ever.
#[cfg(not(ravelin_loom))]
pub(crate) use core::hint::spin_loop;
#[cfg(ravelin_loom)]
pub(crate) use loom::thread::yield_now as spin_loop;

/// Declares a constructor: `const` in the allocator, whose statics need it, and not under loom, which has no const atomics.
#[cfg(not(ravelin_loom))]
macro_rules! constructor {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis const fn $($rest)* };
}
#[cfg(ravelin_loom)]
macro_rules! constructor {
    ($(#[$meta:meta])* $vis:vis fn $($rest:tt)*) => { $(#[$meta])* $vis fn $($rest)* };
}
pub(crate) use constructor;

/// Whether a checker runs this code, to which every step is dear: spins, sizes and counts shrink.
pub(crate) const CHECKER: bool = cfg!(any(miri, ravelin_loom));

/// Whether atomics can be made and used only inside [`model`], as loom's: tests without threads then have nothing to run on.
#[cfg(test)]
pub(crate) const MODELS_ONLY: bool = cfg!(ravelin_loom);

/// Runs a test's threads: once, or under loom in every interleaving.
#[cfg(all(test, not(ravelin_loom)))]
pub(crate) fn model(test: impl Fn() + Send + Sync + 'static) {
    test();
}
#[cfg(all(test, ravelin_loom))]
pub(crate) use loom::model;

/// Threads for tests inside [`model`].
#[cfg(all(test, ravelin_loom))]
pub(crate) use loom::{sync::Arc, thread};
#[cfg(all(test, not(ravelin_loom)))]
pub(crate) use std::{sync::Arc, thread};
