//! The floor under everything: the only folder that talks to the kernel.
//!
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | OS page | what the kernel maps: 4, 16 or 64 KiB |
//! | [`Span`] | a range of whole OS pages in one reservation |
//! | reserved | address space that is ours and cannot be touched |
//! | open, closed | may be read and written; may not be touched, contents kept |
//! | guarded | may not be touched, contents dropped, no map of its own |
//! | purged | contents dropped: reads as zero where it is open |
//!
//! # The picture
//!
//! ```text
//!               reserve                   open
//!   (nothing) ----------->  inaccessible ------> open --+-- purge --> open, zero
//!       ^                        ^                |     |
//!       |                        +---- close -----+     +-- guard --> guarded -- unguard --> open, zero
//!       +------ release ---------+----------------+------------------------+
//! ```
//!
//! # The invariant
//!
//! A call changes exactly the pages of its span, or fails and has changed none that matters; every call that can fail says
//! so, and nothing here decides what a failure means. Nothing allocates, panics, or takes a lock of the program's.
//!
//! # Backends
//!
//! [`linux`](backend) is the real one; `mock` has memory from std, with protections as bookkeeping, for Miri, loom and fault
//! injection. Both have the same files with the same functions, and this file is the only one that chooses:
//!
//! | file | holds |
//! |---|---|
//! | `memory` | reserve, open, close, guard, purge, move |
//! | `brought` | gigantic pages, and memory that the program brings |
//! | `local` | three words for each thread |
//! | `thread` | number, yield, exit |
//! | `process` | number, use of resources, fork, exit, abort |
//! | `futex` | wait and wake |
//! | `fault` | who is told when an access faults |
//! | `maps`, `stack` | what is mapped; who called |
//! | `valgrind` | whom memcheck listens to |
//! | `random`, `clock`, `stderr`, `error`, `environment`, `constructor` | one small thing each |
//!
//! Read [`Span`], then `linux/memory.rs`, then [`Lock`].

mod calls;
mod errno;
mod fault;
mod lock;
mod span;
#[cfg(test)]
mod tests;
mod usage;
pub(crate) mod valgrind;

#[cfg(any(miri, ravelin_mock, ravelin_loom))]
#[allow(dead_code, reason = "only tests decide what fails, and ask what is protected")]
pub(crate) mod mock;
#[cfg(any(miri, ravelin_mock, ravelin_loom))]
use mock as backend;

#[cfg(all(
    not(any(miri, ravelin_mock, ravelin_loom)),
    target_os = "linux",
    any(target_env = "gnu", target_env = "musl"),
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[path = "linux/mod.rs"]
mod backend;

#[cfg(all(not(any(miri, ravelin_mock, ravelin_loom)), target_arch = "x86_64"))]
#[path = "linux/x86_64.rs"]
mod arch;
#[cfg(all(not(any(miri, ravelin_mock, ravelin_loom)), target_arch = "aarch64"))]
#[path = "linux/aarch64.rs"]
mod arch;

#[cfg(not(any(
    miri,
    ravelin_mock,
    ravelin_loom,
    all(
        target_os = "linux",
        any(target_env = "gnu", target_env = "musl"),
        target_pointer_width = "64",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )
)))]
compile_error!(
    "ravelin has no backend for this target: it runs on Linux (glibc or musl) on x86-64 and aarch64. \
     For tests on another system build with RUSTFLAGS=\"--cfg ravelin_mock\"; for a port, give src/os a folder with the files of src/os/linux."
);

pub(crate) use calls::{Calls, calls};
pub(crate) use errno::Errno;
pub(crate) use fault::{Access, Caller, Fault, Module, StackBounds, Watch};
pub(crate) use lock::{Guard, Lock};
pub(crate) use span::Span;
pub(crate) use usage::Usage;

pub(crate) use backend::brought::{is_mapped, take_gigantic};
pub(crate) use backend::clock::milliseconds;
pub(crate) use backend::constructor::before_main;
#[cfg(not(any(miri, ravelin_mock, ravelin_loom)))]
pub(crate) use backend::environment::{Constructor, Strings, with_environment};
pub(crate) use backend::environment::{address_space_limit, environment, map_limit};
pub(crate) use backend::error::{errno, set_errno, thread_mark};
pub(crate) use backend::fault::{Front, front, watch_faults};
pub(crate) use backend::futex::{wait, wake};
pub(crate) use backend::local::{local, local_heap, local_state, set_local, set_local_heap, set_local_state};
pub(crate) use backend::maps::visit_modules;
pub(crate) use backend::memory::{
    close, fetch_ahead, guard, has_guards, hide_from_dumps, move_pages, open, page_size, present, purge, release,
    renew, reserve, reserve_table, seal, unguard, want_huge_pages, wipe_on_fork,
};
pub(crate) use backend::process::{abort, abort_now, at_exit, at_fork, is_only_thread, process_id, usage};
pub(crate) use backend::random::random;
pub(crate) use backend::stack::{capture, follows_a_call};
pub(crate) use backend::stderr::{keep_error, write_error, write_kept_error};
pub(crate) use backend::thread::{
    arm_thread_exit, has_ended, make_thread_exit_key, nap, on_signal_stack, thread_id, yield_now,
};

/// What tests of any floor may ask of the machine.
#[cfg(test)]
pub(crate) use backend::testing;

/// User addresses are below 2 to the power of this.
#[cfg(not(any(miri, ravelin_mock, ravelin_loom)))]
pub(crate) const ADDRESS_BITS: u32 = arch::ADDRESS_BITS;
/// User addresses are below 2 to the power of this. Miri's are small, and so stays the table over them.
#[cfg(any(miri, ravelin_mock, ravelin_loom))]
pub(crate) const ADDRESS_BITS: u32 = if cfg!(miri) { 36 } else { 47 };

/// A gigantic page, in bytes.
pub(crate) const GIGANTIC: usize = 1 << 30;

/// Whether a thread may see the stores of another in another order than they were made in.
pub(crate) const WEAKLY_ORDERED: bool = cfg!(not(target_arch = "x86_64"));

/// A segment is 2 to the power of this bytes, and as aligned: 32 MiB; under Miri, to which every byte is dear, 1 MiB.
pub(crate) const SEGMENT_SHIFT: u32 = if cfg!(miri) { 20 } else { 25 };
