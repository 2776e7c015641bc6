//! A child that commits a misuse, and how it ended.

use crate::fork::{Child, fork};

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By SIGABRT, after one line that begins with `ravelin: `: what stands behind that.
    Reported(String),
    /// By SIGSEGV or SIGBUS.
    Faulted,
    /// It came through.
    WentOn,
    /// In any other way: its signal and code, and what it wrote.
    Otherwise(i32, i32, String),
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
        (libc::SIGABRT, _, [report]) => End::Reported((*report).to_owned()),
        (libc::SIGSEGV | libc::SIGBUS, ..) => End::Faulted,
        (0, 0, []) => End::WentOn,
        _ => End::Otherwise(signal, code, stderr),
    }
}
