//! Who shows the table when: the program when it likes, and the allocator when the process exits.

use super::{process, stats};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting, Source};
use crate::os;
use crate::report::{self, Line};
use crate::sync::{AtomicBool, Relaxed};

/// Lines are put together up to the size that a pipe takes at once, so that the tables of two processes mix rarely.
const ROOM: usize = 4096;

/// Whole lines on their way out.
struct Lines<'a> {
    bytes: [u8; ROOM],
    /// At most [`ROOM`].
    len: usize,
    out: &'a mut dyn FnMut(&[u8]),
}

impl Lines<'_> {
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

/// A form of statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The table that `Display` shows, under a title.
    Table,
    /// As mimalloc prints them.
    Mimalloc,
    /// One object in JSON.
    Json,
}

/// Writes the table to standard error. Neither allocates nor locks.
pub(crate) fn print() {
    write(Form::Table, &mut report::write);
}

/// Hands the statistics to `out` in pieces of whole lines, of at most 4 KiB. Neither allocates nor locks.
pub(crate) fn write(form: Form, out: &mut dyn FnMut(&[u8])) {
    let mut lines = Lines { bytes: [0; ROOM], len: 0, out };
    match form {
        Form::Table => {
            let mut title = Line::new();
            title.push_str("ravelin: statistics of process ").push_dec(u64::from(os::process_id()));
            title.push_str(" (").push_str(MITIGATIONS.build_name()).push_str(" build)");
            lines.push(title.end());
            stats().write(&mut |line| lines.push(line));
        }
        Form::Mimalloc => stats().write_likeness(&process(), &mut |line| lines.push(line)),
        Form::Json => stats().write_json(&mut |line| lines.push(line)),
    }
    lines.flush();
}

static SHOWN_AT_EXIT: AtomicBool = AtomicBool::new(false);

/// Has the statistics written when the process exits in good order, in the form that the options ask for then.
pub(crate) fn show_at_exit() {
    if wanted().is_none() || SHOWN_AT_EXIT.swap(true, Relaxed) {
        return;
    }
    os::keep_error();
    if os::at_exit(at_exit).is_err() {
        report::warn(&[b"no exit function can be registered: no statistics will be shown"]);
    }
}

extern "C" fn at_exit() {
    if let Some(form) = wanted() {
        write(form, &mut report::write_last);
    }
}

/// The form that the options ask for: who speaks mimalloc's language is answered in it, and mimalloc's verbose means
/// statistics too.
fn wanted() -> Option<Form> {
    match options::get(Setting::Stats) {
        1 => return Some(Form::Table),
        2 => return Some(Form::Mimalloc),
        3 => return Some(Form::Json),
        _ => {}
    }
    let asked = |setting| options::get(setting) > 0;
    if asked(Setting::ShowStats) {
        let ours = options::source(Setting::ShowStats) == Source::Environment;
        return Some(if ours { Form::Table } else { Form::Mimalloc });
    }
    let verbose = asked(Setting::Verbose) && options::source(Setting::Verbose) == Source::Mimalloc;
    verbose.then_some(Form::Mimalloc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn lines_leave_whole_in_order_and_in_pieces_that_a_pipe_takes_at_once() {
        let mut written: Vec<Vec<u8>> = Vec::new();
        let mut out = |piece: &[u8]| written.push(piece.to_vec());
        let mut lines = Lines { bytes: [0; ROOM], len: 0, out: &mut out };
        let all: Vec<Vec<u8>> = (0..40_u8).map(|n| [n + 1; 511].to_vec()).collect();
        all.iter().for_each(|line| lines.push(line));
        lines.flush();
        assert!(written.iter().all(|piece| piece.len() <= ROOM && piece.len() % 511 == 0));
        assert_eq!(written.concat(), all.concat());
    }
}
