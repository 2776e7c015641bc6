//! aarch64: a weakly ordered machine, other instructions for thread-local storage, other system call numbers.

use anyhow::Result;

use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// Compile the tests and do not run them
    #[arg(long)]
    pub no_run: bool,
}

pub fn run(args: &Args) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu");
    cargo.args(["test", "--package", "ravelin", "--lib", "--target", "aarch64-unknown-linux-gnu"]);
    if args.no_run {
        cargo.arg("--no-run");
    }
    shell::run(&mut cargo)
}
