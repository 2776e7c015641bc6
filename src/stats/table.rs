//! The table.
//!
//! ```text
//!                              now        peak
//! live                    10.0 MiB    12.5 MiB
//! live blocks                10532       20110
//! ..
//! blocks of                  pages      blocks        peak       bytes        peak
//!   48                           3        3710        4095   173.9 KiB   191.9 KiB
//! ```
//!
//! Written line by line into [`Line`]s, so that it can be printed where nothing may be allocated.

use super::Stats;
use crate::report::Line;
use core::fmt;

/// Columns that a row's name takes.
const NAME: usize = 20;
/// Columns of each figure.
const FIGURE: usize = 12;

/// One figure, or the head of its column.
#[derive(Clone, Copy)]
enum Cell {
    Head(&'static str),
    Number(u64),
    Bytes(u64),
}

use Cell::{Bytes, Head, Number};

impl Cell {
    fn write(self, line: &mut Line) {
        match self {
            Head(text) => _ = line.push_str(text),
            Number(number) => _ = line.push_dec(number),
            Bytes(bytes) => push_size(bytes, line),
        }
    }
}

/// A size with one decimal, in the unit that leaves at most four digits before it.
fn push_size(bytes: u64, line: &mut Line) {
    let units = [(40, " TiB"), (30, " GiB"), (20, " MiB"), (10, " KiB")];
    for (shift, unit) in units {
        let whole = bytes >> shift;
        if whole != 0 {
            // The next ten bits are the fraction in 1024ths.
            let tenths = ((bytes >> (shift - 10)) & 1023).wrapping_mul(10) >> 10;
            line.push_dec(whole).push_str(".").push_dec(tenths).push_str(unit);
            return;
        }
    }
    line.push_dec(bytes).push_str(" B");
}

fn pad(line: &mut Line, columns: usize) {
    let spaces = [b' '; NAME];
    line.push_bytes(spaces.get(..columns).unwrap_or(&spaces));
}

/// A line of the table: the name to the left, the figures to the right of their columns.
fn row(out: &mut dyn FnMut(&[u8]), name: impl FnOnce(&mut Line), cells: &[Cell]) {
    let mut line = Line::new();
    name(&mut line);
    let missing = NAME.saturating_sub(line.text().len());
    pad(&mut line, missing);
    for cell in cells {
        let mut figure = Line::new();
        cell.write(&mut figure);
        pad(&mut line, FIGURE.saturating_sub(figure.text().len()));
        line.push_bytes(figure.text());
    }
    out(line.end());
}

fn named(out: &mut dyn FnMut(&[u8]), name: &str, cells: &[Cell]) {
    row(out, |line| _ = line.push_str(name), cells);
}

impl Stats {
    /// Hands the table to `out` line by line, each with its end.
    pub(super) fn write(&self, out: &mut dyn FnMut(&[u8])) {
        self.write_levels(out);
        self.write_counts(out);
        self.write_calls(out);
        self.write_classes(out);
    }

    fn write_levels(&self, out: &mut dyn FnMut(&[u8])) {
        named(out, "", &[Head("now"), Head("peak")]);
        named(out, "live", &[Bytes(self.live_bytes), Bytes(self.peak_live_bytes)]);
        named(out, "live blocks", &[Number(self.live_blocks), Number(self.peak_live_blocks)]);
        named(out, "committed", &[Bytes(self.committed), Bytes(self.peak_committed)]);
        named(out, "reserved", &[Bytes(self.reserved)]);
        named(out, "metadata", &[Bytes(self.metadata)]);
        named(out, "quarantined", &[Bytes(self.quarantined)]);
        named(out, "sampled", &[Bytes(self.sampled.bytes)]);
        named(out, "sampled and freed", &[Bytes(self.sampled.waiting)]);
        named(out, "purged in all", &[Bytes(self.purged)]);
    }

    fn write_counts(&self, out: &mut dyn FnMut(&[u8])) {
        let counts = [
            ("arenas", self.arenas),
            ("segments", self.segments),
            ("pages", self.pages),
            ("full pages", self.full_pages),
            ("abandoned pages", self.abandoned_pages),
            ("cross-thread frees", self.cross_thread_frees),
            ("posted blocks", self.posted_blocks),
            ("sampled blocks", self.sampled.blocks),
            ("sampled in all", self.sampled.made),
            ("guards", self.guards),
            ("guards left out", self.guards_left_out),
            ("left open", self.left_open),
            ("guard maps", self.guard_maps),
            ("threads", self.threads),
            ("forks", self.forks),
        ];
        for (name, count) in counts {
            named(out, name, &[Number(count)]);
        }
    }

