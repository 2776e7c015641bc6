//! How many instructions the steady paths take: exact where a clock on a shared machine is not, and so a gate.
//!
//! `libravelin/examples/pair.rs` does one kind of work a given number of times inside one function, and callgrind counts inside
//! that function only, each call by itself. Two calls, of N and of 2N rounds, differ by N rounds and nothing else: first
//! use, slow paths that are taken once, the call itself. What the empty loop costs is taken off.
//!
//! The counts that a build has been brought down to are kept in a file. More than that fails; less should be recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::builds::Build;
use crate::{seccomp, shell};

/// The function of the example that is counted.
const MEASURED: &str = "ravelin_measured";
const ROUNDS: u64 = 20_000;
pub const EMPTY: &str = "empty";

/// What the example can do, and what a round of it is.
const WORK: [(&str, &str); 14] = [
    ("pair-16", "malloc(16) and free, none other live"),
    ("pair-48", "malloc(48) and free, none other live"),
    ("among-48", "malloc(48) and free among 1000 live"),
    ("pair-1024", "malloc(1024) and free, none other live"),
    ("pair-20000", "malloc(20000) and free, none other live"),
    ("layout-48", "GlobalAlloc: alloc and dealloc of 48 bytes"),
    ("layouts", "GlobalAlloc: 5 to 1024 bytes, aligned to 1 to 64"),
    ("remote-48", "free of another thread's 48-byte block"),
    ("zeroed-48", "calloc(48) and free"),
    ("aligned-48", "48 bytes aligned to 64, and free"),
    ("stack-48", "malloc(48) and free, 500 at a time, last first"),
    ("queue-48", "malloc(48) and free, 500 at a time, first first"),
    ("churn", "malloc of 16 to 1024 bytes and free, 1000 live"),
    ("grow", "realloc from 16 bytes to 4 KiB by doubling"),
];

/// The recorded counts: a line for each work, a column for each build.
const BASELINE: &str = "xtask/instructions.txt";
/// How far above the recorded count a build may be: chance moves some by a little.
const TOLERANCE: f64 = 1.02;

#[derive(clap::Args, Default)]
pub struct Args {
    /// Write the counts into xtask/instructions.txt; a count that rises needs its reason in the commit
    #[arg(long)]
    record: bool,
}

/// What CI does.
pub fn check() -> Result<()> {
    run(&Args::default())
}

type Counts = BTreeMap<(String, String), f64>;

pub fn run(args: &Args) -> Result<()> {
    shell::system_program("valgrind", "valgrind")?;
    let builds = Build::all()?;
    let mut counts = Counts::new();
    for build in &builds {
        for (work, count) in counted(&example(*build)?)? {
            counts.insert((work, build.name().to_owned()), count);
        }
    }
    let names: Vec<&str> = builds.iter().map(|build| build.name()).collect();
    let count = |work: &str, build: &str| counts.get(&(work.to_owned(), build.to_owned())).copied().unwrap_or(f64::NAN);
    print!("{:48}", "instructions of");
    names.iter().for_each(|name| print!(" {name:>9}"));
    println!();
    for (work, meaning) in WORK {
        print!("{meaning:48}");
        names.iter().for_each(|name| print!(" {:>9.1}", count(work, name)));
        println!();
    }
    if args.record {
        // The most of three: what chance can make of it is not to fail later.
        for ((work, build), count) in &mut counts {
            for _ in 0..2 {
                *count = count.max(again(work, build)?);
            }
        }
        return record(&counts, &names);
    }
    let recorded = recorded()?;
    // Where chance has a hand (random order, which page is full) a count may be high a few times, but not each time.
    for ((work, build), count) in &mut counts {
        let limit = recorded.get(&(work.clone(), build.clone())).copied().unwrap_or(f64::INFINITY) * TOLERANCE;
        for _ in 0..4 {
            if *count > limit {
                *count = count.min(again(work, build)?);
            }
        }
    }
    compare(&counts, &recorded)
}

/// Counts once more what was counted before.
fn again(work: &str, build: &str) -> Result<f64> {
    let example = shell::target_dir()?.join(format!("release/examples/pair-{build}"));
    Ok(per_round(&example, work)? - per_round(&example, EMPTY)?)
}

/// Fails if a count is above the recorded one, and says which have become smaller.
fn compare(counts: &Counts, recorded: &Counts) -> Result<()> {
    let mut above = Vec::new();
    let mut below = false;
    for ((work, build), count) in counts {
        let Some(limit) = recorded.get(&(work.clone(), build.clone())) else {
            bail!("{BASELINE} has no {work} of {build}: cargo xtask instructions --record");
        };
        if *count > limit * TOLERANCE {
            above.push(format!("{work} of {build}: {count:.1}, recorded {limit:.1}"));
        }
        below |= *count < limit / TOLERANCE;
    }
    if below {
        println!("some counts are lower than recorded: keep them by cargo xtask instructions --record");
    }
    ensure!(above.is_empty(), "more instructions than {BASELINE} has: {}", above.join("; "));
    Ok(())
}

