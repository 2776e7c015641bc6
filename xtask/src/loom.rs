//! The model checker: every interleaving of the protocols between threads, on the functions that are shipped.

use anyhow::Result;

use crate::shell;

pub fn run() -> Result<()> {
    let mut cargo = shell::cargo_with_flags("loom", "--cfg ravelin_loom")?;
    // Release, for there are many interleavings; without link-time optimisation, for a test gains nothing by it.
    cargo
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false");
    shell::run_tests(cargo.args(["test", "--package", "ravelin", "--release", "--lib"]))
}
