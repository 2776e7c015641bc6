//! SolveSpace's solver: a published program in C++ that allocates from a heap of mimalloc's and destroys it with all that is in it.
//!
//! The crate `slvs` has its sources, with mimalloc's beside them, and tests that solve sketches through it. In a copy, mimalloc's
//! sources are emptied and our header takes the place of its own; all else is as it was published. It does not link unless Ravelin
//! has the functions of heaps.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::{published, shell};

/// The crate and its version.
const SOURCE: [&str; 2] = ["slvs", "0.6.0"];
/// What must be seen of its tests.
const PASSED: &str = "test result: ok. 64 passed; 0 failed";

/// Builds it with the archive in `lib` and runs its tests.
pub fn run(scratch: &Path, lib: &Path) -> Result<()> {
    let copy = scratch.join("solvespace");
    let _ = fs::remove_dir_all(&copy);
    let source = published::sources(SOURCE, &scratch.join("fetch-solvespace"))?;
    shell::run(shell::command("cp").arg("-r").args([&source, &copy]))?;
    take_mimalloc_out(&copy.join("solvespace/extlib/mimalloc"))?;
    // A workspace of its own, for it lies in ours.
    let manifest = copy.join("Cargo.toml");
    let text = fs::read_to_string(&manifest)?;
    fs::write(&manifest, text + "\n[workspace]\n")?;

    let mut tests = shell::cargo();
    tests.current_dir(&copy).args(["test", "--locked", "--quiet", "--lib"]);
    tests.env("CARGO_TARGET_DIR", scratch.join("target")).env("RAVELIN_VERBOSE", "1");
    tests.env("RUSTFLAGS", format!("-C link-arg={}", lib.join("libravelin.a").display()));
    println!("$ {}", shell::shown(&tests));
    let output = tests.output()?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success() && said.contains(PASSED), "{said}\n{errors}");
    ensure!(errors.contains("ravelin: version "), "it does not run on Ravelin: {errors}");
    Ok(())
}

fn take_mimalloc_out(mimalloc: &Path) -> Result<()> {
    for entry in fs::read_dir(mimalloc.join("src")).context("mimalloc's sources are not where they were")? {
        fs::write(entry?.path(), "")?;
    }
    let include = mimalloc.join("include");
    fs::remove_dir_all(&include)?;
    fs::create_dir(&include)?;
    fs::copy(shell::root().join("libravelin/include/mimalloc.h"), include.join("mimalloc.h"))?;
    Ok(())
}
