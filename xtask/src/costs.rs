//! What each mitigation costs by itself: the fast build with one feature more, counted as `cargo xtask instructions` counts, or measured
//! by the benches.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use crate::builds::{Build, features_of};
use crate::instructions::{self, EMPTY, per_round};
use crate::{bench, shell};

/// A selection of its works: pairs of malloc and free, the Rust interface, random sizes among live blocks, what another thread does.
const WORK: [&str; 6] = ["pair-48", "pair-1024", "layout-48", "layouts", "churn", "remote-48"];

/// What adds a function to the allocator, and not a protection.
const NO_MITIGATIONS: [&str; 6] = ["default", "serde", "allocator-api2", "dynamic-tls", "valgrind", "debug"];

#[derive(clap::Args)]
pub struct Args {
    /// CPU time and memory of the benches instead: ten minutes on a machine that does nothing else
    #[arg(long)]
    bench: bool,
}

/// A row of the table: its name, and the features that are added to the fast build.
type Row = (String, String);

/// Prints the table as Markdown.
pub fn run(args: &Args) -> Result<()> {
    if args.bench { benches(&rows()?) } else { instructions(&rows()?) }
}

fn rows() -> Result<Vec<Row>> {
    let named = [Build::Hardened.name(), Build::Paranoid.name()];
    let engine: BTreeSet<String> = features_of("ravelin")?.into_iter().map(|(name, _)| name).collect();
    let offered = features_of("libravelin")?.into_iter().map(|(name, _)| name).filter(|name| engine.contains(name));
    let single = offered.filter(|name| !NO_MITIGATIONS.contains(&name.as_str()) && !named.contains(&name.as_str()));
    let mut rows = vec![("fast".to_owned(), String::new())];
    rows.extend(single.map(|feature| (format!("fast and `{feature}`"), feature)));
    rows.extend(named.map(|name| (name.to_owned(), name.to_owned())));
    Ok(rows)
}

fn instructions(rows: &[Row]) -> Result<()> {
    shell::system_program("valgrind", "valgrind")?;
    println!("| | {} |\n|---|{}", WORK.join(" | "), "---|".repeat(WORK.len()));
    for (name, features) in rows {
        let mut cargo = shell::cargo();
        cargo.args(["build", "--release", "--package", "libravelin", "--example", "pair", "--no-default-features"]);
        shell::run(cargo.args(["--features", features]))?;
        let example = instructions::keep(&format!("costs-{features}"))?;
        let empty = per_round(&example, EMPTY)?;
        print!("| {name} |");
        for work in WORK {
            print!(" {:.0} |", per_round(&example, work)? - empty);
        }
        println!();
    }
    Ok(())
}

/// The benches of a quick run, each library of a row preloaded.
fn benches(rows: &[Row]) -> Result<()> {
    let folder = shell::target_dir()?.join("costs");
    let mut harness = bench::harness()?;
    harness.args(["--quick", "--fresh", "--preloaded", "--peers=mimalloc"]);
    harness.arg(format!("--out={}", shell::root().join("bench/target/results/costs").display()));
    for (name, features) in rows {
        let mut cargo = shell::cargo();
        cargo.args(["rustc", "--release", "--package", "libravelin", "--lib", "--no-default-features", "--features"]);
        shell::run(cargo.arg(features).env("CARGO_TARGET_DIR", &folder))?;
        let kept = folder.join(format!("libravelin-{features}.so"));
        fs::copy(folder.join("release/libravelin.so"), &kept)
            .with_context(|| format!("cannot make {}", kept.display()))?;
        let name = if features.is_empty() { name } else { features };
        harness.arg(format!("--library={name}={}", kept.display()));
    }
    shell::run(&mut harness)
}
