//! The misuse corpus: each column of its table in a build of its own, compared with what came before of what promises nothing.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// The columns: h (hardened), p (paranoid), g (paranoid, every allocation guarded)
    #[arg(long, value_delimiter = ',', default_value = "h,p,g")]
    columns: Vec<String>,
    /// Add what comes of cells that promise nothing to corpus/recorded.tsv
    #[arg(long)]
    record: bool,
    /// Play what takes seconds too
    #[arg(long)]
    slow: bool,
    /// Print what came of each row in these columns as one table in Markdown, for SECURITY.md
    #[arg(long)]
    document: bool,
    /// What else the suite is to be told: parts of names, --list, --json, --cases, --html FILE
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Args {
    /// Some columns, whole, and what takes seconds too.
    pub fn of(columns: &[&str]) -> Self {
        Args {
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            record: false,
            slow: true,
            document: false,
            rest: vec![],
        }
    }
}

/// What came of cells that promise nothing.
const RECORD: &str = "corpus/recorded.tsv";
const SLOW: &str = "--slow";

pub fn run(args: &Args) -> Result<()> {
    if args.document {
        return document(args);
    }
    let record = shell::root().join(RECORD);
    let mut failed = Vec::new();
    for column in &args.columns {
        let mut cargo = suite(column);
        cargo.args(args.slow.then_some(SLOW)).args(&args.rest);
        if args.record {
            cargo.arg("--record").arg(&record);
        } else if args.rest.is_empty() && record.exists() {
            cargo.arg("--check").arg(&record);
        }
        // Each column is seen, whatever came of the one before.
        if let Err(error) = shell::run(&mut cargo) {
            failed.push(format!("{column}: {error:#}"));
        }
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join("; "));
    Ok(())
}

/// The suite in the build of this column, as a program with arguments.
fn suite(column: &str) -> Command {
    let mut cargo = shell::cargo();
    cargo.args(["test", "--quiet", "--package", "corpus", "--test", "columns"]);
    if column != "h" {
        cargo.args(["--features", "paranoid"]);
    }
    cargo.env("CORPUS_COLUMN", column).args(["--", "--table"]);
    cargo
}

/// Rows in their order, each with its title and what came of it in each column, such as `D80 N4`.
fn document(args: &Args) -> Result<()> {
    let columns = &args.columns;
    let said = |column: &str, words: &[&str]| -> Result<Vec<Value>> {
        let text = shell::output(suite(column).args(words).args(&args.rest))?;
        serde_json::from_str(&text).context("not what the suite prints with --json")
    };
    let word = |value: &Value, name| value[name].as_str().unwrap_or_default().to_owned();
    let mut rows: Vec<(String, String)> = Vec::new();
    for case in said("h", &[SLOW, "--list", "--json"])? {
        let row = (word(&case, "row"), word(&case, "title"));
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let mut cells: BTreeMap<(String, usize), BTreeMap<String, usize>> = BTreeMap::new();
    for (at, column) in columns.iter().enumerate() {
        for case in said(column, &[SLOW, "--json"])? {
            let outcomes = cells.entry((word(&case, "row"), at)).or_default();
            *outcomes.entry(word(&case, "outcome")).or_default() += 1;
        }
    }
    println!("| | | {} |\n|---|---|{}", columns.join(" | "), "---|".repeat(columns.len()));
    for (row, title) in rows {
        let cell = |at| {
            let outcomes = cells.get(&(row.clone(), at)).into_iter().flatten();
            let played = outcomes.filter(|(outcome, _)| *outcome != "?");
            played.map(|(outcome, count)| format!("{outcome}{count}")).collect::<Vec<_>>().join(" ")
        };
        let cells: Vec<String> = (0..columns.len()).map(cell).collect();
        println!("| {row} | {title} | {} |", cells.join(" | "));
    }
    Ok(())
}