    fn write_calls(&self, out: &mut dyn FnMut(&[u8])) {
        let calls = &self.system_calls;
        let kinds = [
            ("  reserve", calls.reserve),
            ("  release", calls.release),
            ("  protect", calls.protect),
            ("  guard", calls.guard),
            ("  unguard", calls.unguard),
            ("  purge", calls.purge),
            ("  renew", calls.renew),
            ("  remap", calls.remap),
            ("  seal", calls.seal),
            ("  advise", calls.advise),
            ("  ask", calls.ask),
            ("  random", calls.random),
            ("  failed", calls.failed),
        ];
        named(out, "system calls", &[Head("in all")]);
        for (name, count) in kinds {
            named(out, name, &[Number(count)]);
        }
    }

    /// The classes that were ever seen in use.
    fn write_classes(&self, out: &mut dyn FnMut(&[u8])) {
        named(out, "blocks of", &[Head("pages"), Head("blocks"), Head("peak"), Head("bytes"), Head("peak")]);
        for class in self.classes.iter().filter(|class| class.pages != 0 || class.peak_blocks != 0) {
            let name = |line: &mut Line| _ = line.push_str("  ").push_dec(class.block_size);
            let cells = [
                Number(class.pages),
                Number(class.blocks),
                Number(class.peak_blocks),
                Bytes(class.bytes),
                Bytes(class.peak_bytes),
            ];
            row(out, name, &cells);
        }
        let large = &self.large;
        let cells = [
            Number(large.blocks),
            Number(large.blocks),
            Number(large.peak_blocks),
            Bytes(large.bytes),
            Bytes(large.peak_bytes),
        ];
        named(out, "  large", &cells);
    }
}

/// The table. Its rows and their names may become more; whoever wants single figures takes the fields.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.write(&mut |line| {
            result = result.and_then(|()| f.write_str(core::str::from_utf8(line).unwrap_or("")));
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Class;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn size(bytes: u64) -> String {
        let mut line = Line::new();
        push_size(bytes, &mut line);
        String::from_utf8(line.text().to_vec()).unwrap()
    }

    #[test]
    fn a_size_is_shown_with_one_decimal_that_is_never_rounded_up() {
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 * 1024 - 1, "1023.9 KiB"),
            (5 << 19, "2.5 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ];
        for (bytes, expected) in sizes {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn every_figure_has_its_row_and_every_column_its_place() {
        let mut stats = crate::stats::stats();
        stats.live_bytes = 3 << 19;
        stats.peak_live_bytes = 3 << 20;
        stats.cross_thread_frees = 4711;
        stats.system_calls.purge = 4712;
        for class in &mut stats.classes {
            class.pages = 0;
            class.peak_blocks = 0;
        }
        let class = Class::of(48).unwrap().index();
        (stats.classes[class].pages, stats.classes[class].blocks, stats.classes[class].bytes) = (2, 100, 4800);
        (stats.classes[class].peak_blocks, stats.classes[class].peak_bytes) = (200, 9600);
        let table = stats.to_string();
        let lines: Vec<&str> = table.lines().collect();
        for line in [
            "live                     1.5 MiB     3.0 MiB",
            "cross-thread frees          4711",
            "  purge                     4712",
            "blocks of                  pages      blocks        peak       bytes        peak",
            "  48                           2         100         200     4.6 KiB     9.3 KiB",
        ] {
            assert!(lines.contains(&line), "{line}\n{table}");
        }
        let names = "live blocks/committed/reserved/metadata/quarantined/purged in all/segments/pages/full pages/abandoned pages/\
            posted blocks/sampled/sampled and freed/sampled blocks/sampled in all/guards/guards left out/left open/guard maps/threads/forks";
        let indented = "reserve/release/protect/guard/unguard/renew/remap/seal/advise/ask/random/failed/large";
        let indented = indented.split('/').map(|name| std::format!("  {name}  "));
        for name in names.split('/').map(|name| std::format!("{name}  ")).chain(indented) {
            assert_eq!(lines.iter().filter(|line| line.starts_with(&name)).count(), 1, "{name}");
        }
        assert!(!table.contains("\n  64 "), "classes that were never used are left out");
    }
}
