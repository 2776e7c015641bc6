//! Linux, by the system calls themselves or the thinnest wrappers of the C library that has them.
//!
//! Nothing here allocates, and nothing assumes that a call is allowed: under a seccomp filter any of them may answer EPERM
//! or ENOSYS, which is handed up like every other error.

pub(super) mod brought;
pub(super) mod clock;
pub(super) mod constructor;
pub(super) mod environment;
pub(super) mod error;
pub(super) mod fault;
mod file;
pub(super) mod futex;
mod keys;
pub(super) mod local;
pub(super) mod maps;
pub(super) mod memory;
pub(super) mod process;
pub(super) mod random;
pub(super) mod stack;
pub(super) mod stderr;
#[cfg(test)]
pub(crate) mod testing;
pub(super) mod thread;
pub(super) mod valgrind;
