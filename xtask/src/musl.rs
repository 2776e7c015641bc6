//! musl instead of glibc, linked statically.

use anyhow::Result;

use crate::shell;

pub fn run() -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.env("CARGO_TARGET_DIR", shell::target_dir()?.join("musl"));
    shell::run_tests(cargo.args(["test", "--package", "ravelin", "--lib", "--target", "x86_64-unknown-linux-musl"]))
}
