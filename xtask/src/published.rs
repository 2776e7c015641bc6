//! Sources as crates.io has them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell;

/// Has cargo fetch a crate, by way of a package in `folder` that wants it, and says where its sources lie.
pub fn sources([name, version]: [&str; 2], folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let manifest = folder.join("Cargo.toml");
    fs::write(folder.join("lib.rs"), "")?;
    let text = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n\
         [dependencies]\n{name} = \"={version}\"\n"
    );
    fs::write(&manifest, text)?;
    let said =
        shell::output(shell::cargo().args(["metadata", "--format-version", "1", "--manifest-path"]).arg(&manifest))?;
    let metadata: serde_json::Value = serde_json::from_str(&said)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let package = packages.iter().find(|package| package["name"] == name).context("the crate was not fetched")?;
    let manifest = Path::new(package["manifest_path"].as_str().context("a package without a place")?);
    Ok(manifest.parent().context("a manifest without a folder")?.to_owned())
}
