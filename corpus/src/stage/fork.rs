//! Children within a play: forks, whose stderr the parent reads.
//!
//! The fuzz targets include this file by its path.

use std::string::String;

/// What is left of a forked child.
#[derive(Debug)]
pub struct Child {
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// The code with which it exited.
    pub code: i32,
    /// What it wrote to stderr.
    pub stderr: String,
}

/// Seconds after which a child counts as hung.
const PATIENCE: u32 = 60;

/// Forks, has the child do `work` and exit with its result, and waits for it.
pub fn fork(work: impl FnOnce() -> i32) -> Child {
    let mut ends = [0; 2];
    // SAFETY: writes two descriptors to the array.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let [read, write] = ends;
    // SAFETY: the child does `work` only, and leaves by `_exit`.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "the machine can make a process");
    if child == 0 {
        // SAFETY: ends the child, if anything, later.
        unsafe { libc::alarm(PATIENCE) };
        // SAFETY: both are open.
        unsafe { libc::dup2(write, 2) };
        // SAFETY: not used in the child.
        unsafe { libc::close(read) };
        let code = work();
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    // SAFETY: the child has its own.
    unsafe { libc::close(write) };
    let stderr = read_all(read);
    // SAFETY: open until here, and not used again.
    unsafe { libc::close(read) };
    let mut status = 0;
    // SAFETY: writes to the number that it is given.
    let waited = unbroken(|| unsafe { libc::waitpid(child, &raw mut status, 0) as isize });
    assert_eq!(waited, child as isize);
    let signal = if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 };
    Child { signal, code: libc::WEXITSTATUS(status), stderr }
}

fn read_all(descriptor: i32) -> String {
    let mut text = Vec::new();
    let mut buffer = [0_u8; 512];
    loop {
        // SAFETY: writes at most the buffer's length to it.
        let got = unbroken(|| unsafe { libc::read(descriptor, buffer.as_mut_ptr().cast(), buffer.len()) });
        match usize::try_from(got) {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&text).into_owned(),
            Ok(got) => text.extend(buffer.iter().take(got)),
        }
    }
}

/// Makes a call again that a signal has cut short: a fuzzer's timer, say.
fn unbroken(mut call: impl FnMut() -> isize) -> isize {
    loop {
        let result = call();
        if result >= 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return result;
        }
    }
}
