//! Miri: undefined behaviour, data races and lost provenance, over the mock system.

use anyhow::Result;

use crate::shell;

/// What CI runs: tests whose path holds one of these. Miri is some hundred times slower than the machine.
const SUBSET: [&str; 3] = ["miri", "front::region", "front::share::tests::a_heap_ends"];

#[derive(clap::Args)]
pub struct Args {
    /// All unit tests, each in a process of its own (cargo-nextest, which it installs), not only the subset of CI
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
    // Property tests play so many cases: 256 of them take minutes each.
    cargo.env("PROPTEST_CASES", "8");
    cargo.args(["+nightly", "miri"]);
    let tests = ["--package", "ravelin", "--lib"];
    if args.full {
        install_nextest()?;
        return shell::run(cargo.args(["nextest", "run"]).args(tests).args(&args.filters));
    }
    cargo.arg("test").args(tests).arg("--");
    if args.filters.is_empty() {
        cargo.args(SUBSET);
    } else {
        cargo.args(&args.filters);
    }
    shell::run_tests(&mut cargo)
}

fn install_nextest() -> Result<()> {
    if shell::output(shell::cargo().args(["nextest", "--version"])).is_ok() {
        return Ok(());
    }
    shell::run(shell::cargo().args(["install", "--locked", "cargo-nextest"]))
}
