//! What can be tuned at run time, through the environment. No option can switch a check off.
//!
//! An option ([`Setting`]) is one row of a table: its name, what kind of value it takes, its default, its bounds, and a
//! line of documentation. It is given as `RAVELIN_NAME=value`, or by the name that mimalloc has for it,
//! `MIMALLOC_NAME=value`; in any case of letters. If both are given, the first of the two counts.
//!
//! ```text
//! environment --- scan: whose name is it? --- parse: what value? --- VALUES, one atomic number per row
//!                   |                           |
//!                   unknown RAVELIN_NAME        malformed, out of bounds       -> one warning each on stderr
//! ```
//!
//! The environment is read when the first option is asked for, in the first slow path: without an allocation or a lock.
//! Threads that race there read the same environment and store the same numbers. A set-uid process has no environment
//! here (the operating-system floor shows none).
//!
//! **Invariant:** what [`get`] returns lies within the bounds of its row, always.
//!
//! Options of mimalloc that have no meaning here are rows too: a program that asks for one finds what it was given. The program
//! may set any option by a call; its word goes before the environment's.
//!
//! Read `table` for the options, `parse` for the forms of a value, `scan` for names, `store` for reading once, `numbers` for mimalloc's
//! view, `list` for what `RAVELIN_VERBOSE=1` prints.

mod list;
mod numbers;
mod parse;
mod scan;
mod store;
mod table;

pub(crate) use list::print_all;
pub use numbers::Setter;
pub(crate) use numbers::{get_bytes, get_number, set_number};
#[cfg(test)]
pub(crate) use store::set;
pub(crate) use store::{Source, bytes, enabled, get, milliseconds, settle, source};
pub(crate) use table::Setting;
