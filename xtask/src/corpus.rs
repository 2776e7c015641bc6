//! The misuse corpus: each column of its table in a build of its own, compared with what came before of what promises nothing.

use anyhow::Result;

use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// The columns: h (hardened), p (paranoid), g (paranoid, every allocation guarded)
    #[arg(long, value_delimiter = ',', default_value = "h,p,g")]
    columns: Vec<String>,
    /// Add what comes of cells that promise nothing to corpus/recorded.tsv
    #[arg(long)]
    record: bool,
    /// What else the suite is to be told: parts of names, --list, --json, --cases, --html FILE, --slow
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Args {
    /// Some columns, whole.
    pub fn of(columns: &[&str]) -> Self {
        Args { columns: columns.iter().map(|&column| column.to_owned()).collect(), record: false, rest: vec![] }
    }
}

/// What came of cells that promise nothing.
const RECORD: &str = "corpus/recorded.tsv";

pub fn run(args: &Args) -> Result<()> {
    let record = shell::root().join(RECORD);
    let mut failed = Vec::new();
    for column in &args.columns {
        let mut cargo = shell::cargo();
        cargo.args(["test", "--quiet", "--package", "corpus", "--test", "columns"]);
        if column != "h" {
            cargo.args(["--features", "paranoid"]);
        }
        cargo.env("CORPUS_COLUMN", column).args(["--", "--table"]).args(&args.rest);
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
