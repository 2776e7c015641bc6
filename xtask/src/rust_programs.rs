//! Published programs in Rust that use the `mimalloc` crate, built with Ravelin in its place.
//!
//! Cargo is told to take `libravelin/mimalloc-sys` for `libmimalloc-sys`: the programs and the `mimalloc` crate are as they were
//! published. Each does a piece of work whose result is known, and must say that it runs on Ravelin.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::builds::Build;
use crate::{dist, shell, solvespace};

/// What a program, which lies there, is to do.
type Work = fn(&Path) -> Result<()>;

/// Name and version on crates.io, and the work.
const PROGRAMS: [(&str, &str, Work); 3] = [("jaq", "3.1.2", jaq), ("jql", "9.0.3", jql), ("crabz", "0.10.1", crabz)];

pub fn run() -> Result<()> {
    let scratch = shell::target_dir()?.join("rust-programs");
    dist::lay(Build::Hardened, &scratch.join("lib"))?;
    for (name, version, work) in PROGRAMS {
        let program = install(&scratch, name, version)?;
        work(&program).with_context(|| format!("{name} {version}"))?;
        println!("{name} {version} works");
    }
    solvespace::run(&scratch, &scratch.join("lib")).context("SolveSpace")?;
    println!("SolveSpace, of slvs 0.6.0, works");
    Ok(())
}

fn install(scratch: &Path, name: &str, version: &str) -> Result<PathBuf> {
    let stand_in = shell::root().join("libravelin/mimalloc-sys");
    let mut cargo = shell::cargo();
    cargo.args(["install", "--quiet", "--force", name, "--version", version, "--root"]).arg(scratch);
    cargo.arg("--config").arg(format!("patch.crates-io.libmimalloc-sys.path={:?}", stand_in.display().to_string()));
    cargo.env("RAVELIN_LIB_DIR", scratch.join("lib")).env("CARGO_TARGET_DIR", scratch.join("target"));
    shell::run(&mut cargo)?;
    Ok(scratch.join("bin").join(name))
}

/// Runs a program with an input, and gives its output. It must say at its start that it runs on Ravelin.
fn output(program: &Path, arguments: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let mut command = shell::command(program);
    command.args(arguments).env("RAVELIN_VERBOSE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut pipe = child.stdin.take().context("no pipe")?;
    let input = input.to_vec();
    let writer = std::thread::spawn(move || pipe.write_all(&input));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !said.starts_with("ravelin: version ") {
        bail!("{}: {}\n{said}", shell::shown(&command), output.status);
    }
    Ok(output.stdout)
}

/// Many small objects as JSON, and how many.
fn objects() -> (String, usize) {
    let count = 20_000;
    let objects: Vec<String> =
        (0..count).map(|n| format!("{{\"n\":{n},\"name\":\"name {n}\",\"list\":[{n},1,2]}}")).collect();
    (format!("[{}]", objects.join(",")), count)
}

fn expect(found: &[u8], expected: &str) -> Result<()> {
    let found = String::from_utf8_lossy(found);
    if found.trim() != expected {
        bail!("expected {expected}, found {found}");
    }
    Ok(())
}

fn jaq(program: &Path) -> Result<()> {
    let (text, count) = objects();
    let sum: usize = (0..count).sum();
    expect(&output(program, &["map(.n) | add"], text.as_bytes())?, &sum.to_string())?;
    let grouped = output(program, &["-c", "group_by(.n % 3) | map(length)"], text.as_bytes())?;
    expect(&grouped, "[6667,6667,6666]")
}

fn jql(program: &Path) -> Result<()> {
    let (text, count) = objects();
    let last = output(program, &[&format!("[{}]\"name\"", count - 1)], text.as_bytes())?;
    expect(&last, &format!("\"name {}\"", count - 1))
}

fn crabz(program: &Path) -> Result<()> {
    let (text, _) = objects();
    let packed = output(program, &["-p", "2"], text.as_bytes())?;
    if packed.is_empty() || packed.len() > text.len() / 2 {
        bail!("{} bytes became {}", text.len(), packed.len());
    }
    let unpacked = output(program, &["-d"], &packed)?;
    if unpacked != text.as_bytes() {
        bail!("what was packed and unpacked is not the same");
    }
    Ok(())
}
