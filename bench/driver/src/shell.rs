//! Folders and commands.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The folder `bench`.
pub fn bench_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where everything is built and measured.
pub fn work_dir() -> PathBuf {
    bench_dir().join("target")
}

/// Runs a command, and shows what it said only if it fails.
pub fn quietly(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().collect();
        bail!("{command:?}: {}\n{}", output.status, lines[lines.len().saturating_sub(20)..].join("\n"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A number that is another one when the file's bytes are.
pub fn fingerprint(file: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    std::fs::read(file).unwrap_or_default().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Finds a program where the distribution puts it, before what else is on the PATH.
///
/// # Errors
/// Names the package to install when there is none.
pub fn program(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["/usr/bin", "/usr/sbin", "/bin"]
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("no `{name}` on this system: apt-get install {package}"))
}

/// Cargo for a package of `bench`, with the one target folder that they share.
pub fn cargo(manifest: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        cargo.env_remove(variable);
    }
    cargo.current_dir(manifest.parent().unwrap_or(Path::new("."))).env("CARGO_TARGET_DIR", work_dir());
    cargo
}
