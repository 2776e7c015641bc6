//! What was played, in words: by row for a terminal, by group for a document.

use crate::outcome::Outcome;
use crate::played::Played;
use crate::table::{ROWS, group_title};
use crate::tally::{Tally, good_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What was played, as a table for a terminal.
#[must_use]
pub fn table(played: &[Played], names: &[&str], every_case: bool) -> String {
    let mut text = String::new();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0).max(15) + 1;
    let line = |text: &mut String, head: &str, rest: &str, cells: &[String]| {
        let _ = write!(text, "{head:4} {rest:56}");
        for cell in cells {
            let _ = write!(text, " {cell:width$}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    };
    let head: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    line(&mut text, "", "", &head);
    let mut groups: BTreeMap<&str, Vec<&Played>> = BTreeMap::new();
    played.iter().for_each(|case| groups.entry(&case.row[..1]).or_default().push(case));
    for (group, played) in &groups {
        let _ = writeln!(text, "\n{group}. {}", group_title(group));
        for row in ROWS.iter().filter(|row| row.group() == *group) {
            let of_row: Vec<&&Played> = played.iter().filter(|case| case.row == row.id).collect();
            if of_row.is_empty() {
                continue;
            }
            let cells = by_name(names, |name| {
                Tally::of(of_row.iter().filter(|case| case.under == name).map(|case| **case)).brief()
            });
            let title: String = row.title.chars().take(56).collect();
            line(&mut text, row.id, &title, &cells);
            if every_case {
                let cases: BTreeSet<&str> = of_row.iter().map(|case| case.case.as_str()).collect();
                for name in cases {
                    let cells = by_name(names, |under| {
                        let found = of_row.iter().find(|case| case.case == name && case.under == under);
                        found.map_or_else(String::new, |case| case.outcome.letter().into())
                    });
                    line(&mut text, "", name, &cells);
                }
            }
        }
        let totals = by_name(names, |name| good_of(played.iter().copied().filter(|case| case.under == name)));
        line(&mut text, "", "caught, or correct and gone well", &totals);
    }
    let _ = writeln!(text);
    let totals = by_name(names, |name| good_of(played.iter().filter(|case| case.under == name)));
    line(&mut text, "", "all groups", &totals);
    let harm = by_name(names, |name| {
        Tally::of(played.iter().filter(|case| case.under == name)).count(Outcome::Harmed).to_string()
    });
    line(&mut text, "", "harm seen", &harm);
    let _ = writeln!(text);
    for outcome in Outcome::ALL {
        if played.iter().any(|case| case.outcome == outcome) {
            let _ = writeln!(text, "{:2} {}", outcome.letter(), outcome.meaning());
        }
    }
    text
}

/// Totals by group, in Markdown: misuses caught and correct things gone well, of all that were played.
#[must_use]
pub fn totals(played: &[Played], names: &[&str]) -> String {
    let mut text = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    let groups: BTreeSet<&str> = played.iter().map(|case| case.row.get(..1).unwrap_or_default()).collect();
    let mut line = |head: &str, cell: &dyn Fn(&str) -> String| {
        let _ = writeln!(text, "| {head} | {} |", by_name(names, cell).join(" | "));
    };
    for group in groups {
        let of_group =
            |name: &str| good_of(played.iter().filter(|case| case.under == name && case.row.starts_with(group)));
        line(&format!("{group}. {}", group_title(group)), &of_group);
    }
    line("all", &|name| good_of(played.iter().filter(|case| case.under == name)));
    for outcome in
        [Outcome::Crashed, Outcome::Reported, Outcome::Unnoticed, Outcome::Harmed, Outcome::Hung, Outcome::Wrong]
    {
        let count = |name: &str| Tally::of(played.iter().filter(|case| case.under == name)).count(outcome).to_string();
        line(outcome.meaning(), &count);
    }
    text
}

fn by_name(names: &[&str], cell: impl Fn(&str) -> String) -> Vec<String> {
    names.iter().map(|name| cell(name)).collect()
}
