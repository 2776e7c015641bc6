//! aarch64: a weakly ordered machine, other instructions for thread-local storage, other system call numbers.

use std::process::Command;

use anyhow::Result;

use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// Only check that the engine and the C library compile
    #[arg(long)]
    pub check: bool,
}

pub fn run(args: &Args) -> Result<()> {
    const TARGET: [&str; 2] = ["--target", "aarch64-unknown-linux-gnu"];
    if args.check {
        // valgrind's requests are instructions of the machine's, too.
        for features in [&[][..], &["--features", "valgrind"]] {
            let check = ["check", "--package", "ravelin", "--package", "libravelin"];
            shell::run(shell::cargo().args(check).args(TARGET).args(features))?;
        }
        return Ok(());
    }
    // What differs between machines: the units, how C and C++ are met, and how valgrind is told.
    for tests in [&["--lib"][..], &["--test", "c_face"], &["--lib", "--features", "valgrind"]] {
        shell::run_tests(emulated().args(tests).args(TARGET))?;
    }
    Ok(())
}

fn emulated() -> Command {
    let mut cargo = shell::cargo();
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu");
    cargo.args(["test", "--package", "ravelin"]);
    cargo
}
