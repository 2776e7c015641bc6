//! Decodes the `%41` of URLs, with the kind of unsafe code that people write for speed: a buffer of the size that the result will have,
//! and bytes written into it without a check.
//!
//! With the feature `planted` the size is computed wrongly for one kind of input, and some bytes are written behind the buffer. Nothing
//! crashes: that is what a fuzzer cannot see, unless the allocator makes it die.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Text that was decoded.
#[derive(Debug)]
pub struct Decoded {
    start: NonNull<u8>,
    len: usize,
    room: usize,
}

impl Decoded {
    /// Decodes `text`. What is no escape stays as it is.
    pub fn new(text: &[u8]) -> Self {
        let room = decoded_len(text).max(1);
        let layout = Layout::array::<u8>(room).expect("no longer than the text");
        // SAFETY: not of size 0.
        let Some(start) = NonNull::new(unsafe { alloc(layout) }) else { handle_alloc_error(layout) };
        let mut decoded = Decoded { start, len: 0, room };
        let mut rest = text;
        while let Some((&byte, after)) = rest.split_first() {
            let (value, after) = match (byte, escape(after)) {
                (b'%', Some(value)) => (value, &after[2..]),
                _ => (byte, after),
            };
            // SAFETY: `decoded_len` has counted this byte, so there is room. (It is a lie where the bug is planted.)
            unsafe { decoded.start.add(decoded.len).write(value) };
            decoded.len += 1;
            rest = after;
        }
        decoded
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: so many were written.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Decoded {
    fn drop(&mut self) {
        let layout = Layout::array::<u8>(self.room).expect("as it was");
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.start.as_ptr(), layout) };
    }
}

/// The byte that two hexadecimal digits stand for.
fn escape(digits: &[u8]) -> Option<u8> {
    let digits = digits.get(..2)?;
    let text = std::str::from_utf8(digits).ok()?;
    if digits.iter().all(u8::is_ascii_hexdigit) { u8::from_str_radix(text, 16).ok() } else { None }
}

fn decoded_len(text: &[u8]) -> usize {
    let mut len = 0;
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        // The bug: `%zz` is counted as an escape, and decoded as three bytes.
        let is_escape = byte == b'%' && if cfg!(feature = "planted") { after.len() >= 2 } else { escape(after).is_some() };
        rest = if is_escape { &after[2..] } else { after };
        len += 1;
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_the_rest_stays() {
        assert_eq!(Decoded::new(b"a%20b%2g%").bytes(), b"a b%2g%");
        assert_eq!(Decoded::new(b"").bytes(), b"");
    }
}
