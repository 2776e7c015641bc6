//! The end of the process, for reasons that are not the engine's to report.

/// Writes `line` to standard error and aborts. The line ends with a newline and starts with `ravelin: `.
#[cold]
pub(crate) fn stop(line: &[u8]) -> ! {
    // One try: there is nothing to be done about an error. By the system call, for the C library's function is a point of cancellation.
    // SAFETY: the slice's bytes may be read.
    let _ =
        unsafe { libc::syscall(libc::SYS_write, libc::c_long::from(libc::STDERR_FILENO), line.as_ptr(), line.len()) };
    // SAFETY: may be called at any time; does not return.
    unsafe { libc::abort() }
}
