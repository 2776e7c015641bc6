//! What the library exports: the list in libravelin/exports.txt, held against what `nm` finds in a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;

/// One name a line; `#` starts a comment.
pub fn list_file() -> PathBuf {
    shell::root().join("libravelin/exports.txt")
}

pub fn intended() -> Result<BTreeSet<String>> {
    let path = list_file();
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let names = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// The names that other files can link to: the dynamic table of a `.so`, the global symbols of a `.o` or `.a`.
pub fn found(file: &Path) -> Result<BTreeSet<String>> {
    let mut nm = shell::command("nm");
    nm.args(["--defined-only", "--extern-only", "--format=posix"]);
    if file.extension().is_some_and(|extension| extension == "so") {
        nm.arg("--dynamic");
    }
    let text = shell::output(nm.arg(file))?;
    // `name type value size`; an archive also has a header line `file.a[member.o]:` for each member.
    let symbols = text.lines().filter(|line| line.split_whitespace().count() >= 2);
    Ok(symbols.filter_map(|line| line.split_whitespace().next()).map(strip_version).collect())
}

fn strip_version(name: &str) -> String {
    name.split('@').next().unwrap_or_default().to_owned()
}

/// # Errors
/// If the file exports anything but the list, the whole list, and nothing else.
pub fn check(file: &Path) -> Result<()> {
    let (intended, found) = (intended()?, found(file)?);
    let missing: Vec<_> = intended.difference(&found).map(String::as_str).collect();
    let surplus: Vec<_> = found.difference(&intended).map(String::as_str).collect();
    if missing.is_empty() && surplus.is_empty() {
        println!("{}: {} symbols, as listed", file.display(), found.len());
        return Ok(());
    }
    bail!(
        "{} does not export what libravelin/exports.txt lists; missing: [{}]; not listed: [{}]",
        file.display(),
        missing.join(" "),
        surplus.join(" ")
    )
}
