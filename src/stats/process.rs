//! What the process has used, beside its memory for blocks.

use crate::os::{self, Usage};
use crate::segment::committed;
use crate::sync::{AtomicU64, Relaxed};

/// Times in milliseconds, sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Process {
    /// Since the allocator started; in steps of the kernel's coarse clock, 1 to 10 ms.
    pub elapsed: u64,
    /// Time on processors in the program's own code.
    pub user: u64,
    /// Time on processors in the kernel.
    pub system: u64,
    /// The most memory that was resident at a time.
    pub peak_resident: u64,
    /// As [`Stats::committed`](crate::Stats::committed).
    pub committed: u64,
    /// As [`Stats::peak_committed`](crate::Stats::peak_committed).
    pub peak_committed: u64,
    /// Faults that had to wait for a disk.
    pub major_faults: u64,
}

/// When the allocator started; 0 before.
static STARTED: AtomicU64 = AtomicU64::new(0);

/// The allocator has started.
pub(crate) fn note_start() {
    STARTED.store(os::milliseconds(), Relaxed);
}

/// What the process has used so far.
pub(crate) fn process() -> Process {
    let Usage { user, system, peak_resident, major_faults } = os::usage();
    let started = STARTED.load(Relaxed);
    Process {
        elapsed: if started == 0 { 0 } else { os::milliseconds().saturating_sub(started) },
        user,
        system,
        peak_resident,
        committed: committed::now() as u64,
        peak_committed: committed::most() as u64,
        major_faults,
    }
}
