//! What the child tells its parent, on stdout, without allocating: a misuse that is being staged must not be disturbed by the stage.

use core::fmt::{self, Write as _};
use core::hint::black_box;
use std::fs::File;
use std::io::Write as _;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;

/// Begins each line of ours, so that it is known among the program's own.
pub(crate) const MARK: &str = "misuse: ";
/// The deed begins.
pub(crate) const BEGUN: &str = "begun";
/// The deed has come to its end.
pub(crate) const ENDED: &str = "ended";
/// The guilty call has returned.
pub(crate) const AFTER: &str = "after";
/// The guilty call is next: `before 0xADDRESS by THREAD`.
pub(crate) const BEFORE: &str = "before ";
/// Between address and thread.
pub(crate) const BY: &str = " by ";

struct Text {
    bytes: [u8; 512],
    len: usize,
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// Makes the call that must not return, about `pointer`: [`Ending::dies_of`](crate::Ending::dies_of) then asks whether it has, and
/// whether the report names this pointer and this thread.
///
/// If it does return, so does this, with its result. Neither allocates.
pub fn guilty<P: ?Sized, T>(pointer: *const P, call: impl FnOnce() -> T) -> T {
    look(pointer);
    let result = black_box(call());
    mark(format_args!("{AFTER}"));
    result
}

/// Tells of the pointer that a report must name, where the guilty call is not known beforehand: a write into a freed block, say, that a
/// later allocation finds. The calling thread is the one that the report must name. Does not allocate.
pub fn look<P: ?Sized>(pointer: *const P) {
    mark(format_args!("{BEFORE}{:#x}{BY}{}", pointer.addr(), thread()));
}

/// Writes a line to stdout without allocating: up to 500 bytes, past all buffers and captures.
///
/// # Panics
/// If the line is longer.
pub fn say(words: fmt::Arguments<'_>) {
    let mut text = Text { bytes: [0; 512], len: 0 };
    // The harness may have begun a line.
    writeln!(text, "\n{words}").expect("a short line");
    // SAFETY: descriptor 1 is stdout, and dropping is left out, so that it stays open.
    let mut stdout = ManuallyDrop::new(unsafe { File::from_raw_fd(1) });
    // Whoever reads us may be gone; a misuse goes on all the same.
    let _ = stdout.write_all(text.bytes.get(..text.len).unwrap_or_default());
}

pub(crate) fn mark(words: fmt::Arguments<'_>) {
    say(format_args!("{MARK}{words}"));
}

/// The system's number of the calling thread, as reports name it.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn thread() -> i64 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) }
}

/// No number that reports would name: none is compared.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn thread() -> i64 {
    0
}
