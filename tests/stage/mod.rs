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
//! Reading order: [`case`], [`actors`], [`block`], [`ending`].

mod actors;
mod block;
mod case;
mod ending;
mod filter;
mod fork;
mod maps;
mod say;

pub(crate) use actors::{Flag, Who, crowd, on_thread, together};
pub(crate) use block::{Block, Company, SIZES, is_class, is_huge, is_large, room};
pub(crate) use case::{Case, Expect, Needs};
pub(crate) use ending::{End, PATIENCE, skip};
pub(crate) use filter::{GUARDS, Refusal, refuse};
pub(crate) use fork::{Child, fork};
pub(crate) use maps::{Map, maps};
pub(crate) use say::{guilty, look, say};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::env;
use std::process::ExitCode;

const PLAY: &str = "--play";
const FULL: &str = "--full";
/// Set to 1 by whoever wants the long sizes of long tests.
const FULL_VARIABLE: &str = "FULL_SIZE_TESTS";

/// `short` in everyday runs, `full` when the environment has `FULL_SIZE_TESTS=1`.
pub(crate) fn sized(short: usize, full: usize) -> usize {
    let is_full =
        env::var(FULL_VARIABLE).is_ok_and(|value| value == "1") || env::args().any(|argument| argument == FULL);
    if is_full { full } else { short }
}

/// The main function of a test program: plays one case if it was started for that, or runs all of them as tests.
pub(crate) fn main(cases: Vec<Case>) -> ExitCode {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() == Some(PLAY) {
        let name = arguments.next().expect("--play NAME");
        let case = cases.into_iter().find(|case| case.name == name).expect("a case of that name");
        ending::prepare();
        (case.play)();
        return ExitCode::SUCCESS;
    }
    let trials = cases.into_iter().map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn trial(case: Case) -> Trial {
    let name = case.name.clone();
    Trial::ignorable_test(name, move || {
        if let Some(reason) = case.needs.lacking() {
            return Ok(Completion::ignored_with(reason));
        }
        let end = ending::of(&case);
        match case.expect.judge(&end) {
            Ok(()) => Ok(Completion::Completed),
            Err(why) => match end.skipped() {
                Some(reason) => Ok(Completion::ignored_with(reason)),
                None => Err(Failed::from(format!("{why}\n{end}"))),
            },
        }
    })
}
