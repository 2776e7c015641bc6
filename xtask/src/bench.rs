//! The benchmark harness of `bench/`: packages of their own, for peers compile C and C++ and link libraries that exclude
//! each other. This task builds our libraries and calls it.

use std::process::Command;

use anyhow::Result;

use crate::builds::Build;
use crate::{dist, shell};

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// What the harness understands; --help tells
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// What CI does: the harness is in form, its figures are right, and it runs one shape on the baseline and on ours.
pub fn smoke() -> Result<()> {
    for package in ["driver", "shapes", "service"] {
        let manifest = format!("bench/{package}/Cargo.toml");
        shell::run(shell::cargo().args(["fmt", "--check", "--manifest-path", &manifest]))?;
    }
    let mut tests = shell::cargo();
    tests.args(["test", "--release", "--quiet", "--manifest-path", "bench/driver/Cargo.toml", "--target-dir"]);
    shell::run_tests(tests.arg(shell::root().join("bench/target")))?;
    run(&Args { arguments: vec!["--smoke".to_owned(), "--fresh".to_owned()] })
}

pub fn run(args: &Args) -> Result<()> {
    let mut harness = harness()?;
    let only_told = args.arguments.iter().any(|argument| ["--list", "--help", "-h"].contains(&argument.as_str()));
    if !only_told {
        for build in Build::all()? {
            dist::make(build)?;
            harness.arg(format!("--ours={}={}", build.name(), dist::shared_library(build).display()));
        }
    }
    shell::run(harness.args(&args.arguments))
}

/// The harness, compiled; what it is to do is still to be said.
pub fn harness() -> Result<Command> {
    let target = shell::root().join("bench/target");
    let cargo = |command: &str| {
        let mut cargo = shell::cargo();
        cargo.args([command, "--release", "--quiet", "--manifest-path", "bench/driver/Cargo.toml", "--target-dir"]);
        cargo.arg(&target);
        cargo
    };
    // The driver starts another program of its package, which `run` alone does not build.
    shell::run(cargo("build").arg("--bins"))?;
    let mut harness = cargo("run");
    harness.arg("--");
    Ok(harness)
}
