//! Ravelin: a hardened general-purpose memory allocator, to leave on in production.
//!
//! ```
//! #[global_allocator]
//! static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;
//! # assert_eq!(vec![1, 2, 3].len(), 3);
//! ```
//!
//! A misuse of memory stops the process inside the guilty call, with one line that says what it was:
//!
//! ```text
//! ravelin: double free of 0x1fa9d8070580 (block of class 64, page 0x1fa9d8070000, segment 0) by thread 4935
//! ```
//!
//! # What it promises
//!
//! 1. **A misuse never makes a second owner.** No sequence of frees, and no write into freed memory, makes two live blocks
//!    overlap or hands out memory outside its page, even for one who has read every secret: this rests on state out of
//!    line, not on a key.
//! 2. **The guilty call dies**: a second free (by the same thread, by another, after the owner's end), a free of anything
//!    that is not the start of a live block, realloc or [`usable_size`] of a freed block, a wrong `Layout`.
//! 3. **No false alarm**: a correct program is never stopped, whatever bytes it stores.
//!
//! 1 and 2 need `free-checks` (in the default build, `hardened`). Without default features the build is `fast`, and keeps 3.
//! [`MITIGATIONS`] says what a build has.
//!
//! # Heaps
//!
//! A program may have heaps of its own: [`Region`], whose blocks end with it all at once, and [`Heap`], whose blocks outlive it. With
//! the feature `allocator-api2` collections live in them.
//!
//! # How it works, in the order of the folders
//!
//! | floor | what it is |
//! |---|---|
//! | `os` | the only floor that talks to the kernel; a mock of it serves the checkers |
//! | `entropy`, `report` | the secret, page keys and generators; how the process dies |
//! | `geometry`, `options` | granules, slices, segments and size classes; what can be tuned at run time |
//! | `remote` | the protocol between threads: state bits, remote bits, owners |
//! | `page` | blocks of one class and their lists |
//! | `segment` | 32 MiB of slices, with their metadata elsewhere, and the map that finds it |
//! | `heap` | what a thread has: malloc, free, realloc, thread end, fork |
//! | `stats` | figures, derived by walking |
//! | `front` | the global allocator, and what the C library is made of |
//!
//! A floor uses only those above it in this table. Start with `page`, which is the heart, then `remote`, then `heap::free`.
//!
//! User memory holds user bytes only; in a free block, and only there, an encoded link. Everything else lies in metadata
//! mapped elsewhere. `free` goes from the address through the segment map to the segment, asks the block's state bit, and
//! only then believes that there is a page:
//!
//! ```text
//! address --- map[address >> 25] ---> segment --- state bit of the granule: live? ---> page: mine? ---> local list
//!                |                                   |                                   |
//!                nobody's: stop                      no: stop                            no: remote bit
//! ```
//!
//! # What the fast paths cost
//!
//! Instructions, counted by callgrind (`cargo xtask instructions` on x86-64), for the steady pair of malloc and free, and for
//! a free of another thread's block:
//!
//! | | fast | hardened |
//! |---|---|---|
//! | malloc(16), free | 50 | 93 |
//! | malloc(48), free | 51 | 97 |
//! | malloc(1024), free | 75 | 139 |
//! | free of another thread's 48 bytes | 80 | 89 |
//!
//! # Platforms
//!
//! Linux on x86-64 and aarch64, with glibc or musl. Anything else is a compile error.
#![no_std]

// The checkers (tests, loom, the mock operating system) run on std; the allocator itself never does.
#[cfg(any(test, miri, ravelin_mock, ravelin_loom))]
extern crate std;

// Under loom only what its models run is compiled: loom's atomics can lie neither in statics nor in mapped memory.
#[cfg(all(feature = "allocator-api2", not(ravelin_loom)))]
#[path = "front/allocator.rs"]
mod allocator;
#[cfg(not(ravelin_loom))]
mod entropy;
#[cfg(not(ravelin_loom))]
mod front;
#[cfg_attr(ravelin_loom, allow(unused))]
mod geometry;
#[cfg(not(ravelin_loom))]
mod heap;
mod mitigations;
#[cfg(all(test, ravelin_loom))]
#[path = "remote/model/mod.rs"]
mod model;
#[cfg(not(ravelin_loom))]
mod options;
#[cfg_attr(ravelin_loom, allow(unused))]
mod os;
#[cfg(not(ravelin_loom))]
mod page;
#[cfg_attr(ravelin_loom, allow(unused))]
mod remote;
#[cfg(not(ravelin_loom))]
mod report;
#[cfg(not(ravelin_loom))]
mod segment;
#[cfg(all(feature = "serde", not(ravelin_loom)))]
#[path = "stats/serialize.rs"]
mod serialize;
#[cfg(not(ravelin_loom))]
mod stats;
#[cfg_attr(ravelin_loom, allow(unused))]
mod sync;
#[cfg(all(test, not(ravelin_loom)))]
mod testing;

#[cfg(not(ravelin_loom))]
#[doc(hidden)]
pub use front::raw;
#[cfg(not(ravelin_loom))]
pub use front::{Heap, NoMemory, Ravelin, Region, check_heap, collect, stats, usable_size};
#[cfg(not(ravelin_loom))]
pub use heap::{Census, Collect, Corruption, Fault};
pub use mitigations::{MITIGATIONS, Mitigations};
#[cfg(not(ravelin_loom))]
pub use report::{BlockFacts, Kind, Operation, Place, Report, Stack, set_report_hook};
#[cfg(not(ravelin_loom))]
pub use stats::{ClassStats, LargeStats, SampledStats, Stats, SystemCalls};
