//! The benchmark harness of `bench/`: packages of their own, for peers compile C and C++ and link libraries that exclude
//! each other. This task builds our libraries and calls it.

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

pub fn run(args: &Args) -> Result<()> {
    let mut harness = shell::cargo();
    harness.args(["run", "--release", "--quiet", "--manifest-path", "bench/driver/Cargo.toml", "--target-dir"]);
    harness.arg(shell::root().join("bench/target")).arg("--");
    let only_told = args.arguments.iter().any(|argument| ["--list", "--help", "-h"].contains(&argument.as_str()));
    if !only_told {
        for build in Build::all()? {
            dist::make(build)?;
            harness.arg(format!("--ours={}={}", build.name(), dist::shared_library(build).display()));
        }
    }
    shell::run(harness.args(&args.arguments))
}
