//! Every promise of SECURITY.md has the names of what shows it beside it, and all of them exist.
//!
//! In a column `shown by` there are, in backquotes: `FILE::NAME`, a test of that file; `corpus::NAME`, cases of the corpus (their names
//! begin with it); a file; and command lines of `cargo xtask TASK` and `cargo test`.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test, and a panic is how it fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// The last cell of each row of the tables whose last column is `shown by`, after the row itself.
fn shown(text: &str) -> Vec<(&str, &str)> {
    let mut within = false;
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
            within = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        if last == "shown by" {
            within = true;
        } else if within && last != "---" {
            found.push((line, last));
        }
    }
    found
}

/// What stands in backquotes.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn exists(root: &Path, name: &str) -> bool {
    if let Some(task) = name.strip_prefix("cargo xtask ") {
        let task = task.split(' ').next().unwrap_or_default().replace('-', "");
        let tasks = fs::read_to_string(root.join("xtask/src/main.rs")).expect("the tasks").to_lowercase();
        let listed = tasks.split_once("enum task {").and_then(|(_, rest)| rest.split_once("\n}"));
        let listed = listed.expect("a list of tasks").0;
        return listed.lines().map(str::trim).any(|line| {
            line.strip_prefix(task.as_str()).is_some_and(|rest| rest.starts_with(',') || rest.starts_with('('))
        });
    }
    if name.starts_with("cargo test ") {
        return true;
    }
    match name.rsplit_once("::") {
        Some(("corpus", case)) => {
            let mut files = Vec::new();
            rust_files(&root.join("corpus/src/cases"), &mut files);
            rust_files(&root.join("corpus/tests/columns"), &mut files);
            let quoted = format!("\"{case}");
            files.iter().any(|file| fs::read_to_string(file).expect("a source").contains(&quoted))
        }
        Some((file, test)) => fs::read_to_string(root.join(file)).is_ok_and(|source| is_test(&source, test)),
        None => root.join(name).exists(),
    }
}

/// Whether a function of this name is a test: of its attributes, which stand above it, one says so.
fn is_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let Some((before, _)) = source.split_once(&head) else { return false };
    let mut attributes = before.trim_end().lines().rev().map(str::trim).take_while(|line| line.starts_with("#["));
    attributes.any(|line| line == "#[test]")
}

#[test]
#[cfg_attr(miri, ignore = "reads the sources")]
fn what_shows_a_promise_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let rows = shown(&text);
    assert!(rows.len() > 20, "the tables are gone: {rows:?}");
    for (row, cell) in rows {
        let names = names(cell);
        assert!(!names.is_empty(), "nothing shows this: {row}");
        for name in names {
            assert!(exists(root, name), "`{name}` does not exist, and is to show this: {row}");
        }
    }
}

/// The words of every kind of report, from the function that has them.
fn kinds(source: &str) -> Vec<&str> {
    let within = source.split_once("pub const fn as_str").expect("a function of words").1;
    let end = within.find("\n    }\n").expect("its end");
    within[..end].lines().filter_map(|line| line.split_once(" => \"")?.1.strip_suffix("\",")).collect()
}

#[test]
#[cfg_attr(miri, ignore = "reads the sources")]
fn the_rule_for_alerts_finds_every_kind_of_report_and_nothing_else() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).expect("SECURITY.md");
    let rule = text.lines().find_map(|line| line.strip_prefix("^ravelin: (")?.strip_suffix(')')).expect("a rule");
    let words: Vec<&str> = rule.split('|').collect();
    let finds = |line: &str| words.iter().any(|word| line.starts_with(word));
    let source = fs::read_to_string(root.join("src/report/kind.rs")).expect("the kinds");
    let kinds = kinds(&source);
    assert!(kinds.len() >= 18, "{kinds:?}");
    let constants = fs::read_to_string(root.join("testing/src/words.rs")).expect("the words");
    for kind in &kinds {
        assert!(constants.contains(&format!("= \"{kind}\";")), "ravelin-testing has no constant of `{kind}`");
        assert!(finds(kind), "the rule does not find `{kind}`");
        assert!(text.contains(&format!("\n| `{kind}` |")), "SECURITY.md does not list `{kind}`");
    }
    for word in &words {
        assert!(kinds.iter().any(|kind| kind.starts_with(word)), "no report says `{word}`");
    }
    for other in ["warning: `RAVELIN_X` is no option", "version 0.1.0, hardened build", "statistics of process 1"] {
        assert!(!finds(other), "{other}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "reads the sources")]
fn the_words_of_every_report_are_listed() {
    let read = |file: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a text");
    let (source, listed) = (read("src/report/kind.rs"), read("SECURITY.md"));
    let arms = source.lines().filter_map(|line| line.trim().strip_prefix("Kind::")?.split_once(" => \""));
    let words: Vec<&str> = arms.filter_map(|(_, rest)| rest.strip_suffix("\",")).collect();
    assert!(words.len() >= 18, "{words:?}");
    for word in words {
        assert!(listed.contains(&format!("| `{word}` | ")), "SECURITY.md does not tell of `{word}`");
    }
}

/// Each build tests its own column.
#[test]
#[cfg_attr(miri, ignore = "reads the sources")]
fn the_table_of_builds_is_what_they_have() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    let text = fs::read_to_string(file).expect("SECURITY.md");
    let (_, table) = text.split_once("| mitigation | fast | hardened | paranoid |\n").expect("a table of builds");
    let rows: Vec<Vec<&str>> =
        table.lines().map_while(|line| Some(line.strip_prefix('|')?.split('|').collect())).collect();
    let build = ravelin::MITIGATIONS.build_name();
    let Some(column) = ["fast", "hardened", "paranoid"].iter().position(|name| *name == build) else { return };
    for (name, in_force) in ravelin::MITIGATIONS.list() {
        let row = rows.iter().find(|row| names(row[0]).first() == Some(&name));
        let row = row.unwrap_or_else(|| panic!("SECURITY.md does not list `{name}`"));
        assert_eq!(row[1 + column].trim() == "x", in_force, "`{name}` in the {build} build");
    }
}

#[test]
fn what_does_not_exist_is_noticed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["tests/promises.rs::no_such_test", "corpus::a99_", "cargo xtask no-such-task", "tests/none.rs"] {
        assert!(!exists(root, name), "{name}");
    }
    let table = "| promise | shown by |\n|---|---|\n| 1 | `one`, `two` |\n\n| 2 | `three` |";
    let found: Vec<_> = shown(table).into_iter().flat_map(|(_, cell)| names(cell)).collect();
    assert_eq!(found, ["one", "two"]);
}
