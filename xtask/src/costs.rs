//! What each mitigation costs by itself: the fast build with one feature more, counted as `cargo xtask instructions` counts.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::builds::{Build, features_of};
use crate::instructions::{self, EMPTY, per_round};
use crate::shell;

/// A selection of its works: pairs of malloc and free, the Rust interface, random sizes among live blocks, what another thread does.
const WORK: [&str; 6] = ["pair-48", "pair-1024", "layout-48", "layouts", "churn", "remote-48"];

/// What adds a function to the allocator, and not a protection.
const NO_MITIGATIONS: [&str; 6] = ["default", "serde", "allocator-api2", "dynamic-tls", "valgrind", "debug"];

/// Prints the table as Markdown.
pub fn run() -> Result<()> {
    shell::system_program("valgrind", "valgrind")?;
    let named = [Build::Hardened.name(), Build::Paranoid.name()];
    let engine: BTreeSet<String> = features_of("ravelin")?.into_iter().map(|(name, _)| name).collect();
    let offered = features_of("libravelin")?.into_iter().map(|(name, _)| name).filter(|name| engine.contains(name));
    let single = offered.filter(|name| !NO_MITIGATIONS.contains(&name.as_str()) && !named.contains(&name.as_str()));
    let mut rows = vec![("fast".to_owned(), String::new())];
    rows.extend(single.map(|feature| (format!("fast and `{feature}`"), feature)));
    rows.extend(named.map(|name| (name.to_owned(), name.to_owned())));
    println!("| | {} |\n|---|{}", WORK.join(" | "), "---|".repeat(WORK.len()));
    for (name, features) in rows {
        let mut cargo = shell::cargo();
        cargo.args(["build", "--release", "--package", "libravelin", "--example", "pair", "--no-default-features"]);
        shell::run(cargo.args(["--features", &features]))?;
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
