//! Files by the system calls themselves.
//!
//! The C library's functions of the same names are points of cancellation: a thread that somebody has cancelled ends there. malloc is none,
//! so it must not end in here, perhaps with a lock in hand, nor when it should report.

use super::error::last;
use crate::os::Errno;
use core::ffi::CStr;
use libc::{c_int, c_long};

/// A file that is read; closed when dropped.
#[derive(Debug)]
pub(super) struct File(c_long);

impl File {
    /// Opens it for reading.
    pub(super) fn open(path: &CStr) -> Result<File, Errno> {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: the path is a C string; no file is made, so no mode is needed.
        let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags) };
        if file < 0 { Err(last()) } else { Ok(File(file)) }
    }

    /// How many of the bytes were read; 0 at the end.
    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        // SAFETY: the kernel writes at most `buffer.len()` bytes to `buffer`.
        let got = unsafe { libc::syscall(libc::SYS_read, self.0, buffer.as_mut_ptr(), buffer.len()) };
        usize::try_from(got).map_err(|_| last())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: opened by us, and closed once.
        let _ = unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// How many of the bytes were written.
pub(super) fn write(descriptor: c_int, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads at most `bytes.len()` bytes from `bytes`.
    let written = unsafe { libc::syscall(libc::SYS_write, c_long::from(descriptor), bytes.as_ptr(), bytes.len()) };
    usize::try_from(written).map_err(|_| last())
}
