//! A line of text in a fixed buffer: how this crate writes without allocating, locking or formatting.
//!
//! ```text
//! | text ........................................ | ... | \n |
//! 0                                             TEXT   +3   CAPACITY
//! ```
//!
//! `core::fmt` is not used here: it would bring its panics into a library that may not have any. Text that does
//! not fit is cut, and the line then ends in `...`, for which there is always room.

/// Bytes of a line, its end included.
const CAPACITY: usize = 512;
/// What stands at the end of a line that was cut.
const CUT: &[u8] = b"...";
/// Bytes that text may fill: the mark of a cut and the newline always fit behind it.
const TEXT: usize = CAPACITY - CUT.len() - 1;

/// One line of text, of at most 511 bytes and a newline.
pub(crate) struct Line {
    bytes: [u8; CAPACITY],
    /// Never above CAPACITY.
    len: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Everything fitted so far.
    Whole,
    /// Something did not fit: what comes later is dropped too, so that a line has no holes.
    Cut,
}

impl Line {
    /// An empty line.
    pub(crate) const fn new() -> Line {
        Line { bytes: [0; CAPACITY], len: 0, state: State::Whole }
    }

    /// Appends bytes as they are: for text of this crate.
    pub(crate) fn push_bytes(&mut self, text: &[u8]) -> &mut Line {
        if self.state == State::Whole {
            let copied = self.copy(text, TEXT);
            if copied < text.len() {
                self.state = State::Cut;
            }
        }
        self
    }

    /// Appends text of this crate.
    pub(crate) fn push_str(&mut self, text: &str) -> &mut Line {
        self.push_bytes(text.as_bytes())
    }

    /// Appends text from outside, such as a variable's name: what is not printable ASCII becomes `?`, so that nobody
    /// can forge a second line or speak to a terminal.
    pub(crate) fn push_foreign(&mut self, text: &[u8]) -> &mut Line {
        for byte in text {
            let shown = if byte.is_ascii_graphic() || *byte == b' ' { *byte } else { b'?' };
            self.push_bytes(&[shown]);
        }
        self
    }

    /// Appends a number in decimal.
    pub(crate) fn push_dec(&mut self, number: u64) -> &mut Line {
        self.push_digits(number, 10)
    }

    /// Appends a signed number in decimal.
    pub(crate) fn push_signed(&mut self, number: i64) -> &mut Line {
        if number < 0 {
            self.push_bytes(b"-");
        }
        self.push_dec(number.unsigned_abs())
    }

    /// Appends an address: `0x` and lower-case hexadecimal digits, without leading zeros.
    pub(crate) fn push_hex(&mut self, number: usize) -> &mut Line {
        self.push_bytes(b"0x").push_digits(number as u64, 16)
    }

    fn push_digits(&mut self, number: u64, base: u64) -> &mut Line {
        // A 64-bit number has at most 20 decimal digits. They come out last first, so they are written backwards.
        let mut digits = [b'0'; 20];
        let mut rest = number;
        let mut used = 0usize;
        for digit in digits.iter_mut().rev() {
            // Below 16, so the cast keeps it all. `base` is 10 or 16, never 0.
            let value = rest.checked_rem(base).unwrap_or(0) as u8;
            *digit = if value < 10 { b'0'.wrapping_add(value) } else { b'a'.wrapping_add(value.wrapping_sub(10)) };
            rest = rest.checked_div(base).unwrap_or(0);
            used = used.wrapping_add(1);
            if rest == 0 {
                break;
            }
        }
        let start = digits.len().saturating_sub(used);
        self.push_bytes(digits.get(start..).unwrap_or(&[]))
    }

    /// The text so far, without an end of line.
    pub(crate) fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Ends the line, and yields it whole. Nothing can be added afterwards.
    pub(crate) fn end(&mut self) -> &[u8] {
        self.close();
        self.copy(b"\n", CAPACITY);
        self.text()
    }

