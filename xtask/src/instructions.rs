//! How many instructions the steady paths take: exact where a clock on a shared machine is not.
//!
//! `libravelin/examples/pair.rs` does one kind of work a given number of times inside one function, and callgrind counts inside
//! that function only. Two counts, of N and of 2N rounds, differ by N rounds and nothing else: first use, slow paths
//! that are taken once, the call itself. What the empty loop costs is taken off.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::builds::Build;
use crate::{seccomp, shell};

/// The function of the example that is counted.
const MEASURED: &str = "ravelin_measured";
const ROUNDS: u64 = 20_000;

/// What the example can do, and what a round of it is.
const WORK: [(&str, &str); 5] = [
    ("pair-16", "malloc(16) and free"),
    ("pair-48", "malloc(48) and free"),
    ("pair-1024", "malloc(1024) and free"),
    ("layout-48", "GlobalAlloc: alloc and dealloc of 48 bytes"),
    ("remote-48", "free of another thread's 48-byte block"),
];

pub fn run() -> Result<()> {
    shell::system_program("valgrind", "valgrind")?;
    let builds = [Build::Fast, Build::Hardened, Build::Paranoid];
    let examples = builds.iter().map(|build| example(*build)).collect::<Result<Vec<_>>>()?;
    print!("{:44}", "instructions of");
    builds.iter().for_each(|build| print!(" {:>8}", build.name()));
    println!();
    for (work, meaning) in WORK {
        print!("{meaning:44}");
        for example in &examples {
            print!(" {:>8.1}", per_round(example, work)?);
        }
        println!();
    }
    Ok(())
}

/// Builds the example against the engine, as a Rust program is, and sets it aside: the next build replaces it.
fn example(build: Build) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--package", "libravelin", "--example", "pair"]);
    shell::run(build.select(&mut cargo))?;
    let examples = shell::target_dir()?.join("release/examples");
    let kept = examples.join(format!("pair-{}", build.name()));
    fs::copy(examples.join("pair"), &kept).with_context(|| format!("cannot make {}", kept.display()))?;
    Ok(kept)
}

fn per_round(example: &Path, work: &str) -> Result<f64> {
    let steady = |work| Ok::<_, anyhow::Error>(count(example, work, 2 * ROUNDS)? - count(example, work, ROUNDS)?);
    let rounds = (steady(work)? - steady("empty")?) as f64 / ROUNDS as f64;
    Ok(rounds)
}

fn count(example: &Path, work: &str, rounds: u64) -> Result<i64> {
    // The example calls the engine itself, so valgrind has no malloc to replace. Guards that are no mappings of their
    // own are refused: valgrind knows nothing of them and reads into them.
    let (toggle, rounds) = (format!("--toggle-collect={MEASURED}"), rounds.to_string());
    let example = example.to_str().context("a path that is not UTF-8")?;
    let callgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", &toggle];
    let mut valgrind = seccomp::wrapped("guards", "einval", &[&callgrind[..], &[example, work, &rounds]].concat())?;
    let output = valgrind.output().context("cannot start valgrind")?;
    let log = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{} failed: {log}", shell::shown(&valgrind));
    let collected = log.lines().find_map(|line| line.split_once("Collected :")).map(|(_, count)| count.trim());
    collected.and_then(|count| count.parse().ok()).with_context(|| format!("callgrind counted nothing: {log}"))
}
