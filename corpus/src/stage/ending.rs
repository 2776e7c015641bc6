//! How the process of a case is started, and what is left of it.

use crate::table::Column;
use core::fmt;
use core::time::Duration;
use ravelin_testing::{Child, Ending};
use std::process::Command;

/// Seconds after which a play counts as hung.
pub fn patience() -> u32 {
    super::sized(120, 3600) as u32
}
/// What a play says when the machine does not let it be played.
const SKIPPED: &str = "skipped: ";
/// What the stage says when a misuse has given somebody what is not his.
pub const HARM: &str = "HARM: ";

/// Seconds of processor time after which a play counts as hung, if it is said.
const PROCESSOR_SECONDS: &str = "CORPUS_PROCESSOR_SECONDS";
/// Said before an access that may fault.
pub const ACCESS: &str = "access";
/// The access went through.
pub const ACCESSED: &str = "accessed";

/// Under what the stage is started.
#[derive(Clone, Debug, Default)]
pub struct Setting {
    /// A library that brings the `malloc`.
    pub preload: Option<String>,
    /// The column whose options are in force.
    pub column: Option<Column>,
    /// Kills what has not ended by then.
    pub patience: Option<Duration>,
}

/// What is left of a process.
#[derive(Debug)]
pub struct End(Ending);

/// On the stage, before the play: no core files, and no hanging for ever.
pub fn prepare() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads the limit that it is given.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: ends this process, if anything, later.
    unsafe { libc::alarm(patience()) };
    if let Some(seconds) = std::env::var(PROCESSOR_SECONDS).ok().and_then(|seconds| seconds.parse().ok()) {
        let limit = libc::rlimit { rlim_cur: seconds, rlim_max: seconds };
        // SAFETY: reads the limit that it is given.
        unsafe { libc::setrlimit(libc::RLIMIT_CPU, &raw const limit) };
    }
}

/// What it takes to start a case.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The case's name.
    pub name: &'a str,
    /// Its changes to how it is started.
    pub arrange: fn(&mut Command),
    /// Under what.
    pub setting: &'a Setting,
}

impl Start<'_> {
    /// Plays the case in a process of its own.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn end(&self) -> End {
        let program = std::env::current_exe().expect("this test is a file");
        let mut command = Command::new(program);
        command.args([super::PLAY, self.name]).env_remove(super::FULL_VARIABLE);
        // A play that fails says why: no more, for a trace takes memory, which some plays have none of.
        command.env("RUST_BACKTRACE", "0");
        if super::sized(0, 1) == 1 {
            command.arg(super::FULL);
        }
        if let Some(library) = &self.setting.preload {
            command.env("LD_PRELOAD", library);
        }
        match self.setting.column {
            Some(column) => column.arrange(&mut command),
            // Some allocators go round in circles once they are damaged.
            None => drop(command.env(PROCESSOR_SECONDS, "2")),
        }
        (self.arrange)(&mut command);
        let patience = self.setting.patience.unwrap_or(Duration::from_secs(u64::from(patience()) + 10));
        End(Child::command(command).timeout(patience).start())
    }
}

impl End {
    /// What the helper makes of it.
    #[must_use]
    pub fn basic(&self) -> &Ending {
        &self.0
    }

    /// Whether a line of stdout is this.
    #[must_use]
    pub fn has_said(&self, word: &str) -> bool {
        self.0.has_said(word)
    }

    /// How often a line with these words is on stdout or stderr.
    #[must_use]
    pub fn count(&self, words: &str) -> usize {
        self.0.stdout().lines().chain(self.0.stderr().lines()).filter(|line| line.contains(words)).count()
    }

    /// Why the case could not be played here, if so.
    #[must_use]
    pub fn skipped(&self) -> Option<&str> {
        self.0.stdout().lines().find_map(|line| line.strip_prefix(SKIPPED))
    }

    /// What the misuse has given to somebody whose it is not.
    #[must_use]
    pub fn harm(&self) -> Option<&str> {
        self.0.stdout().lines().find_map(|line| line.strip_prefix(HARM))
    }

    /// Whether an access was begun that did not go through.
    #[must_use]
    pub fn is_stopped_in_access(&self) -> bool {
        let count = |word| self.0.stdout().lines().filter(|line| *line == word).count();
        count(ACCESS) > count(ACCESSED)
    }

    /// A play must say which pointer is about to be misused.
    ///
    /// # Errors
    /// If it has not: then it never came so far.
    pub fn is_told(&self) -> Result<(), String> {
        self.0.told().map(|_| ()).ok_or_else(|| "no pointer was announced".into())
    }

    /// What the allocator has written.
    pub fn ours(&self) -> impl Iterator<Item = &str> {
        self.0.stderr().lines().filter(|line| line.starts_with("ravelin: "))
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// On the stage: the machine does not let this be played. Ends the process.
pub fn skip(reason: &str) -> ! {
    super::say(format_args!("{SKIPPED}{reason}"));
    std::process::exit(77)
}
