//! Ravelin: a hardened general-purpose memory allocator.
#![no_std]

// The checkers (tests, loom, the mock operating system) run on std; the allocator itself never does.
#[cfg(any(test, miri, ravelin_mock, ravelin_loom))]
extern crate std;

#[allow(dead_code, unused_imports)]
mod entropy;
mod mitigations;
#[allow(dead_code, unused_imports)]
mod options;
#[allow(dead_code, unused_imports)]
mod os;
#[allow(dead_code, unused_imports)]
mod report;
#[allow(unused)]
mod sync;
#[cfg(test)]
mod testing;

pub use mitigations::{MITIGATIONS, Mitigations};
pub use report::{BlockFacts, Kind, Operation, Report, set_report_hook};