    /// Marks a line that was cut as such, and lets nothing more be added.
    pub(crate) fn close(&mut self) -> &[u8] {
        if self.state == State::Cut {
            self.copy(CUT, CAPACITY);
        }
        self.state = State::Cut;
        self.text()
    }

    /// Copies as much of `text` as fits below `limit`, and says how much that was.
    fn copy(&mut self, text: &[u8], limit: usize) -> usize {
        let Some(room) = self.bytes.get_mut(self.len..limit) else {
            return 0;
        };
        let mut copied = 0usize;
        for (place, byte) in room.iter_mut().zip(text) {
            *place = *byte;
            copied = copied.wrapping_add(1);
        }
        self.len = self.len.wrapping_add(copied);
        copied
    }
}

impl core::fmt::Debug for Line {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(core::str::from_utf8(self.text()).unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{format, string::String, vec::Vec};

    fn text(line: &Line) -> String {
        String::from_utf8(line.text().to_vec()).unwrap()
    }

    #[test]
    fn numbers_read_as_the_standard_formatter_writes_them() {
        for number in [0, 1, 9, 10, 15, 16, 99, 100, 4711, u64::from(u32::MAX), u64::MAX / 2, u64::MAX] {
            let mut line = Line::new();
            line.push_dec(number).push_str(" ").push_hex(number as usize).push_str(" ").push_signed(number as i64);
            assert_eq!(text(&line), format!("{number} {:#x} {}", number as usize, number as i64));
        }
    }

    #[test]
    fn a_line_that_fits_exactly_is_not_marked_as_cut() {
        let mut line = Line::new();
        line.push_bytes(&[b'x'; TEXT]);
        let mut expected = [b'x'; TEXT].to_vec();
        expected.push(b'\n');
        assert_eq!(line.end(), expected);
    }

    #[test]
    fn a_long_line_is_cut_marked_and_still_ended() {
        for excess in [1, 2, 3, 4, 5, 1000] {
            let mut line = Line::new();
            line.push_bytes(&[b'x'; TEXT - 1]);
            for _ in 0..=excess {
                line.push_str("y");
            }
            let mut expected = [b'x'; TEXT - 1].to_vec();
            expected.extend_from_slice(b"y...\n");
            assert_eq!(line.end(), expected);
            assert_eq!(expected.len(), CAPACITY);
        }
    }

    #[test]
    fn nothing_follows_a_cut_even_if_it_would_fit() {
        let mut line = Line::new();
        line.push_bytes(&[b'x'; TEXT + 1]).push_str("z");
        assert!(line.end().ends_with(b"xx...\n"));
    }

    #[test]
    fn foreign_text_cannot_end_a_line_or_send_controls() {
        let mut line = Line::new();
        line.push_foreign(b"a b\nc\x1b[1m\r\0\xff\x7f");
        assert_eq!(text(&line), "a b?c?[1m????");
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        #[cfg_attr(miri, ignore = "takes a quarter of an hour")]
        fn any_sequence_of_pieces_yields_one_line_within_the_capacity(
            pieces in proptest::collection::vec((any::<u8>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..700)), 0..40)
        ) {
            let mut line = Line::new();
            let mut whole: Vec<u8> = Vec::new();
            for (which, number, bytes) in &pieces {
                match which % 3 {
                    0 => {
                        line.push_dec(*number);
                        whole.extend_from_slice(format!("{number}").as_bytes());
                    }
                    1 => {
                        line.push_hex(*number as usize);
                        whole.extend_from_slice(format!("{:#x}", *number as usize).as_bytes());
                    }
                    _ => {
                        line.push_foreign(bytes);
                        whole.extend(bytes.iter().map(|b| if (0x20..0x7f).contains(b) { *b } else { b'?' }));
                    }
                }
            }
            let written = line.end().to_vec();
            if whole.len() <= TEXT {
                whole.push(b'\n');
                prop_assert_eq!(written, whole);
            } else {
                prop_assert_eq!(&written[..TEXT], &whole[..TEXT]);
                prop_assert_eq!(&written[TEXT..], b"...\n");
            }
        }
    }
}
