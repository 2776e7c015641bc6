//! The C face of Ravelin: `malloc`, its family, and C++'s `operator new` and `delete`, as `libravelin.so` and `libravelin.a`.
//!
//! A thin wall: every function here states what C, POSIX or glibc promise beyond "give me memory" (errno, return codes,
//! what zero means, what an overflow means) and leaves the memory to the engine. Nothing here keeps state of its own.
//!
//! ```text
//!   malloc.rs  aligned.rs  glibc.rs  aliases.rs        cxx/ (operator new, operator delete)      arch/
//!        \         |          |         /                 |  failure: new-handler, bad_alloc  <->  frames that C++
//!         \        |          |        /                  |  runtime: libstdc++, if it is there    exceptions cross
//!          +-------+--- errno +-------+-------------------+
//!                        |
//!                  engine::raw                              rust.rs: what Rust asks of a library
//! ```
//!
//! # The words
//! - **face**: the exported symbols; `exports.txt` beside this crate lists them all, and a test compares.
//! - **C++ runtime**: libstdc++ or libc++abi. Never linked, only met: through weak symbols when it was loaded with the
//!   program, through the loader when it came later with a plugin.
//! - **chain**: C++ lets a program replace one form of `operator new` or `delete` and promises that the others follow it.
//!
//! # What holds everywhere
//! - errno is set to ENOMEM (or EINVAL where the standard says so) by a call that fails, and left alone by one that does not.
//!   The engine promises not to touch it, so `free` preserves it.
//! - No function panics, and none calls an exported one of this library by name: a compiler that knows what `malloc`
//!   and `calloc` mean would turn such a call into a call of itself.
//! - A size above PTRDIFF_MAX is refused by the engine, which must refuse it for Rust too.
//!
//! # Reading order
//! `malloc`, `aligned`, then `cxx`, whose essay tells how an exception leaves a library that is written in Rust.
#![no_std]

#[cfg(target_env = "gnu")]
mod aliases;
mod aligned;
mod api;
#[cfg(target_arch = "aarch64")]
#[path = "arch/aarch64.rs"]
#[allow(named_asm_labels, reason = "a naked function is never inlined, so that its labels are there once")]
mod arch;
#[cfg(target_arch = "x86_64")]
#[path = "arch/x86_64.rs"]
#[allow(named_asm_labels, reason = "a naked function is never inlined, so that its labels are there once")]
mod arch;
mod calls;
mod cxx;
mod errno;
mod glibc;
mod malloc;
// Checkers that look at "all targets" build this once with the test harness, which has std and with it all of these.
#[cfg(not(test))]
mod rust;
mod stop;
mod talk;
