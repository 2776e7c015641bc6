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
        }
    }

    /// The library's name without its ending: the default build has the plain name.
    pub fn library(self) -> &'static str {
        match self {
            Build::Fast => "libravelin-fast",
            Build::Hardened => "libravelin",
            Build::Paranoid => "libravelin-paranoid",
        }
    }

    /// Adds the features of this build to a cargo call.
    pub fn select(self, cargo: &mut Command) -> &mut Command {
        match self {
            Build::Fast => cargo.arg("--no-default-features"),
            Build::Hardened => cargo,
            Build::Paranoid => cargo.args(["--features", "paranoid"]),
        }
    }

    /// Builds the C library in release mode, with link-time optimisation, and says in which folder it lies.
    pub fn compile_library(self) -> Result<PathBuf> {
        let target = shell::target_dir()?.join("dist").join(self.name());
        let mut cargo = shell::cargo();
        cargo.args(["rustc", "--release", "--package", "libravelin", "--lib"]).env("CARGO_TARGET_DIR", &target);
        // The linker copies this name into programs, so it must be the name of the file that is shipped.
        let name = format!("link-arg=-Wl,-soname,{}.so", self.library());
        shell::run(self.select(&mut cargo).args(["--", "-C", &name]))?;
        Ok(target.join("release"))
    }
}

/// The features of a package of the workspace, each with what it turns on.
pub fn features_of(package: &str) -> Result<Vec<(String, Vec<String>)>> {
    let packages = shell::metadata()?["packages"].as_array().context("cargo metadata names no packages")?;
    let Some(package) = packages.iter().find(|candidate| candidate["name"] == package) else {
        bail!("the workspace has no package {package}");
    };
    let features = package["features"].as_object().context("a package without features")?;
    let names = |value: &serde_json::Value| {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    Ok(features.iter().map(|(name, turns_on)| (name.clone(), names(turns_on))).collect())
}
