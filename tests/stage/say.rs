//! What the actors tell the audience, on stdout, without allocating.

use core::fmt::{self, Write};

struct Text {
    bytes: [u8; 256],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// Writes a line to stdout.
pub(crate) fn say(words: fmt::Arguments<'_>) {
    let mut text = Text { bytes: [0; 256], len: 0 };
    writeln!(text, "{words}").expect("a short line");
    // SAFETY: reads `len` bytes of a buffer that holds them.
    let written = unsafe { libc::write(1, text.bytes.as_ptr().cast(), text.len) };
    assert_eq!(usize::try_from(written), Ok(text.len));
}

/// Makes the guilty call, about `address`: it must not return.
pub(crate) fn guilty<T>(address: usize, call: impl FnOnce() -> T) -> T {
    look(address);
    let result = core::hint::black_box(call());
    say(format_args!("after"));
    result
}

/// Tells of the pointer that a report must name, and of the thread.
pub(crate) fn look(address: usize) {
    // SAFETY: takes nothing and cannot fail.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    say(format_args!("before {address:#x} by {thread}"));
}
