//! Miri: undefined behaviour, data races and lost provenance, over the mock system.

use anyhow::Result;

use crate::shell;

/// What CI runs: tests whose path holds one of these. Miri is some hundred times slower than the machine.
const SUBSET: [&str; 3] = ["miri", "front::region", "front::share::tests::a_heap_ends"];

#[derive(clap::Args)]
pub struct Args {
    /// All unit tests, not only the subset of CI
    #[arg(long)]
    pub full: bool,
    /// Tests whose path holds one of these, instead of the subset
    pub filters: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.env("CARGO_TARGET_DIR", shell::target_dir()?.join("miri"));
    // Isolation is off because the mock asks the host for time and randomness.
    cargo.env("MIRIFLAGS", "-Zmiri-strict-provenance -Zmiri-disable-isolation");
    cargo.args(["+nightly", "miri", "test", "--package", "ravelin", "--lib", "--"]);
    if !args.filters.is_empty() {
        cargo.args(&args.filters);
    } else if !args.full {
        cargo.args(SUBSET);
    }
    shell::run_tests(&mut cargo)
}
