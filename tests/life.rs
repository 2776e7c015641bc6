//! What must never be flagged, and must go on, wherever a program may find itself: the ends of threads and of the process, forks, limits,
//! filters of system calls; and the last moments of a process that is being stopped.
//!
//! Each test runs in a process of its own (see `stage`). Long tests have a CI size and, with `FULL_SIZE_TESTS=1` in the environment,
//! a full size.

#![allow(clippy::indexing_slicing, reason = "a test may fail by panicking")]

#[path = "life/exercise.rs"]
mod exercise;
#[path = "life/filters.rs"]
mod filters;
#[path = "life/forks.rs"]
mod forks;
#[path = "life/hooks.rs"]
mod hooks;
#[path = "life/limits.rs"]
mod limits;
#[path = "life/memory.rs"]
mod memory;
#[path = "life/process.rs"]
mod process;
#[path = "stage/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with other tests")]
mod stage;
#[path = "life/threads.rs"]
mod threads;

use std::process::ExitCode;

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

fn main() -> ExitCode {
    let groups =
        [threads::cases(), process::cases(), forks::cases(), limits::cases(), filters::cases(), hooks::cases()];
    stage::main(groups.into_iter().flatten().collect())
}
