//! The misuse corpus: every misuse of the heap that the project knows, each committed in a process of its own.
//!
//! ```text
//!  table      what each build promises of each misuse, a row for each: A13, "page emptied and reused for another class in between", D D D
//!  cases      the forms of each row: tiny functions, by size and by the thread that commits the misuse
//!  stage      how a case is played in a process of its own, and how its end is judged
//!  allocator  whose heap is misused: Ravelin's, or that of any malloc
//!  operators  C++'s
//!  outcome    what has come of a case under an allocator that promises nothing
//!  run        plays many; played is what came of one, tally counts, text tells it, page writes it for a browser
//! ```
//!
//! # Two programs
//!
//! - The test `columns` has Ravelin for its global allocator. It plays each case in a process of its own and asserts what the table says for
//!   the build: h as it is, p with `--features paranoid`, g with that and `CORPUS_COLUMN=g`.
//! - The program `corpus` links no allocator but the process's `malloc`. With `--preload NAME=LIBRARY` it plays what is callable from C
//!   under any other, and prints what came of it: case by allocator.
//!
//! # The words
//! - **row, column, cell**: of the table. A cell is what one build promises of one misuse.
//! - **case**: one form of a row. It knows its cells, for a form may be a finer thing than its row.
//! - **open**: a cell that promises nothing. It is played and recorded.
//! - **harm**: after a guilty call that returned, two live blocks overlap, or a block lies where nobody has allocated.
#![warn(missing_debug_implementations)]
#![allow(clippy::indexing_slicing, reason = "a test may fail by panicking")]

pub mod allocator;
pub mod cases;
pub mod operators;
pub mod outcome;
pub mod page;
pub mod played;
pub mod record;
pub mod run;
pub mod stage;
pub mod table;
pub mod tally;
pub mod text;
