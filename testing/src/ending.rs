//! What is left of a child, and what it is asserted to be.

use crate::marks::{AFTER, BEFORE, BY, MARK};
use crate::report::Report;
use core::fmt;
use core::time::Duration;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What is left of a child: its signal or exit code, and its words.
#[derive(Clone, Debug)]
pub struct Ending {
    status: ExitStatus,
    stdout: String,
    stderr: String,
    timed_out: Option<Duration>,
    lived: Duration,
}

/// What must have come of a child. Words are those that a report begins with ([`words`](crate::words)); any of them will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expect<'a> {
    /// SIGABRT inside the guilty call, with one report; if a pointer was told, of that pointer and by that thread.
    Dies(&'a [&'a str]),
    /// The same, inside the guilty call or later.
    DiesLater(&'a [&'a str]),
    /// SIGABRT and one report; which pointer it names is open.
    Reports(&'a [&'a str]),
    /// The access itself faults: SIGSEGV or SIGBUS, and the access is not gone through.
    Faults,
    /// An exit with code 0, and no report.
    Survives,
}

/// Why an ending is not the one that was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Failure {}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure(why)
    }
}

fn fail<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure(why.into()))
}

impl Ending {
    pub(crate) fn new(
        status: ExitStatus,
        stdout: String,
        stderr: String,
        timed_out: Option<Duration>,
        lived: Duration,
    ) -> Ending {
        Ending { status, stdout, stderr, timed_out, lived }
    }

    /// The signal that ended it.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// The code with which it exited.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// How long it lived.
    #[must_use]
    pub fn lived(&self) -> Duration {
        self.lived
    }

