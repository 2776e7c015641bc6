//! The mock operating system, natively: memory from std, protections as bookkeeping, and failures on demand.

use anyhow::Result;

use crate::shell;

pub fn run() -> Result<()> {
    let mut cargo = shell::cargo_with_flags("mock", "--cfg ravelin_mock")?;
    shell::run_tests(cargo.args(["test", "--package", "ravelin", "--lib"]))
}
