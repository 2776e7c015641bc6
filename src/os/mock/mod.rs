//! An operating system of std, for Miri, loom and fault injection.
//!
//! Memory comes from std's system allocator; protections are bookkeeping, one byte for each OS page, that nobody enforces but
//! tests can ask about. What the kernel would drop is zeroed here, and what it would refuse is refused with the same number.
//! The clock stands still until a test moves it. `controls` makes chosen calls fail.
//!
//! The files are those of `linux`, with `controls` and `pages` beside them.

pub(super) mod brought;
pub(super) mod clock;
pub(super) mod constructor;
pub(crate) mod controls;
pub(super) mod environment;
pub(super) mod error;
pub(super) mod fault;
pub(super) mod futex;
pub(super) mod local;
pub(super) mod maps;
pub(super) mod memory;
mod pages;
pub(super) mod process;
pub(super) mod random;
pub(super) mod stack;
pub(super) mod stderr;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub(super) mod thread;
pub(super) mod valgrind;

/// What tests decide, and what they ask.
#[cfg(test)]
pub(crate) use {
    clock::advance_clock,
    controls::{Failing, fail_aloud, fail_from, fail_nth, set_gigantic, set_guards, set_map_limit},
    memory::{protection_of, reservations},
    pages::Protection,
};
