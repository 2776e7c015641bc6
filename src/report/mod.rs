//! How a misuse is reported, and how the process then ends.
//!
//! A *report* is one line on stderr about one failed call: what ([`Kind`]), in which call ([`Operation`]), which
//! pointer, which block as far as that is known, and which thread. Then the program's hook is called, then the process
//! dies of SIGABRT inside the guilty call. There is no "report and go on".
//!
//! ```text
//! caller -> Report::new(..) -> die -> line -> hook -> SIGABRT
//! ```
//!
//! All of this runs in a process whose heap is not to be trusted, perhaps under a lock, perhaps in a signal handler.
//! So nothing here allocates, locks, formats through `core::fmt` or can panic, and what the program does in its hook or
//! its handler of SIGABRT is bounded.
//!
//! **Invariant:** at most one thread writes a report, and once one has begun the process does not outlive it: every
//! slow path asks [`die_if_dying`].
//!
//! Read `kind` for the words, `facts` for what a report holds and the form of its line, `death` for the order of events
//! and who may still do what, `stack` for who allocated and freed a block, `hook` and `line` for the means.

mod death;
mod facts;
mod hook;
mod kind;
mod line;
mod output;
mod stack;

pub(crate) use death::{die, die_if_dying, dying, finish, internal, is_reporter, warn};
pub(crate) use line::Line;
pub use output::Outlet;
pub(crate) use output::{limit_warnings, set_outlet, take_kept, write, write_last};
pub(crate) use stack::Life;

pub use facts::{BlockFacts, Place, Report};
pub use hook::set_report_hook;
pub use kind::{Kind, Operation};
pub use stack::Stack;
