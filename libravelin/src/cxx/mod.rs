//! C++'s `operator new` and `operator delete`, all 8 and 12 forms.
//!
//! # The chain
//! C++ lets a program replace single forms, and says that the others follow: who replaces `operator new(size_t)` and
//! `operator delete(void*)` alone gets *its* blocks from `new (std::nothrow)` and hands them to *its* delete. So only the
//! roots below go to the engine; every other form calls the next one by its public name, which a program may have taken.
//!
//! ```text
//!  new[](n, nothrow) ~> new[](n) -> new(n) => engine       delete[](p, n) -> delete[](p) -> delete(p) => engine
//!  new(n, nothrow)   ~~~~~~~~~~~~~~> new(n)                delete[](p, nothrow) ^           ^
//!                                                          delete(p, n), delete(p, nothrow) +
//!  the same again with an alignment                        the same again with an alignment
//!
//!  -> a jump     ~> a call under `catch (...)`, left out while the form behind it is ours and finds memory
//! ```
//!
//! # Out of memory
//! `new` asks the program's new-handler (`std::get_new_handler`) and tries again, as often as there is one; then it throws
//! `std::bad_alloc`. Both the handler and the throw raise C++ exceptions, and Rust has no frame that one may cross: Rust code
//! compiled with `panic = "abort"` promises that it does not unwind. So the frames that an exception crosses are
//! written in assembly ([`crate::arch`]), with the few lines of unwind information that they need, and what they
//! decide is asked of Rust functions that return before anything is thrown ([`failure`]). The first try is plain Rust all the
//! same, since it is what every `new` pays for: it ends in a jump to that frame.
//!
//! # The C++ runtime
//! The library must run in a C program, so it is not linked to libstdc++; [`runtime`] finds the few functions it needs. Where
//! there is none, `new (std::nothrow)` still answers null, and a `new` that cannot throw stops the process with a line.
//!
//! # Reading order
//! `runtime`, `failure`, `arch/x86_64.rs`, `new`, `delete`.

mod delete;
mod failure;
mod new;
mod runtime;

pub(crate) use delete::{delete, delete_aligned, delete_array, delete_array_aligned};
pub(crate) use failure::{Retry, again, handler, throw};
pub(crate) use new::{caught_in, new, new_aligned, new_aligned_or_null, new_array, new_array_aligned, new_or_null};
pub(crate) use runtime::{BEGIN_CATCH, END_CATCH, PERSONALITY};
