//! dist/lib: what a user installs. A `.so` with its version and links to it, a `.o` and a `.a` of every build, each exporting the
//! same list.
//!
//! rustc's own `.a` exports everything that is in it, Rust's `core` too, and would clash with any other Rust static
//! library. So its members are joined into one object whose only global symbols are the listed ones.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::builds::{Build, version};
use crate::{exports, shell};

pub fn run() -> Result<()> {
    for build in Build::all()? {
        make(build)?;
    }
    Ok(())
}

/// Where [`make`] puts the shared library of a build.
pub fn shared_library(build: Build) -> PathBuf {
    lib().join(build.library()).with_extension("so")
}

fn lib() -> PathBuf {
    shell::root().join("dist/lib")
}

/// Builds one library and lays its three forms into dist/lib.
pub fn make(build: Build) -> Result<()> {
    lay(build, &lib())
}

/// The same, into any folder.
pub fn lay(build: Build, lib: &Path) -> Result<()> {
    let built = build.compile_library()?;
    fs::create_dir_all(lib).with_context(|| format!("cannot make {}", lib.display()))?;

    let shared = lib.join(format!("{}.so.{}", build.library(), version()?));
    replace(&built.join("libravelin.so"), &shared)?;
    link(&shared, &lib.join(build.soname()?))?;
    link(&shared, &lib.join(build.library()).with_extension("so"))?;
    exports::check(&lib.join(build.library()).with_extension("so"))?;

    let object = lib.join(build.library()).with_extension("o");
    join_archive(&built.join("libravelin.a"), &object)?;
    exports::check(&object)?;

    let archive = lib.join(build.library()).with_extension("a");
    if archive.exists() {
        fs::remove_file(&archive)?;
    }
    shell::run(shell::command("ar").arg("rcsD").arg(&archive).arg(&object))
}

/// A link beside a file, in place of whatever has its name.
pub fn link(to: &Path, place: &Path) -> Result<()> {
    let name = to.file_name().context("a file without a name")?;
    let fresh = place.with_extension("new");
    let _ = fs::remove_file(&fresh);
    symlink(name, &fresh).with_context(|| format!("cannot link {}", fresh.display()))?;
    fs::rename(&fresh, place).with_context(|| format!("cannot replace {}", place.display()))
}

/// Copies to a new file and renames it into place: a program that has the old one loaded keeps it unharmed.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::rename(&fresh, to).with_context(|| format!("cannot replace {}", to.display()))
}

/// libravelin/README.md tells the same in shell.
fn join_archive(archive: &Path, object: &Path) -> Result<()> {
    let names = exports::intended()?;
    let mut ld = shell::command("ld");
    ld.arg("-r").arg("-o").arg(object);
    // Only the members that the names need.
    for name in &names {
        ld.args(["-u", name]);
    }
    shell::run_quietly(ld.arg(archive))?;

    let mut objcopy = shell::command("objcopy");
    for name in &names {
        objcopy.arg(format!("--keep-global-symbol={name}"));
        // Weak, so that a program may define operators of its own.
        if name.starts_with("_Z") {
            objcopy.arg(format!("--weaken-symbol={name}"));
        }
    }
    shell::run_quietly(objcopy.arg(object))
}
