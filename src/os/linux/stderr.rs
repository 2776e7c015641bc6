//! The ways to speak: standard error, and standard error as it was at the start.

use super::file;
use crate::os::Errno;
use core::mem;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};
use libc::c_int;

/// Writes to standard error, in full unless it fails. Errors are ignored: there is nobody left to tell.
pub(crate) fn write_error(bytes: &[u8]) {
    write(libc::STDERR_FILENO, bytes);
}

fn write(descriptor: c_int, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        match file::write(descriptor, rest) {
            Ok(written) if written != 0 => rest = rest.get(written..).unwrap_or(&[]),
            Err(Errno(libc::EINTR)) => {}
            _ => return,
        }
    }
}

/// No descriptor.
const NONE: c_int = -1;
/// A program that counts on the number of the next descriptor it opens is not disturbed by one from here on.
const FIRST_KEPT: c_int = 200;

/// What standard error was when it was kept: a descriptor of our own, and device and number of its file.
static KEPT: AtomicI32 = AtomicI32::new(NONE);
static KEPT_FILE: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Keeps standard error for a last word: some programs close it before their exit functions are all called.
pub(crate) fn keep_error() {
    // SAFETY: duplicates a descriptor, and nothing else.
    let kept = unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, FIRST_KEPT) };
    if kept < 0 {
        return;
    }
    for (place, part) in KEPT_FILE.iter().zip(file_of(kept).unwrap_or_default()) {
        place.store(part, Relaxed);
    }
    KEPT.store(kept, Relaxed);
}

/// Writes to what was kept, or to standard error if nothing was. Not at all if the program has closed that descriptor,
/// too: whatever has its number now is not ours to write to.
pub(crate) fn write_kept_error(bytes: &[u8]) {
    let kept = KEPT.load(Relaxed);
    if kept == NONE {
        return write_error(bytes);
    }
    let [device, number] = &KEPT_FILE;
    if file_of(kept) == Some([device.load(Relaxed), number.load(Relaxed)]) {
        write(kept, bytes);
    }
}

/// Device and number of the file behind a descriptor.
fn file_of(descriptor: c_int) -> Option<[u64; 2]> {
    // SAFETY: zeros are a valid value of this plain C type.
    let mut status: libc::stat = unsafe { mem::zeroed() };
    // SAFETY: writes to the place that it is given.
    let result = unsafe { libc::fstat(descriptor, &raw mut status) };
    (result == 0).then_some([status.st_dev, status.st_ino])
}
