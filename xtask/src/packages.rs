//! The tests of the interface in C and C++, built and run against what is installed, as a user would.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::builds::Build;
use crate::{example, install, shell};

/// How a program finds the default build: `FORM` of `libravelin/tests/CMakeLists.txt`.
const FORMS: [&str; 6] = ["shared", "static", "object", "mimalloc", "mimalloc-static", "pkg-config"];
/// How it finds the others.
const FORMS_OF_OTHERS: [&str; 2] = ["shared", "static"];
/// Which has every defence, as paranoid has, and differs by what the compiler adds.
const FORMS_OF_DEBUG: [&str; 1] = ["shared"];

pub fn run() -> Result<()> {
    let scratch = shell::target_dir()?.join("packages");
    // What is no longer installed must not be found.
    if scratch.exists() {
        fs::remove_dir_all(&scratch).with_context(|| format!("cannot empty {}", scratch.display()))?;
    }
    let prefix = scratch.join("prefix");
    let mut builds = Build::all()?;
    // The first one is what `ravelin` and `mimalloc` without a suffix are.
    builds.sort_by_key(|build| *build != Build::Hardened);
    builds.push(Build::Debug);
    install::run(&install::Args::everything(prefix.clone(), &builds))?;
    for build in builds {
        let forms = match build {
            Build::Hardened => &FORMS[..],
            Build::Debug => &FORMS_OF_DEBUG,
            _ => &FORMS_OF_OTHERS,
        };
        for form in forms {
            test(&scratch, &prefix, build, form)?;
        }
    }
    example::holds(&prefix, &scratch.join("example"))
}

fn test(scratch: &Path, prefix: &Path, build: Build, form: &str) -> Result<()> {
    let folder = scratch.join(format!("{}-{form}", build.name()));
    let suffix = build.library().trim_start_matches("libravelin");
    let mut configure = shell::command("cmake");
    configure.arg("-S").arg("libravelin/tests").arg("-B").arg(&folder);
    configure.args([format!("-DFORM={form}"), format!("-DSUFFIX={suffix}")]);
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    configure.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    shell::run_quietly(&mut configure)?;
    shell::run_quietly(shell::command("cmake").arg("--build").arg(&folder).args(["--parallel", "2"]))?;
    let mut tests = shell::command("ctest");
    shell::run(tests.arg("--test-dir").arg(&folder).args(["--output-on-failure", "--no-tests=error"]))
}
