//! Every misuse of the corpus that this build must stop, each in a process of its own: the guilty call dies of SIGABRT, with one line
//! that names the kind, the pointer and the thread.
//!
//! Names of the tests begin with the corpus's: `cargo test --test deaths a13_`. What a build without the defence in question does not
//! stop is listed as ignored, with the reason. How a case is played and judged: `stage`.

#![allow(clippy::indexing_slicing, reason = "a test may fail by panicking")]

#[path = "deaths/double_free.rs"]
mod double_free;
#[path = "deaths/exploits.rs"]
mod exploits;
#[path = "deaths/invalid_free.rs"]
mod invalid_free;
#[path = "deaths/layouts.rs"]
mod layouts;
#[path = "deaths/our_own_memory.rs"]
mod our_own_memory;
#[path = "deaths/resize.rs"]
mod resize;
#[path = "deaths/rust_forms.rs"]
mod rust_forms;
#[path = "stage/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with other tests")]
mod stage;

use std::process::ExitCode;

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

fn main() -> ExitCode {
    let groups = [
        double_free::cases(),
        double_free::races(),
        double_free::odds(),
        rust_forms::cases(),
        invalid_free::cases(),
        our_own_memory::cases(),
        resize::cases(),
        exploits::cases(),
        layouts::cases(),
    ];
    stage::main(groups.into_iter().flatten().collect())
}