fn recorded() -> Result<Counts> {
    let text = fs::read_to_string(shell::root().join(BASELINE)).context(BASELINE)?;
    parse(&text)
}

fn parse(text: &str) -> Result<Counts> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#')).map(str::split_whitespace);
    let builds: Vec<&str> = lines.next().context("no head line")?.skip(1).collect();
    let mut counts = Counts::new();
    for mut line in lines {
        let work = line.next().context("an empty line")?;
        for (build, count) in builds.iter().zip(line) {
            counts.insert(
                (work.to_owned(), (*build).to_owned()),
                count.parse().with_context(|| format!("not a count: {count}"))?,
            );
        }
    }
    Ok(counts)
}

fn record(counts: &Counts, builds: &[&str]) -> Result<()> {
    let mut text = String::from(
        "# Instructions a round, by cargo xtask instructions --record. More than 2 % above fails: a count may rise only in a\n\
         # commit that says why.\n",
    );
    text += &format!("{:12}", "work");
    builds.iter().for_each(|build| text += &format!(" {build:>9}"));
    for (work, _) in WORK {
        text += &format!("\n{work:12}");
        for build in builds {
            let count = counts.get(&(work.to_owned(), (*build).to_owned())).context("a count is missing")?;
            text += &format!(" {count:>9.1}");
        }
    }
    text.push('\n');
    fs::write(shell::root().join(BASELINE), text).context(BASELINE)
}

/// Builds the example against the engine, as a Rust program is, and sets it aside: the next build replaces it.
fn example(build: Build) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--package", "libravelin", "--example", "pair"]);
    shell::run(build.select(&mut cargo))?;
    keep(build.name())
}

/// Sets the example that was built last aside under this name.
pub fn keep(name: &str) -> Result<PathBuf> {
    let examples = shell::target_dir()?.join("release/examples");
    let kept = examples.join(format!("pair-{name}"));
    fs::copy(examples.join("pair"), &kept).with_context(|| format!("cannot make {}", kept.display()))?;
    Ok(kept)
}

/// The instructions of a round of each kind of work, each in a process of its own: what one leaves behind would change
/// the paths of the next.
fn counted(example: &Path) -> Result<Vec<(String, f64)>> {
    let empty = per_round(example, EMPTY)?;
    WORK.iter().map(|(name, _)| Ok(((*name).to_owned(), per_round(example, name)? - empty))).collect()
}

pub fn per_round(example: &Path, work: &str) -> Result<f64> {
    let [once, twice] = counts(example, work)?;
    Ok((twice - once) as f64 / ROUNDS as f64)
}

/// What N rounds and then 2N rounds have cost.
fn counts(example: &Path, work: &str) -> Result<[i64; 2]> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("counts");
    // The example calls the engine itself, so valgrind has no malloc to replace. Guards that are no mappings of their
    // own are refused: valgrind knows nothing of them and reads into them.
    let callgrind = [
        "valgrind".to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
        format!("--toggle-collect={MEASURED}"),
        format!("--dump-after={MEASURED}"),
        example.to_str().context("a path that is not UTF-8")?.to_owned(),
    ];
    let calls = [work.to_owned(), ROUNDS.to_string(), work.to_owned(), (2 * ROUNDS).to_string()];
    let words: Vec<&str> = callgrind.iter().chain(&calls).map(String::as_str).collect();
    let mut valgrind = seccomp::wrapped("guards", "einval", &words)?;
    let output = valgrind.output().context("cannot start valgrind")?;
    let log = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {log}", shell::shown(&valgrind));
    let total = |number: &str| {
        let text = fs::read_to_string(out.with_extension(number)).context("callgrind has written nothing")?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        total.and_then(|total| total.trim().parse().ok()).with_context(|| format!("callgrind counted nothing: {log}"))
    };
    Ok([total("1")?, total("2")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_may_fall_but_not_rise_by_more_than_the_tolerance() {
        let recorded = parse("# why\nwork fast hardened\npair-16 20.0 40.0\n").unwrap();
        let with = |fast| {
            let mut counts = recorded.clone();
            counts.insert(("pair-16".to_owned(), "fast".to_owned()), fast);
            compare(&counts, &recorded)
        };
        assert!(with(20.3).is_ok() && with(10.0).is_ok());
        assert!(with(20.5).is_err());
        let unknown = Counts::from([(("pair-16".to_owned(), "paranoid".to_owned()), 1.0)]);
        assert!(compare(&unknown, &recorded).is_err(), "what is not recorded is not compared in silence");
    }
}
