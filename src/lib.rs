//! Ravelin: a hardened general-purpose memory allocator.
#![no_std]

// The checkers (tests, loom, the mock operating system) run on std; the allocator itself never does.
#[cfg(any(test, miri, ravelin_mock, ravelin_loom))]
extern crate std;

#[allow(dead_code, unused_imports)]
mod entropy;
mod front;
mod geometry;
mod heap;
mod mitigations;
#[allow(dead_code, unused_imports)]
mod options;
#[allow(dead_code, unused_imports)]
mod os;
mod page;
mod remote;
#[allow(dead_code, unused_imports)]
mod report;
mod segment;
#[cfg(feature = "serde")]
#[path = "stats/serialize.rs"]
mod serialize;
mod stats;
#[allow(unused)]
mod sync;
#[cfg(test)]
mod testing;

#[doc(hidden)]
pub use front::raw;
pub use front::{Ravelin, check_heap, collect, stats, usable_size};
pub use heap::{Census, Collect, Corruption, Fault};
pub use mitigations::{MITIGATIONS, Mitigations};
pub use report::{BlockFacts, Kind, Operation, Report, set_report_hook};
pub use stats::{ClassStats, LargeStats, Stats, SystemCalls};
