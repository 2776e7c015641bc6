#![doc = include_str!("../README.md")]
#![deny(missing_docs, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![allow(clippy::test_attr_in_doctest, reason = "the README shows how a test is written")]
#![warn(unreachable_pub, missing_debug_implementations)]

#[cfg(not(unix))]
compile_error!("how a process dies is told by its signal: ravelin-testing is for Unix");

mod child;
mod ending;
mod marks;
mod report;
pub mod words;

pub use child::{Child, path_of_test};
pub use ending::{Ending, Expect, Failure};
pub use marks::{guilty, look, say};
pub use report::Report;

/// A [`Child`] that runs the surrounding test once more.
///
/// It finds the test's name by itself, through modules, closures and `async` blocks. Where one function serves several tests (a generated
/// table of cases, say), their names are not its own: give the name with [`Child::of_test`] there.
#[macro_export]
macro_rules! child {
    () => {{
        fn here() {}
        $crate::Child::of_test($crate::path_of_test(&here))
    }};
}

/// Runs a closure in a child of its own, and returns what is left of that: short for `child!().run(closure)`.
#[macro_export]
macro_rules! in_child {
    ($deed:expr) => {
        $crate::child!().run($deed)
    };
}
