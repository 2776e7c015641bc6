//! The fuzz targets, each for some minutes, two at a time, and how many executions they came to.
//!
//! Without sanitizers, which bring allocators of their own; and so a stable toolchain will do.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::builds::Build;
use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// How many minutes each target is to run
    #[arg(long, default_value_t = 10.0)]
    pub minutes: f64,
    /// The builds of the allocator that are fuzzed
    #[arg(long, value_delimiter = ',', default_value = "fast,hardened,paranoid")]
    builds: Vec<Build>,
    /// No input is longer than so many bytes: a few dozen calls are 128; without, inputs grow for as long as longer ones reach more
    #[arg(long, value_name = "BYTES")]
    longest: Option<u32>,
    /// Only the targets whose name holds this
    target: Option<String>,
}

impl Args {
    pub fn of(minutes: f64, builds: Vec<Build>) -> Self {
        Args { minutes, builds, longest: None, target: None }
    }
}

const TARGETS: [&str; 3] = ["sequences", "misuses", "options"];
/// The machine's cores are few, and each target is a thread or two.
const AT_ONCE: usize = 2;

pub fn run(args: &Args) -> Result<()> {
    install_cargo_fuzz()?;
    let there = Build::all()?;
    let mut work = Vec::new();
    for &build in args.builds.iter().filter(|build| there.contains(build)) {
        let programs = compile(build)?;
        let wanted = |target: &&str| args.target.as_ref().is_none_or(|part| target.contains(part.as_str()));
        work.extend(TARGETS.into_iter().filter(wanted).map(|target| (build, target, programs.join(target))));
    }
    let mut in_all = 0;
    for some in work.chunks(AT_ONCE) {
        let running: Vec<_> = some
            .iter()
            .map(|(build, target, program)| Ok((*build, *target, start(*build, target, program, args)?)))
            .collect::<Result<_>>()?;
        for (build, target, child) in running {
            let executions = finish(build, target, child)?;
            println!("{target:12} {:10} {executions:>12} executions", build.name());
            in_all += executions;
        }
    }
    println!("{in_all} executions in all, and nothing found");
    if args.target.is_none() { run_users_example((args.minutes * 60.0) as u64) } else { Ok(()) }
}

/// The example of a user's project: its planted bug is found, and without the bug nothing is.
fn run_users_example(seconds: u64) -> Result<()> {
    install_cargo_fuzz()?;
    let log = users_fuzzer(&["--features", "planted"], 60)?;
    let report = log.lines().find(|line| line.starts_with("ravelin: buffer overflow"));
    println!("planted: {}", report.with_context(|| format!("the planted bug was not found:\n{log}"))?);
    let log = users_fuzzer(&[], seconds)?;
    ensure!(log.contains("Done "), "the mended example does not come through:\n{log}");
    println!("mended: {}", log.lines().rfind(|line| line.starts_with("Done ")).unwrap_or_default());
    Ok(())
}

/// What the fuzzer of the example says. The command is the one that its README gives.
fn users_fuzzer(features: &[&str], seconds: u64) -> Result<String> {
    let artifacts = tempfile::tempdir()?;
    let mut cargo = shell::cargo();
    cargo.args(["fuzz", "run", "--sanitizer", "none"]).args(features).arg("decode").arg(artifacts.path());
    cargo.current_dir(shell::root().join("examples/parser")).env("RAVELIN_SAMPLED_GUARDS", "1");
    cargo.arg("--target-dir").arg(shell::target_dir()?.join("fuzz/parser"));
    cargo.args(["--", &format!("-max_total_time={seconds}")]);
    cargo.arg(format!("-artifact_prefix={}/", artifacts.path().display()));
    let output = cargo.output().context("cargo cannot be started")?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn install_cargo_fuzz() -> Result<()> {
    let there = Command::new("cargo").args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    shell::run(shell::cargo().args(["install", "--locked", "--quiet", "cargo-fuzz"]))
}

/// Builds all targets, and says where they lie. A build has a directory of its own.
fn compile(build: Build) -> Result<std::path::PathBuf> {
    let target = shell::target_dir()?.join("fuzz").join(build.name());
    let mut cargo = shell::cargo();
    // What is compared with what tells the fuzzer nothing: two targets take their input apart into calls, one has a dictionary. To
    // trace it takes half of the time.
    cargo.args(["fuzz", "build", "--sanitizer", "none", "--no-trace-compares"]).current_dir(shell::root().join("fuzz"));
    cargo.arg("--target-dir").arg(&target);
    shell::run(build.select(&mut cargo))?;
    let host = shell::output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    Ok(target.join(host.trim()).join("release"))
}

fn start(build: Build, target: &str, program: &Path, args: &Args) -> Result<Child> {
    let fuzz = shell::root().join("fuzz");
    let corpus = fuzz.join("corpus").join(target);
    let artifacts = fuzz.join("artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let log = fs::File::create(fuzz.join(format!("artifacts/{target}-{}.log", build.name())))?;
    let mut command = Command::new(program);
    command.arg(corpus).arg(fuzz.join("seeds").join(target));
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    command.arg(format!("-max_total_time={}", (args.minutes * 60.0) as u64));
    let words = fuzz.join(format!("{target}.dict"));
    command.args(words.exists().then(|| format!("-dict={}", words.display())));
    command.args(args.longest.map(|bytes| format!("-max_len={bytes}")));
    // With huge pages more than half of the time goes into clearing them: one build has them, to see what they change.
    if build != Build::Fast {
        command.env("RAVELIN_HUGE_PAGES", "0");
    }
    command.args(["-print_final_stats=1", "-timeout=60", "-rss_limit_mb=4096"]);
    // The parent's reports are the fuzzer's findings: no core of them.
    command.stdout(Stdio::null()).stderr(log).spawn().with_context(|| format!("cannot start {}", program.display()))
}

fn finish(build: Build, target: &str, mut child: Child) -> Result<u64> {
    let status = child.wait()?;
    let log = shell::root().join(format!("fuzz/artifacts/{target}-{}.log", build.name()));
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    if !status.success() {
        let lines: Vec<&str> = text.lines().collect();
        let told = lines.iter().position(|line| line.contains("panicked")).unwrap_or(lines.len().saturating_sub(40));
        let end = lines.iter().skip(told).take(40).copied().collect::<Vec<_>>().join("\n");
        bail!("{target} ({}) found something: {status}\n{end}", build.name());
    }
    let count = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    count.context("no count of executions")?.trim().parse().context("a count is a number")
}
