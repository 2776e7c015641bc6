//! The table.

use super::Stats;
use crate::report::Line;
use core::fmt;

impl Stats {
    /// Hands the table to `out` line by line, each with its end.
    pub(super) fn write(&self, out: &mut dyn FnMut(&[u8])) {
        let mut line = Line::new();
        line.push_str("live bytes ").push_dec(self.live_bytes);
        out(line.end());
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.write(&mut |line| {
            result = result.and_then(|()| f.write_str(core::str::from_utf8(line).unwrap_or("")));
        });
        result
    }
}
