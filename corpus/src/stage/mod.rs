//! The stage: each case is played in a process of its own, and judged by how that process ended.
//!
//! ```text
//!  audience                                    stage (the same program, started with `--play NAME`)
//!
//!  list of cases: one named test for each      the same list, and in it the case NAME
//!        |                                        prologue: allocate, free, write ..
//!        |  <---- stdout: before 0x.. by N -----  the pointer that is about to be misused, and the thread
//!        |  <---- stderr: ravelin: .. ----------  the guilty call reports, and dies
//!        |  <---- stdout: after ----------------  only if it did not
//!        v
//!  signal, line, kind, pointer, thread: as the case expects
//! ```
//!
//! # The words
//! - **case**: a name, what the build must have for it to hold, what is expected, and the play.
//! - **who**: the thread that commits the misuse, as seen from the block's owner ([`Who`]).
//! - **guilty call**: the one call that must not return ([`guilty`]).
//!
//! The actors take care not to allocate between the acts: their threads are bare ones of the C library and what they say is
//! formatted on the stack, so that no block is handed out again meanwhile by accident.
//!
//! Reading order: `case`, `actors`, `block`, `ending`.

mod actors;
mod block;
mod case;
mod cases;
mod ending;
mod filter;
mod fork;
mod maps;
mod say;

pub use actors::{Flag, Who, crowd, on_thread, together};
pub use block::{Block, Company, SIZES, is_class, is_huge, is_large, neighbours, neighbours_in_a_page_with_room};
pub use case::{Callable, Case, Cell, Expect, Needs};
pub use cases::Cases;
pub use ending::{End, HARM, Setting, Start, patience, prepare, skip};
pub use filter::{GUARDS, Refusal, refuse};
pub use fork::{Child, fork};
pub use maps::{Map, maps};
pub use say::{access, aftermath, guilty, harm, look, say};

use core::fmt::{self, Write as _};
use std::env;
use std::sync::LazyLock;

/// Names the case that a process is to play.
pub const PLAY: &str = "--play";
/// Asks for the long sizes of long plays.
pub const FULL: &str = "--full";
/// Set to 1 by whoever wants the long sizes of long tests.
pub const FULL_VARIABLE: &str = "FULL_SIZE_TESTS";

/// `short` in everyday runs, `full` when the environment has `FULL_SIZE_TESTS=1`.
#[must_use]
pub fn sized(short: usize, full: usize) -> usize {
    let is_full =
        env::var(FULL_VARIABLE).is_ok_and(|value| value == "1") || env::args().any(|argument| argument == FULL);
    if is_full { full } else { short }
}

/// The name of the case that this process was started for, if it was.
fn wanted() -> Option<&'static str> {
    static WANTED: LazyLock<Option<String>> = LazyLock::new(|| {
        let mut arguments = env::args().skip(1);
        (arguments.next().as_deref() == Some(PLAY)).then(|| arguments.next().unwrap_or_default())
    });
    WANTED.as_deref()
}

/// Whether this process may play the case of that name. Takes no memory.
fn is_wanted(name: &dyn fmt::Display) -> bool {
    /// What a text must still go on with.
    struct Rest(&'static str);
    impl fmt::Write for Rest {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    wanted().is_none_or(|wanted| {
        let mut rest = Rest(wanted);
        write!(rest, "{name}").is_ok() && rest.0.is_empty()
    })
}

/// Plays the case that this process was started for, if it was: then it does not return.
pub fn play(cases: &mut Vec<Case>) {
    let Some(name) = wanted() else { return };
    let Some(at) = cases.iter().position(|case| case.name == name) else {
        eprintln!("no case {name:?}");
        std::process::exit(2);
    };
    let case = cases.swap_remove(at);
    // What the list of cases held lies in the heap under test: the play begins with a heap that has been used.
    prepare();
    (case.play)();
    std::process::exit(0);
}