    /// Whether it was killed because its time was over.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.timed_out.is_some()
    }

    /// What it wrote to stdout, up to 1 MiB.
    #[must_use]
    pub fn stdout(&self) -> &str {
        &self.stdout
    }

    /// What it wrote to stderr, up to 1 MiB.
    #[must_use]
    pub fn stderr(&self) -> &str {
        &self.stderr
    }

    /// The reports on stderr, in their order. A process writes one at most.
    pub fn reports(&self) -> impl Iterator<Item = Report<'_>> {
        self.stderr.lines().filter_map(Report::parse)
    }

    /// The pointer that was told last, and the thread that told it.
    #[must_use]
    pub fn told(&self) -> Option<(usize, u64)> {
        let told = self.marks().filter_map(|mark| mark.strip_prefix(BEFORE)).last()?;
        let (pointer, thread) = told.split_once(BY)?;
        Some((usize::from_str_radix(pointer.strip_prefix("0x")?, 16).ok()?, thread.parse().ok()?))
    }

    /// Whether the guilty call has returned.
    #[must_use]
    pub fn call_returned(&self) -> bool {
        self.has_marked(AFTER)
    }

    /// Whether a line of stdout is this.
    #[must_use]
    pub fn has_said(&self, line: &str) -> bool {
        self.stdout.lines().any(|said| said == line)
    }

    pub(crate) fn has_marked(&self, mark: &str) -> bool {
        self.marks().any(|found| found == mark)
    }

    fn marks(&self) -> impl Iterator<Item = &str> {
        self.stdout.lines().filter_map(|line| line.strip_prefix(MARK))
    }

    /// Whether it ended as expected.
    ///
    /// # Errors
    /// Says how it did not, in a clause.
    pub fn check(&self, expect: Expect<'_>) -> Result<(), Failure> {
        if let Some(patience) = self.timed_out {
            return fail(format!("it was still running after {patience:?}"));
        }
        match expect {
            Expect::Dies(words) => {
                self.dies_somewhere(words)?;
                if self.call_returned() { fail("the guilty call returned, and it died later") } else { Ok(()) }
            }
            Expect::DiesLater(words) => self.dies_somewhere(words),
            Expect::Reports(words) => self.aborted(words).map(|_| ()),
            Expect::Faults => match self.signal() {
                Some(libc::SIGSEGV | libc::SIGBUS) if self.call_returned() => fail("the access went through"),
                Some(libc::SIGSEGV | libc::SIGBUS) => Ok(()),
                _ => fail(format!("the access should have faulted, but it {}", self.way())),
            },
            Expect::Survives => match self.reports().next() {
                Some(report) => fail(format!("it should not have been flagged: {}", report.line())),
                None if self.status.success() => Ok(()),
                None => fail(format!("it should have come to its end, but it {}", self.way())),
            },
        }
    }

    /// Aborted with such a report, of the pointer and by the thread that were told, if any were.
    fn dies_somewhere(&self, words: &[&str]) -> Result<(), Failure> {
        let report = self.aborted(words)?;
        let Some((pointer, thread)) = self.told() else { return Ok(()) };
        if report.address() != Some(pointer) {
            return fail(format!("the report should be of {pointer:#x}: {}", report.line()));
        }
        if thread != 0 && report.thread() != Some(thread) {
            return fail(format!("the report should be by thread {thread}: {}", report.line()));
        }
        Ok(())
    }

    fn aborted(&self, words: &[&str]) -> Result<Report<'_>, Failure> {
        let mut reports = self.reports();
        let (report, another) = (reports.next(), reports.next());
        if self.signal() != Some(libc::SIGABRT) {
            let returned = if self.call_returned() { "the guilty call returned, and " } else { "" };
            return fail(format!("it should have been stopped with {}, but {returned}it {}", any(words), self.way()));
        }
        match (report, another) {
            (None, _) => fail(format!("it aborted without a report; expected {}", any(words))),
            (Some(_), Some(another)) => fail(format!("it wrote a second report: {}", another.line())),
            (Some(report), None) if words.iter().any(|words| report.begins_with(words)) => Ok(report),
            (Some(report), None) => fail(format!("the report should begin with {}: {}", any(words), report.line())),
        }
    }

    /// Asserts [`check`](Ending::check).
    ///
    /// # Panics
    /// If it ended otherwise, with all that is left of it.
    #[track_caller]
    pub fn assert(&self, expect: Expect<'_>) -> &Ending {
        match self.check(expect) {
            Ok(()) => self,
            Err(why) => panic!("{why}{self}"),
        }
    }

    /// Asserts [`Expect::Dies`]: the guilty call died of SIGABRT with a report that begins with these words.
    ///
    /// # Panics
    /// As [`assert`](Ending::assert).
    #[track_caller]
    pub fn dies_of(&self, words: &str) -> &Ending {
        self.assert(Expect::Dies(&[words]))
    }

    /// Asserts [`Expect::DiesLater`]: the process was stopped at the latest when the damage was met.
    ///
    /// # Panics
    /// As [`assert`](Ending::assert).
    #[track_caller]
    pub fn dies_later_of(&self, words: &str) -> &Ending {
        self.assert(Expect::DiesLater(&[words]))
    }

    /// Asserts [`Expect::Faults`].
    ///
    /// # Panics
    /// As [`assert`](Ending::assert).
    #[track_caller]
    pub fn faults(&self) -> &Ending {
        self.assert(Expect::Faults)
    }

    /// Asserts [`Expect::Survives`]: what was done is correct, and was not flagged.
    ///
    /// # Panics
    /// As [`assert`](Ending::assert).
    #[track_caller]
    pub fn survives(&self) -> &Ending {
        self.assert(Expect::Survives)
    }

    /// How the process ended, as the end of a sentence.
    fn way(&self) -> String {
        match (self.signal(), self.code()) {
            (Some(signal), _) => format!("died of {}", name_of_signal(signal)),
            (None, Some(code)) => format!("exited with code {code}"),
            (None, None) => "ended".into(),
        }
    }
}

fn any(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|words| format!("{words:?}")).collect();
    quoted.join(" or ")
}

fn name_of_signal(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGKILL => "SIGKILL",
        libc::SIGALRM => "SIGALRM",
        libc::SIGSYS => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    format!("{name} (signal {signal})")
}

/// All of it, each on lines of its own.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n  the child {} after {:.3} s", self.way(), self.lived.as_secs_f64())?;
        match self.told() {
            Some((pointer, thread)) => write!(f, "\n  told: pointer {pointer:#x}, thread {thread}")?,
            None => write!(f, "\n  told: nothing")?,
        }
        write!(f, "\n  the guilty call {}", if self.call_returned() { "returned" } else { "did not return" })?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            write!(f, "\n  {name}:")?;
            for line in text.lines().filter(|line| !line.is_empty()) {
                write!(f, "\n    {line}")?;
            }
        }
        Ok(())
    }
}
