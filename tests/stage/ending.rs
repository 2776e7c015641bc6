//! How the process of a case is started, and what is left of it.

use super::case::Case;
use core::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

/// Seconds after which a play counts as hung.
pub(crate) const PATIENCE: u32 = 120;
/// What a play says when the machine does not let it be played.
const SKIPPED: &str = "skipped: ";

/// What is left of a process.
pub(crate) struct End {
    status: ExitStatus,
    stdout: String,
    stderr: String,
}

/// A report on stderr.
pub(crate) struct Reported<'a> {
    line: &'a str,
}

/// On the stage, before the play: no core files, and no hanging for ever.
pub(super) fn prepare() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads the limit that it is given.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: ends this process, if anything, later.
    unsafe { libc::alarm(super::sized(PATIENCE as usize, 30 * PATIENCE as usize) as u32) };
}

/// Plays the case in a process of its own.
pub(super) fn of(case: &Case) -> End {
    let program = std::env::current_exe().expect("this test is a file");
    let mut command = Command::new(program);
    command.args([super::PLAY, &case.name]).env_remove(super::FULL_VARIABLE).stdin(Stdio::null());
    // A play that fails says why: no more, for a trace takes memory, which some plays have none of.
    command.env("RUST_BACKTRACE", "0");
    if super::sized(0, 1) == 1 {
        command.arg(super::FULL);
    }
    (case.arrange)(&mut command);
    let output = command.output().expect("the test can start itself");
    End {
        status: output.status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl End {
    pub(crate) fn died_of(&self, signal: i32) -> Result<(), String> {
        match self.status.signal() {
            Some(found) if found == signal => Ok(()),
            _ => Err(format!("should have died of signal {signal}")),
        }
    }

    pub(crate) fn exited_well(&self) -> Result<(), String> {
        if self.status.success() { Ok(()) } else { Err("should have come to its end".into()) }
    }

    pub(crate) fn has_said(&self, word: &str) -> bool {
        self.stdout.lines().any(|line| line == word)
    }

    /// How often a line with these words is on stdout or stderr.
    pub(crate) fn count(&self, words: &str) -> usize {
        self.stdout.lines().chain(self.stderr.lines()).filter(|line| line.contains(words)).count()
    }

    /// Why the case could not be played here, if so.
    pub(crate) fn skipped(&self) -> Option<&str> {
        self.stdout.lines().find_map(|line| line.strip_prefix(SKIPPED))
    }

    /// The last pointer announced, and the thread.
    pub(crate) fn mark(&self) -> Result<(&str, &str), String> {
        let mark = self.stdout.lines().rev().find_map(|line| line.strip_prefix("before "));
        mark.and_then(|mark| mark.split_once(" by ")).ok_or_else(|| "no pointer was announced".into())
    }

    /// What the allocator has written.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &str> {
        self.stderr.lines().filter(|line| line.starts_with("ravelin: "))
    }

    /// The one line of a report, which begins with one of these words.
    pub(crate) fn reported(&self, words: &[&str]) -> Result<Reported<'_>, String> {
        let mut lines = self.ours();
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err("not exactly one line of ours on stderr".into());
        };
        let report = line.trim_start_matches("ravelin: ");
        match words.iter().any(|word| report.starts_with(word)) {
            true => Ok(Reported { line }),
            false => Err(format!("should have begun with {words:?}")),
        }
    }
}

impl Reported<'_> {
    /// Whether the report names the pointer and the thread that were announced.
    pub(crate) fn is_of(&self, end: &End) -> Result<(), String> {
        let (pointer, thread) = end.mark()?;
        if self.line.split([' ', ',', ')']).find(|word| word.starts_with("0x")) != Some(pointer) {
            return Err(format!("should have named {pointer}"));
        }
        match self.line.rsplit_once(" by thread ") {
            Some((_, named)) if named == thread => Ok(()),
            _ => Err(format!("should have named thread {thread}")),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nstdout:\n{}\nstderr:\n{}", self.status, self.stdout, self.stderr)
    }
}

/// On the stage: the machine does not let this be played. Ends the process.
pub(crate) fn skip(reason: &str) -> ! {
    super::say(format_args!("{SKIPPED}{reason}"));
    std::process::exit(77)
}
