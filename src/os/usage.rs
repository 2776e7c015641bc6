//! What a process has used.

/// Times in milliseconds, sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Time on processors in the program's own code.
    pub(crate) user: u64,
    /// Time on processors in the kernel.
    pub(crate) system: u64,
    /// The most memory that was resident at a time.
    pub(crate) peak_resident: u64,
    /// Faults that had to wait for a disk.
    pub(crate) major_faults: u64,
}
