//! Statistics as mimalloc prints them, for scripts that read those.
//!
//! ```text
//! heap stats:     peak       total       freed     current        unit       count
//!   reserved:     1.0 GiB     1.0 GiB     0           1.0 GiB
//!  committed:     4.3 MiB     4.5 MiB   256.0 KiB     4.3 MiB
//! ..
//!    process: user: 2.146 s, system: 0.008 s, faults: 0, rss: 14.4 MiB, commit: 4.3 MiB
//! ```
//!
//! | row | what stands there |
//! |---|---|
//! | reserved, committed, purged | as in [`Stats`]; total is what is there and what was given back |
//! | touched | as committed: what the program has touched of it is not known |
//! | segments, pages, abandoned pages, threads | how many there are; those that are gone are not counted |
//! | mmaps, commits, purges | system calls to reserve, to protect, to give back (guards do, too) |
//! | the rest | 0: there is no such thing here |

use super::{Process, Stats};
use crate::report::Line;

/// Columns of a row's name, and of a figure.
const NAME: usize = 10;
const FIGURE: usize = 12;
/// What stands behind the figures where mimalloc has a unit and a count, or its verdict behind them.
const BEHIND: &str = "                          ";

/// How a figure is counted.
#[derive(Clone, Copy)]
enum Unit {
    Bytes,
    One,
}

use Unit::{Bytes, One};

/// A number with its unit as mimalloc writes it: one decimal in units of 1024, and room for the unit where there is none.
fn amount(number: u64, unit: Unit) -> Line {
    let units = [(40, " TiB"), (30, " GiB"), (20, " MiB"), (10, " KiB")];
    let mut figure = Line::new();
    if matches!(unit, Bytes) {
        for (shift, name) in units {
            let whole = number >> shift;
            if whole != 0 {
                let tenths = ((number >> (shift - 10)) & 1023).wrapping_mul(10) >> 10;
                figure.push_dec(whole).push_str(".").push_dec(tenths).push_str(name);
                return figure;
            }
        }
    }
    figure.push_dec(number).push_str(if matches!(unit, Bytes) && number != 0 { "   B  " } else { "      " });
    figure
}

fn push_right(line: &mut Line, columns: usize, text: &[u8]) {
    for _ in text.len()..columns {
        line.push_str(" ");
    }
    line.push_bytes(text);
}

fn begin(name: &str) -> Line {
    let mut line = Line::new();
    push_right(&mut line, NAME, name.as_bytes());
    line.push_str(":");
    line
}

/// A row of peak, total, freed and current.
fn levels(out: &mut dyn FnMut(&[u8]), name: &str, unit: Unit, figures: [u64; 4], verdict: &str) {
    let mut line = begin(name);
    for figure in figures {
        push_right(&mut line, FIGURE, amount(figure, unit).text());
    }
    line.push_str(BEHIND).push_str(verdict);
    out(line.end());
}

fn count(out: &mut dyn FnMut(&[u8]), name: &str, unit: Unit, figure: u64) {
    let mut line = begin(name);
    push_right(&mut line, FIGURE, amount(figure, unit).text());
    out(line.end());
}

/// How many there are, of what does not count those that are gone.
fn present(out: &mut dyn FnMut(&[u8]), name: &str, now: u64) {
    levels(out, name, One, [now, now, 0, now], if now == 0 { "ok" } else { "not all freed" });
}

fn push_seconds(line: &mut Line, milliseconds: u64) {
    line.push_dec(milliseconds / 1000).push_str(".");
    let rest = milliseconds % 1000;
    line.push_dec(rest / 100).push_dec(rest / 10 % 10).push_dec(rest % 10).push_str(" s");
}

impl Stats {
    /// Hands the lines to `out` one by one, each with its end.
    pub(super) fn write_likeness(&self, process: &Process, out: &mut dyn FnMut(&[u8])) {
        let all = self.committed.saturating_add(self.purged);
        let memory = [self.peak_committed, all, self.purged, self.committed];
        out(b"heap stats:     peak       total       freed     current        unit       count   \n");
        levels(out, "reserved", Bytes, [self.reserved, self.reserved, 0, self.reserved], "");
        levels(out, "committed", Bytes, memory, "");
        count(out, "reset", Bytes, 0);
        count(out, "purged", Bytes, self.purged);
        levels(out, "touched", Bytes, memory, if self.committed == 0 { "ok" } else { "not all freed" });
        present(out, "segments", self.segments);
        present(out, "-abandoned", 0);
        present(out, "-cached", 0);
        present(out, "pages", self.pages);
        present(out, "-abandoned", self.abandoned_pages);
        for name in ["-extended", "-noretire", "arenas", "-crossover", "-rollback"] {
            count(out, name, One, if name == "arenas" { self.arenas } else { 0 });
        }
        count(out, "mmaps", One, self.system_calls.reserve);
        count(out, "commits", One, self.system_calls.protect);
        count(out, "resets", One, 0);
        count(out, "purges", One, self.system_calls.purge.saturating_add(self.system_calls.guard));
        // mimalloc does not count the main thread.
        present(out, "threads", self.threads.saturating_sub(1));
        out(b"  searches:     0.0 avg\n");
        out(b"numa nodes:     1\n");
        write_process(process, out);
    }
}

fn write_process(process: &Process, out: &mut dyn FnMut(&[u8])) {
    let mut line = begin("elapsed");
    line.push_str("     ");
    push_seconds(&mut line, process.elapsed);
    out(line.end());
    let mut line = begin("process");
    line.push_str(" user: ");
    push_seconds(&mut line, process.user);
    line.push_str(", system: ");
    push_seconds(&mut line, process.system);
    line.push_str(", faults: ").push_dec(process.major_faults);
    line.push_str(", rss: ").push_bytes(amount(process.peak_resident, Bytes).text());
    line.push_str(", commit: ").push_bytes(amount(process.peak_committed, Bytes).text());
    out(line.end());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn text(number: u64, unit: Unit) -> String {
        String::from_utf8(amount(number, unit).text().to_vec()).unwrap()
    }

    #[test]
    fn amounts_have_one_decimal_and_room_for_a_unit() {
        assert_eq!(text(0, Bytes), "0      ");
        assert_eq!(text(512, Bytes), "512   B  ");
        assert_eq!(text(1536, Bytes), "1.5 KiB");
        assert_eq!(text(1 << 30, Bytes), "1.0 GiB");
        assert_eq!(text(5000, One), "5000      ");
    }

    #[test]
    fn every_row_stands_in_its_place_with_its_figures_in_their_columns() {
        let mut rows: Vec<String> = Vec::new();
        let stats = super::super::stats();
        stats.write_likeness(&super::super::process(), &mut |line| {
            rows.push(String::from_utf8(line.to_vec()).unwrap());
        });
        let names: Vec<&str> = rows.iter().map(|row| row.split(':').next().unwrap()).collect();
        assert_eq!(
            names.concat(),
            "heap stats  reserved committed     reset    purged   touched  segments-abandoned   -cached     pages\
             -abandoned -extended -noretire    arenas-crossover -rollback     mmaps   commits    resets    purges\
             \x20  threads  searchesnuma nodes   elapsed   process"
        );
        let reserved = &rows[1];
        assert_eq!(&reserved[11..23], &reserved[23..35]);
        assert_eq!((&reserved[35..47], &reserved[59..]), ("     0      ", "                          \n"));
        assert!(rows[6].ends_with("                          not all freed\n") || stats.segments == 0, "{rows:?}");
        assert!(rows[24].starts_with("   process: user: ") && rows[24].contains(" s, faults: "), "{rows:?}");
    }
}
