//! A platform that is not supported: the first thing its user reads is what is, and what to do.

use anyhow::{Result, ensure};

use crate::shell;

const TARGET: &str = "x86_64-pc-windows-gnu";
const WORDS: &str =
    "error: ravelin has no backend for this target: it runs on Linux (glibc or musl) on x86-64 and aarch64.";

pub fn run() -> Result<()> {
    let output = shell::cargo().args(["check", "--quiet", "--package", "ravelin", "--target", TARGET]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let first = errors.lines().find(|line| line.starts_with("error")).unwrap_or_default();
    ensure!(!output.status.success(), "it compiles for {TARGET}");
    ensure!(first.starts_with(WORDS), "the first error for {TARGET} is: {first}");
    println!("{first}");
    Ok(())
}
