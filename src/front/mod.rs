//! The front ends: Rust's global allocator, the safe functions beside it, and what the C library is made of.

mod global;
mod own;
pub mod raw;
mod region;
mod share;
mod start;
mod talk;

pub use global::Ravelin;
pub use own::NoMemory;
pub use region::Region;
pub use share::Heap;

use crate::geometry::UserPtr;
use crate::heap::{self, Census, Collect, Corruption};
use crate::stats::{self, Stats};

/// Gives back what can be given back: blocks that other threads have freed, empty pages, free memory.
///
/// [`Collect::Fully`] has purged all free memory when it returns. Threads' pages are their own: call it in each thread
/// whose pages matter. Thread-safe.
pub fn collect(how: Collect) {
    heap::collect(how);
}

/// Checks every page of the calling thread and every abandoned page: state bits against lists against counters, each link
/// decoded. Pages of other running threads are theirs to check. Takes time in proportion to the blocks; other threads go
/// on meanwhile.
///
/// # Errors
/// The first [`Corruption`] found. The heap is as it was: whoever goes on will most likely be stopped by a report.
pub fn check_heap() -> Result<Census, Corruption> {
    heap::check_heap()
}

/// What the process holds, and what that costs: a snapshot, taken without stopping other threads.
///
/// Neither allocates nor locks. Takes time in proportion to the pages.
#[must_use]
pub fn stats() -> Stats {
    stats::stats()
}

/// Bytes that the block has room for: its class's, or whole pages of the system for a large block; 0 for null.
///
/// Any other pointer that is not a live block stops the process. Thread-safe.
#[must_use]
pub fn usable_size(pointer: *const u8) -> usize {
    heap::usable_size(UserPtr::new(pointer.cast_mut()))
}
