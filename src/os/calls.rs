//! How often the kernel was asked, by kind: what a benchmark and the statistics want to know.

use super::Errno;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters at one moment. They are read one after the other: sums over several are approximate while threads run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Address space was reserved.
    pub(crate) reserve: u64,
    /// Address space was given back.
    pub(crate) release: u64,
    /// Protections were changed (two maps more, at worst).
    pub(crate) protect: u64,
    /// Guards were put on without a map of their own.
    pub(crate) guard: u64,
    /// Such guards were taken off.
    pub(crate) unguard: u64,
    /// Contents were given back.
    pub(crate) purge: u64,
    /// New memory was put in the place of old.
    pub(crate) renew: u64,
    /// Pages were moved to another address.
    pub(crate) remap: u64,
    /// Mappings were sealed.
    pub(crate) seal: u64,
    /// Properties were told: no part of core dumps, fit for huge pages.
    pub(crate) advise: u64,
    /// It was asked which OS pages have memory.
    pub(crate) ask: u64,
    /// Random bytes were asked for.
    pub(crate) random: u64,
    /// Of all these, how many failed.
    pub(crate) failed: u64,
}

/// The running counters. Two threads that meet here have both just been in the kernel, so one shared line costs nothing.
pub(super) struct Counters {
    pub(super) reserve: AtomicU64,
    pub(super) release: AtomicU64,
    pub(super) protect: AtomicU64,
    pub(super) guard: AtomicU64,
    pub(super) unguard: AtomicU64,
    pub(super) purge: AtomicU64,
    pub(super) renew: AtomicU64,
    pub(super) remap: AtomicU64,
    pub(super) seal: AtomicU64,
    pub(super) advise: AtomicU64,
    pub(super) ask: AtomicU64,
    pub(super) random: AtomicU64,
    failed: AtomicU64,
}

pub(super) static COUNTERS: Counters = Counters {
    reserve: AtomicU64::new(0),
    release: AtomicU64::new(0),
    protect: AtomicU64::new(0),
    guard: AtomicU64::new(0),
    unguard: AtomicU64::new(0),
    purge: AtomicU64::new(0),
    renew: AtomicU64::new(0),
    remap: AtomicU64::new(0),
    seal: AtomicU64::new(0),
    advise: AtomicU64::new(0),
    ask: AtomicU64::new(0),
    random: AtomicU64::new(0),
    failed: AtomicU64::new(0),
};

/// Counts one call of a kind by its outcome, and hands the outcome on.
pub(super) fn counted<T>(kind: &AtomicU64, outcome: Result<T, Errno>) -> Result<T, Errno> {
    kind.fetch_add(1, Relaxed);
    if outcome.is_err() {
        COUNTERS.failed.fetch_add(1, Relaxed);
    }
    outcome
}

/// The counters now.
pub(crate) fn calls() -> Calls {
    Calls {
        reserve: COUNTERS.reserve.load(Relaxed),
        release: COUNTERS.release.load(Relaxed),
        protect: COUNTERS.protect.load(Relaxed),
        guard: COUNTERS.guard.load(Relaxed),
        unguard: COUNTERS.unguard.load(Relaxed),
        purge: COUNTERS.purge.load(Relaxed),
        renew: COUNTERS.renew.load(Relaxed),
        remap: COUNTERS.remap.load(Relaxed),
        seal: COUNTERS.seal.load(Relaxed),
        advise: COUNTERS.advise.load(Relaxed),
        ask: COUNTERS.ask.load(Relaxed),
        random: COUNTERS.random.load(Relaxed),
        failed: COUNTERS.failed.load(Relaxed),
    }
}
