//! A child that commits a misuse, and what became of it.

use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};

/// How a child ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By SIGABRT, after one line that begins with `ravelin: `.
    Reported,
    /// By SIGSEGV or SIGBUS.
    Faulted,
    /// It came through.
    WentOn,
    /// In any other way: its status, and what it wrote.
    Otherwise(i32, String),
}

/// Seconds after which a child counts as hung.
const PATIENCE: u32 = 20;

/// Forks, and has the child do `work`.
pub(crate) fn run(work: impl FnOnce()) -> End {
    let mut ends = [0; 2];
    // SAFETY: writes two descriptors to the array.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let [read, write] = ends;
    // SAFETY: the child does `work`, and leaves by `_exit` or by a signal.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "the machine can make a process");
    if child == 0 {
        // The fuzzer's own handlers would take the child's end for theirs.
        for signal in [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGALRM] {
            // SAFETY: sets the default.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        // SAFETY: ends the child, if anything, later.
        unsafe { libc::alarm(PATIENCE) };
        // SAFETY: both are open.
        unsafe { libc::dup2(write, 2) };
        work();
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: open, and nobody else's here.
    drop(unsafe { OwnedFd::from_raw_fd(write) });
    // SAFETY: as above.
    let mut pipe = std::fs::File::from(unsafe { OwnedFd::from_raw_fd(read) });
    let mut text = Vec::new();
    pipe.read_to_end(&mut text).expect("a pipe can be read");
    let mut status = 0;
    // SAFETY: writes to the number that it is given.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    let text = String::from_utf8_lossy(&text).into_owned();
    let reports = text.lines().filter(|line| line.starts_with("ravelin: ") && !line.contains("warning:")).count();
    match libc::WTERMSIG(status) {
        libc::SIGABRT if reports == 1 => End::Reported,
        libc::SIGSEGV | libc::SIGBUS => End::Faulted,
        0 if libc::WEXITSTATUS(status) == 0 && reports == 0 => End::WentOn,
        _ => End::Otherwise(status, text),
    }
}
