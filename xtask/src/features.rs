//! Every mitigation is a feature of its own, so every choice of them must compile and pass the unit tests: each single
//! one and each pair on top of `fast` (cargo-hack's power set), and `hardened` without each one and with each other one.
//!
//! Cargo cannot take a feature out of a set. `hardened` minus one is all its other members, given singly; where another
//! member implies the one that is to go, it must go too.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result};

use crate::builds::features_of;
use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// How many features at once on top of fast
    #[arg(long, default_value_t = 2)]
    pub depth: u32,
    /// Property tests play 16 cases instead of 256, and what is near hardened is compiled only
    #[arg(long)]
    pub quick: bool,
}

/// Features that choose no mitigation. (`allocator-api2`, `dynamic-tls` and `serde` are in the power set too.)
const SETS: [&str; 3] = ["default", "hardened", "paranoid"];

pub fn run(args: &Args) -> Result<()> {
    install_cargo_hack()?;
    let depth = args.depth.to_string();
    let power_set = [
        "hack",
        "test",
        "--package",
        "ravelin",
        "--lib",
        "--feature-powerset",
        "--depth",
        &depth,
        "--exclude-features",
    ];
    let cargo = || -> Result<Command> {
        let mut cargo = shell::cargo();
        cargo.env("CARGO_TARGET_DIR", shell::target_dir()?.join("features"));
        // Some fifty builds, which nobody debugs.
        cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
        if args.quick {
            cargo.env("PROPTEST_CASES", "16");
        }
        Ok(cargo)
    };
    let sets = SETS.join(",");
    shell::run(cargo()?.args(power_set).args([sets.as_str(), "--", "--quiet"]))?;

    for features in near_hardened(&features_of("ravelin")?)? {
        let what: &[&str] = if args.quick { &["check", "--profile", "test"] } else { &["test"] };
        let unit_tests = ["--quiet", "--package", "ravelin", "--lib", "--no-default-features", "--features"];
        shell::run(cargo()?.args(what).args(unit_tests).arg(features.into_iter().collect::<Vec<_>>().join(",")))?;
    }
    Ok(())
}

/// The feature sets one step away from `hardened`.
fn near_hardened(features: &[(String, Vec<String>)]) -> Result<Vec<BTreeSet<String>>> {
    let implied: BTreeMap<&str, &[String]> =
        features.iter().map(|(name, turns_on)| (name.as_str(), turns_on.as_slice())).collect();
    let hardened: BTreeSet<String> =
        implied.get("hardened").context("ravelin has no feature `hardened`")?.iter().cloned().collect();
    let minus = hardened
        .iter()
        .map(|gone| hardened.iter().filter(|kept| !reaches(&implied, kept, gone)).cloned().collect::<BTreeSet<_>>());
    let others = implied.keys().filter(|name| !SETS.contains(name) && !hardened.contains(**name));
    let plus = others.map(|added| hardened.iter().cloned().chain([(*added).to_owned()]).collect());
    Ok(minus.chain(plus).collect())
}

/// Whether turning on `from` turns on `to`.
fn reaches(implied: &BTreeMap<&str, &[String]>, from: &str, to: &str) -> bool {
    from == to || implied.get(from).into_iter().copied().flatten().any(|next| reaches(implied, next, to))
}

fn install_cargo_hack() -> Result<()> {
    if shell::output(shell::cargo().args(["hack", "--version"])).is_ok() {
        return Ok(());
    }
    shell::run(shell::cargo().args(["install", "--locked", "cargo-hack"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_implies_the_feature_that_goes_goes_with_it() {
        let feature = |name: &str, turns_on: &[&str]| {
            (name.to_owned(), turns_on.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        let features = [
            feature("default", &["hardened"]),
            feature("hardened", &["checks", "links", "order"]),
            feature("checks", &[]),
            feature("links", &["checks"]),
            feature("order", &[]),
            feature("canaries", &[]),
        ];
        let sets: Vec<String> = near_hardened(&features)
            .unwrap()
            .into_iter()
            .map(|set| set.into_iter().collect::<Vec<_>>().join(","))
            .collect();
        assert_eq!(sets, ["order", "checks,order", "checks,links", "canaries,checks,links,order"]);
    }
}
