//! What has come of each row before, so that a change is noticed also where nothing is promised.

use crate::outcome::Outcome;
use crate::played::Played;
use crate::table::{ROWS, position};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Of each row's cells that promise nothing, by the allocator or column: how many there are, and what was ever seen of them.
/// What is promised is asserted by itself, and may come out in several ways that are all as good.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record(BTreeMap<(String, usize), Open>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Open {
    cases: usize,
    seen: BTreeSet<String>,
}

fn is_open(case: &Played) -> bool {
    case.promise.is_none_or(|promise| promise == "-")
}

impl Record {
    /// Of a file as [`write`](Record::write) makes it; other lines are left out.
    #[must_use]
    pub fn read(text: &str) -> Record {
        let cells = text.lines().filter_map(|line| {
            let mut words = line.split('\t');
            let (under, row, cases, seen) = (words.next()?, words.next()?, words.next()?, words.next()?);
            let open = Open { cases: cases.parse().ok()?, seen: seen.split(' ').map(str::to_owned).collect() };
            Some(((under.to_owned(), position(row)), open))
        });
        Record(cells.collect())
    }

    fn of(played: &[Played]) -> Record {
        let mut record = Record::default();
        for case in played.iter().filter(|case| is_open(case)) {
            let open = record.0.entry((case.under.clone(), position(case.row))).or_default();
            open.cases += 1;
            if case.outcome != Outcome::Skipped {
                open.seen.insert(case.outcome.letter().to_owned());
            }
        }
        record
    }

    /// Adds outcomes that were not seen before, and takes the numbers of cases from here.
    pub fn add(&mut self, played: &[Played]) {
        for (key, new) in Record::of(played).0 {
            let open = self.0.entry(key).or_default();
            open.cases = new.cases;
            open.seen.extend(new.seen);
        }
    }

    /// A line for each cell: its column, its row, its number of open cases, and what was seen.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text =
            String::from("# What came of cells that promise nothing: `cargo xtask corpus --record` adds to it.\n");
        for ((under, row), open) in &self.0 {
            let seen: Vec<&str> = open.seen.iter().map(String::as_str).collect();
            let _ = writeln!(text, "{under}\t{}\t{}\t{}", ROWS[*row].id, open.cases, seen.join(" "));
        }
        text
    }

    /// What has come of a case that promises nothing and was never seen of its row.
    #[must_use]
    pub fn surprise(&self, case: &Played) -> Option<String> {
        let open = self.0.get(&(case.under.clone(), position(case.row)));
        // What could not be played to its end says nothing.
        let is_known = !is_open(case)
            || case.outcome == Outcome::Skipped
            || open.is_some_and(|open| open.seen.contains(case.outcome.letter()));
        let told =
            || format!("{} in {} came to {}, which is not recorded", case.row, case.under, case.outcome.letter());
        (!is_known).then(|| format!("{}: {}, {}", told(), case.case, case.words))
    }

    /// What is not as it is written here. Rows that were not played are not missed: somebody may have filtered.
    #[must_use]
    pub fn differences(&self, played: &[Played]) -> Vec<String> {
        let mut found: Vec<String> = played.iter().filter_map(|case| self.surprise(case)).collect();
        for ((under, row), new) in Record::of(played).0 {
            let old = self.0.get(&(under.clone(), row)).map_or(0, |open| open.cases);
            if old != new.cases {
                found.push(format!("{} in {under} has {} open cases, not {old}", ROWS[row].id, new.cases));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_read_again_is_the_same_and_knows_what_has_changed() {
        let before =
            [Played::example("a1_x", "A1", "D", Outcome::Died), Played::example("d1_x", "D1", "-", Outcome::Unnoticed)];
        let mut record = Record::default();
        record.add(&before);
        assert_eq!(record.write().lines().last(), Some("h\tD1\t1\tN"));
        assert_eq!(Record::read(&record.write()), record);
        assert!(record.differences(&before).is_empty());
        let after = [
            Played::example("a1_x", "A1", "D", Outcome::Faulted),
            Played::example("d1_x", "D1", "-", Outcome::Unnoticed),
            Played::example("d1_y", "D1", "-", Outcome::Harmed),
            Played::example("d1_z", "D1", "-", Outcome::Skipped),
        ];
        assert_eq!(
            record.differences(&after),
            ["D1 in h came to X, which is not recorded: d1_y, ", "D1 in h has 3 open cases, not 1"]
        );
        record.add(&after);
        assert!(record.differences(&after).is_empty() && record.write().contains("h\tD1\t3\tN X\n"));
    }
}
