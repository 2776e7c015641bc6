//! Producers, consumers and forks for as long as is wanted: no report, and memory stays level.

use anyhow::Result;

use crate::builds::Build;
use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// How long
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// The build: fast, hardened or paranoid
    #[arg(long, default_value = "hardened")]
    pub build: Build,
}

pub fn run(args: &Args) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.args(["test", "--release", "--package", "ravelin", "--test", "soak"]);
    args.build.select(&mut cargo).env("SOAK_SECONDS", ((args.minutes * 60.0) as u64).to_string());
    shell::run(cargo.args(["--", "--nocapture"]))
}
