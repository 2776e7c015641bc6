//! The mock operating system, natively: memory from std, protections as bookkeeping, and failures on demand.

use anyhow::Result;

use crate::builds::Build;
use crate::shell;

pub fn run() -> Result<()> {
    for build in Build::all()? {
        let mut cargo = shell::cargo_with_flags("mock", "--cfg ravelin_mock")?;
        shell::run_tests(build.select(cargo.args(["test", "--package", "ravelin", "--lib"])))?;
    }
    Ok(())
}
