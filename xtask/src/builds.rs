//! The builds of the allocator, as Cargo features say them.
//!
//! Features unify over a workspace, so every build is a cargo call of its own with a target directory of its own.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// A choice of mitigations that has a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Build {
    Fast,
    Hardened,
    Paranoid,
    /// All that the sources have, and the compiler's own checks of overflows and of unsafe operations: for a developer, not for use.
    Debug,
    /// Hardened, and memcheck is told of every block: to run a program under valgrind.
    Valgrind,
}

impl Build {
    /// The builds that the sources have so far.
    pub fn all() -> Result<Vec<Build>> {
        let features = features_of("libravelin")?;
        let paranoid = features.iter().any(|(name, _)| name == "paranoid").then_some(Build::Paranoid);
        Ok([Build::Fast, Build::Hardened].into_iter().chain(paranoid).collect())
    }

    pub fn name(self) -> &'static str {
        match self {
            Build::Fast => "fast",
            Build::Hardened => "hardened",
            Build::Paranoid => "paranoid",
            Build::Debug => "debug",
            Build::Valgrind => "valgrind",
        }
    }

    /// The library's name without its ending: the default build has the plain name.
    pub fn library(self) -> &'static str {
        match self {
            Build::Fast => "libravelin-fast",
            Build::Hardened => "libravelin",
            Build::Paranoid => "libravelin-paranoid",
            Build::Debug => "libravelin-debug",
            Build::Valgrind => "libravelin-valgrind",
        }
    }

    /// Adds the features of this build to a cargo call.
    pub fn select(self, cargo: &mut Command) -> &mut Command {
        match self {
            Build::Fast => cargo.arg("--no-default-features"),
            Build::Hardened => cargo,
            Build::Paranoid => cargo.args(["--features", "paranoid"]),
            Build::Valgrind => cargo.args(["--features", "valgrind"]),
            Build::Debug => {
                cargo.env("CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS", "true");
                cargo.env("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", "true");
                // As long as the sources have no more than the default.
                if Build::all().is_ok_and(|all| all.contains(&Build::Paranoid)) {
                    cargo.args(["--features", "paranoid"]);
                }
                cargo
            }
        }
    }

    /// What the linker copies into programs, and the loader looks for: one number for all versions that a program may be run
    /// with.
    pub fn soname(self) -> Result<String> {
        let version = version()?;
        let major = version.split('.').next().context("a version without numbers")?;
        Ok(format!("{}.so.{major}", self.library()))
    }

    /// Builds the C library in release mode, with link-time optimisation, and says in which folder it lies.
    pub fn compile_library(self) -> Result<PathBuf> {
        let target = shell::target_dir()?.join("dist").join(self.name());
        let mut cargo = shell::cargo();
        cargo.args(["rustc", "--release", "--package", "libravelin", "--lib"]).env("CARGO_TARGET_DIR", &target);
        let name = format!("link-arg=-Wl,-soname,{}", self.soname()?);
        shell::run(self.select(&mut cargo).args(["--", "-C", &name]))?;
        Ok(target.join("release"))
    }
}

/// The version of the C library.
pub fn version() -> Result<String> {
    Ok(package("libravelin")?["version"].as_str().context("a package without a version")?.to_owned())
}

/// What `cargo metadata` says of a package of the workspace.
pub fn package(name: &str) -> Result<&'static serde_json::Value> {
    let packages = shell::metadata()?["packages"].as_array().context("cargo metadata names no packages")?;
    match packages.iter().find(|candidate| candidate["name"] == name) {
        Some(package) => Ok(package),
        None => bail!("the workspace has no package {name}"),
    }
}

/// The features of a package of the workspace, each with what it turns on.
pub fn features_of(name: &str) -> Result<Vec<(String, Vec<String>)>> {
    let package = package(name)?;
    let features = package["features"].as_object().context("a package without features")?;
    let names = |value: &serde_json::Value| {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    Ok(features.iter().map(|(name, turns_on)| (name.clone(), names(turns_on))).collect())
}
