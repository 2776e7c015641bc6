//! What has come of each row before, so that a change is noticed also where nothing is promised.

use crate::run::Played;
use crate::table::{ROWS, position};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What came of each row under each name: how many cases, and which outcomes were ever seen of those with the same promise.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Record(BTreeMap<(String, usize), Recorded>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Recorded {
    cases: usize,
    seen: BTreeMap<String, BTreeSet<String>>,
}

impl Record {
    /// Of a file as [`write`](Record::write) makes it; other lines are left out.
    #[must_use]
    pub fn read(text: &str) -> Record {
        let mut record = Record::default();
        for line in text.lines() {
            let mut words = line.split('\t');
            let (Some(under), Some(row), Some(cases)) = (words.next(), words.next(), words.next()) else { continue };
            let Ok(cases) = cases.parse() else { continue };
            let mut recorded = Recorded { cases, ..Recorded::default() };
            for word in words {
                if let Some((promise, outcomes)) = word.split_once(": ") {
                    let outcomes = outcomes.split(' ').map(str::to_owned).collect();
                    recorded.seen.insert(promise.to_owned(), outcomes);
                }
            }
            record.0.insert((under.to_owned(), position(row)), recorded);
        }
        record
    }

    fn of(played: &[Played]) -> Record {
        let mut record = Record::default();
        for case in played {
            let recorded = record.0.entry((case.under.clone(), position(case.row))).or_default();
            recorded.cases += 1;
            let seen = recorded.seen.entry(case.promise.unwrap_or("-").to_owned()).or_default();
            seen.insert(case.outcome.letter().to_owned());
        }
        record
    }

    /// Adds outcomes that were not seen before, and takes the numbers of cases from here.
    pub fn add(&mut self, played: &[Played]) {
        for (key, new) in Record::of(played).0 {
            let recorded = self.0.entry(key).or_default();
            recorded.cases = new.cases;
            recorded.seen.retain(|promise, _| new.seen.contains_key(promise));
            for (promise, outcomes) in new.seen {
                recorded.seen.entry(promise).or_default().extend(outcomes);
            }
        }
    }

    /// A line for each cell: its name, its row, its number of cases, then `PROMISE: OUTCOMES` for each promise.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = String::from("# What came of each row: `cargo xtask corpus --record` adds to it.\n");
        for ((under, row), recorded) in &self.0 {
            let _ = write!(text, "{under}\t{}\t{}", ROWS[*row].id, recorded.cases);
            for (promise, outcomes) in &recorded.seen {
                let outcomes: Vec<&str> = outcomes.iter().map(String::as_str).collect();
                let _ = write!(text, "\t{promise}: {}", outcomes.join(" "));
            }
            text.push('\n');
        }
        text
    }

    /// What has come of a case that was never seen of its row with that promise.
    #[must_use]
    pub fn surprise(&self, case: &Played) -> Option<String> {
        let (promise, outcome) = (case.promise.unwrap_or("-"), case.outcome);
        let recorded = self.0.get(&(case.under.clone(), position(case.row)))?;
        let is_known = recorded.seen.get(promise).is_some_and(|seen| seen.contains(outcome.letter()));
        (!is_known)
            .then(|| format!("promised {promise}, it came to {outcome:?}, which is not recorded: {}", case.words))
    }

    /// What is not as it is written here. Rows that were not played are not missed: somebody may have filtered.
    #[must_use]
    pub fn differences(&self, played: &[Played]) -> Vec<String> {
        let mut found = Vec::new();
        for ((under, row), new) in Record::of(played).0 {
            let id = ROWS[row].id;
            let Some(old) = self.0.get(&(under.clone(), row)) else {
                found.push(format!("{id} in {under} is not recorded"));
                continue;
            };
            if old.cases != new.cases {
                found.push(format!("{id} in {under} has {} cases, not {}", new.cases, old.cases));
            }
            for (promise, outcomes) in new.seen {
                let known = old.seen.get(&promise).cloned().unwrap_or_default();
                for outcome in outcomes.difference(&known) {
                    let cases: Vec<&str> = played
                        .iter()
                        .filter(|case| case.under == under && case.row == id && case.outcome.letter() == outcome)
                        .map(|case| case.case.as_str())
                        .collect();
                    found.push(format!("{id} in {under}, promised {promise}, came to {outcome}: {}", cases.join(", ")));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    fn played(case: &str, row: &'static str, promise: &'static str, outcome: Outcome) -> Played {
        Played {
            case: case.into(),
            row,
            under: "h".into(),
            promise: Some(promise),
            outcome,
            milliseconds: 1,
            words: String::new(),
            failure: None,
        }
    }

    #[test]
    fn a_record_read_again_is_the_same_and_knows_what_has_changed() {
        let before = [played("a1_x", "A1", "D", Outcome::Died), played("d1_x", "D1", "-", Outcome::Unnoticed)];
        let mut record = Record::default();
        record.add(&before);
        assert_eq!(Record::read(&record.write()), record);
        assert!(record.differences(&before).is_empty());
        let after = [
            played("a1_x", "A1", "D", Outcome::Unnoticed),
            played("d1_x", "D1", "-", Outcome::Unnoticed),
            played("d1_y", "D1", "-", Outcome::Unnoticed),
            played("b1_x", "B1", "D", Outcome::Died),
        ];
        let differences = record.differences(&after);
        assert_eq!(
            differences,
            ["A1 in h, promised D, came to N: a1_x", "B1 in h is not recorded", "D1 in h has 2 cases, not 1"]
        );
        let surprises = after.iter().filter_map(|case| record.surprise(case));
        assert_eq!(surprises.count(), 1, "a row that is not recorded surprises nobody");
        record.add(&after);
        assert!(record.differences(&after).is_empty() && record.write().contains("h\tA1\t1\tD: D N\n"));
    }
}
