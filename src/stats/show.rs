//! Who shows the table when: the program when it likes, and the allocator when the process exits.

use super::stats;
use crate::mitigations::MITIGATIONS;
use crate::os;
use crate::report::{self, Line};

/// Lines are put together up to the size that a pipe takes at once, so that the tables of two processes mix rarely.
const ROOM: usize = 4096;

/// Whole lines on their way out.
struct Lines {
    bytes: [u8; ROOM],
    /// At most [`ROOM`].
    len: usize,
    out: fn(&[u8]),
}

impl Lines {
    fn push(&mut self, line: &[u8]) {
        if line.len() > ROOM.wrapping_sub(self.len) {
            self.flush();
        }
        let end = self.len.wrapping_add(line.len());
        if let Some(place) = self.bytes.get_mut(self.len..end) {
            for (to, from) in place.iter_mut().zip(line) {
                *to = *from;
            }
            self.len = end;
        }
    }

    fn flush(&mut self) {
        (self.out)(self.bytes.get(..self.len).unwrap_or(&[]));
        self.len = 0;
    }
}

/// Writes the table to standard error. Neither allocates nor locks.
pub(crate) fn print() {
    print_to(os::write_error);
}

/// Has the table printed when the process exits in good order.
pub(crate) fn show_at_exit() {
    os::keep_error();
    if os::at_exit(at_exit).is_err() {
        report::warn(&[b"no exit function can be registered: no statistics will be shown"]);
    }
}

extern "C" fn at_exit() {
    print_to(os::write_kept_error);
}

fn print_to(out: fn(&[u8])) {
    let mut lines = Lines { bytes: [0; ROOM], len: 0, out };
    let mut title = Line::new();
    title.push_str("ravelin: statistics of process ").push_dec(u64::from(os::process_id()));
    title.push_str(" (").push_str(MITIGATIONS.build_name()).push_str(" build)");
    lines.push(title.end());
    stats().write(&mut |line| lines.push(line));
    lines.flush();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::vec::Vec;

    static WRITTEN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

    #[test]
    fn lines_leave_whole_in_order_and_in_pieces_that_a_pipe_takes_at_once() {
        let mut lines = Lines { bytes: [0; ROOM], len: 0, out: |piece| WRITTEN.lock().unwrap().push(piece.to_vec()) };
        let all: Vec<Vec<u8>> = (0..40_u8).map(|n| [n + 1; 511].to_vec()).collect();
        all.iter().for_each(|line| lines.push(line));
        lines.flush();
        let written = WRITTEN.lock().unwrap();
        assert!(written.iter().all(|piece| piece.len() <= ROOM && piece.len() % 511 == 0));
        assert_eq!(written.concat(), all.concat());
    }
}
