//! The table and the cases agree. Names and promises only: nothing is played.

use corpus::allocator::{choose, of_the_process};
use corpus::stage::Expect;
use corpus::table::{Column, ROWS};
use std::collections::{BTreeMap, HashSet};

/// Rows whose cases need Ravelin itself, and stand in `tests/columns`.
const WITH_RAVELIN: [&str; 11] = ["B13", "B16", "F11", "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"];

#[test]
fn every_row_is_played_or_says_where_it_is_shown() {
    choose(of_the_process());
    let mut forms: BTreeMap<&str, usize> = BTreeMap::new();
    for case in corpus::cases::all() {
        *forms.entry(case.row().id).or_default() += 1;
    }
    for row in ROWS {
        let elsewhere = row.elsewhere.is_some() || WITH_RAVELIN.contains(&row.id) || row.group() == "I";
        assert!(forms.contains_key(row.id) || elsewhere, "no case of {}: {}", row.id, row.title);
    }
}

#[test]
fn no_two_cases_have_the_same_name() {
    choose(of_the_process());
    let mut names = HashSet::new();
    for case in corpus::cases::all() {
        assert!(names.insert(case.name.clone()), "{} twice", case.name);
    }
}

#[test]
fn a_row_that_promises_death_in_the_call_has_cases_that_promise_it() {
    choose(of_the_process());
    for row in ROWS.iter().filter(|row| row.elsewhere.is_none() && "ABCG".contains(row.group())) {
        for column in Column::ALL {
            if row.promises[column as usize] != "D" {
                continue;
            }
            let cases: Vec<_> = corpus::cases::all().into_iter().filter(|case| case.row().id == row.id).collect();
            let dies = |expect: Expect| matches!(expect, Expect::Dies(_) | Expect::FaultsOrDies(_));
            let promised = cases.iter().filter(|case| dies(case.cell(column).expect)).count();
            let excused = row.id == "A10" || WITH_RAVELIN.contains(&row.id);
            assert!(promised > 0 || excused, "{} in {} promises D, and no case asserts it", row.id, column.name());
        }
    }
}

#[test]
fn security_md_says_of_every_row_what_came_of_it_in_each_build() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md");
    let text = std::fs::read_to_string(file).expect("SECURITY.md");
    for row in ROWS.iter().filter(|row| row.elsewhere.is_none()) {
        let head = format!("\n| {} | {} |", row.id, row.title);
        let cells =
            text.split_once(&head).map(|(_, rest)| rest.lines().next().unwrap_or_default().matches('|').count());
        assert_eq!(cells, Some(Column::ALL.len()), "not as `cargo xtask corpus --document` prints it:{head}");
    }
}
