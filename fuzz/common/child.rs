//! A child that commits a misuse, and how it ended.

use crate::fork::{Child, fork};

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By SIGABRT, after one report.
    Reported(Report),
    /// By SIGSEGV or SIGBUS.
    Faulted,
    /// It came through.
    WentOn,
    /// In any other way: its signal and code, and what it wrote.
    Otherwise(i32, i32, String),
}

/// What an allocator says of a misuse, and what the child had said before that.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// What stands behind `ravelin: `.
    pub(crate) text: String,
    /// The pointer that was last [announced](announce).
    about: Option<String>,
}

impl Report {
    /// Whether it names the pointer that was announced. No report has an address before that of its pointer.
    pub(crate) fn names_what_was_announced(&self) -> bool {
        let named = self.text.split_whitespace().find(|word| word.starts_with("0x"));
        named.is_some() && named == self.about.as_deref()
    }
}

/// What an announcement begins with.
const ABOUT: &str = "about ";

/// In a child: says which pointer the report must name that is to come.
pub(crate) fn announce(address: usize) {
    eprintln!("{ABOUT}{address:#x}");
}

/// Forks, and has the child do `work`.
pub(crate) fn run(work: impl FnOnce()) -> End {
    let Child { signal, code, stderr } = fork(|| {
        // The fuzzer's own handlers would take the child's end for theirs.
        for signal in [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGALRM] {
            // SAFETY: sets the default.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        work();
        0
    });
    let said = stderr.lines().filter_map(|line| line.strip_prefix("ravelin: "));
    let reports: Vec<&str> = said.filter(|report| !report.starts_with("warning:")).collect();
    match (signal, code, &reports[..]) {
        (libc::SIGABRT, _, [report]) => {
            let about = stderr.lines().rev().find_map(|line| line.strip_prefix(ABOUT));
            End::Reported(Report { text: (*report).to_owned(), about: about.map(str::to_owned) })
        }
        (libc::SIGSEGV | libc::SIGBUS, ..) => End::Faulted,
        (0, 0, []) => End::WentOn,
        _ => End::Otherwise(signal, code, stderr),
    }
}
