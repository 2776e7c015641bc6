//! Everything at CI size: what must pass before a change is taken.
//!
//! Cheap checks first, so that a slip shows early; but every step runs, so that one run shows all that is wrong.

use std::process::Command;

use anyhow::Result;

use crate::builds::Build;
use crate::real_programs::{self, Size};
use crate::steps::Steps;
use crate::{
    aarch64, bench, corpus, dist, features, fuzz, instructions, loom, memcheck, mimalloc_tests, miri, mock, musl,
    packages, panics, release, seccomp, shell, unsupported,
};

#[derive(clap::Args)]
pub struct Args {
    /// Only the steps whose name holds one of these
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let mut steps = Steps::default();
    if !args.only.is_empty() {
        for (name, work) in STEPS {
            if args.only.iter().any(|wanted| name.contains(wanted.as_str())) {
                steps.step(name, work);
            }
        }
        return steps.finish();
    }
    let beside = Steps::beside(&BESIDE);
    for (name, work) in STEPS.iter().filter(|(name, _)| !BESIDE.contains(name)) {
        steps.step(name, work);
    }
    steps.join(beside)?;
    steps.finish()
}

/// Steps that keep one processor busy for long, in target directories of their own: they run beside the others.
const BESIDE: [&str; 6] = ["features", "loom", "miri", "fuzz", "mock", "musl"];

pub type Step = (&'static str, fn() -> Result<()>);

pub const STEPS: &[Step] = &[
    ("format", format),
    ("clippy", clippy),
    ("docs", docs),
    ("tests, hardened", tests_hardened),
    ("tests, fast", tests_fast),
    ("tests, paranoid", tests_paranoid),
    ("tests, allocators", tests_allocators),
    ("corpus, paranoid and guarded", || corpus::run(&corpus::Args::of(&["p", "g"]))),
    ("tests, refused system calls", tests_on_older_kernel),
    ("mock", mock::run),
    ("features", || features::run(&features::Args { depth: 1, quick: true })),
    ("loom", loom::run),
    ("miri", || miri::run(&miri::Args { full: false, filters: vec![] })),
    ("musl", musl::run),
    ("aarch64 compiles", || aarch64::run(&aarch64::Args { check: true })),
    ("unsupported platforms", unsupported::run),
    ("dist", dist::run),
    ("packages", packages::run),
    ("mimalloc's tests", mimalloc_tests::run),
    ("memcheck", || memcheck::run(&memcheck::Args { all: false })),
    ("no panics", panics::run),
    ("release", release::run),
    // A minute of each target.
    ("fuzz", || fuzz::run(&fuzz::Args::of(0.5, vec![Build::Hardened, Build::Paranoid]))),
    ("instructions", instructions::check),
    ("bench, smoke", bench::smoke),
    ("real programs", || real_programs::run(&real_programs::Args::of(Size::Quick))),
];

pub fn format() -> Result<()> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
}

/// Twice: the allocator's sources by the lints of Cargo.toml; then everything, where tests, examples and tasks may
/// panic and index, and need no documentation.
///
/// What Cargo.toml leaves at warn stays a warning.
pub fn clippy() -> Result<()> {
    /// A test may be written as it reads best: what is only a matter of style stays a warning.
    const DENY_IN_TESTS: [&str; 6] = ["-D", "clippy::correctness", "-D", "clippy::suspicious", "-D", "unused"];
    const DENY: [&str; 5] = ["-D", "clippy::all", "-D", "unused", "-Dunexpected_cfgs"];
    // The C library apart: features unify over a call, and its no_std does not bear the std ones of the others' dependencies.
    for package in [["--package", "ravelin"], ["--package", "libravelin"]] {
        shell::run(shell::cargo().arg("clippy").args(package).arg("--").args(DENY))?;
        for build in [["--no-default-features"].as_slice(), &["--features", "paranoid"]] {
            shell::run(shell::cargo().arg("clippy").args(package).args(build).arg("--").args(DENY))?;
        }
    }
    for packages in [&["--workspace", "--exclude", "libravelin"][..], &["--package", "libravelin"]] {
        let mut everything = shell::cargo();
        everything.arg("clippy").args(packages).args(["--all-targets", "--"]).args(DENY_IN_TESTS);
        for lint in ["unwrap_used", "panic", "indexing_slicing", "std_instead_of_core", "multiple_unsafe_ops_per_block"]
        {
            everything.arg(format!("-Aclippy::{lint}"));
        }
        shell::run(everything.args(["-Amissing_docs", "-Aclippy::arithmetic_side_effects"]))?;
    }
    Ok(())
}

/// The essays lie in private modules, and their links must hold too.
pub fn docs() -> Result<()> {
    let doc = ["doc", "--workspace", "--no-deps"];
    shell::run(shell::cargo().env("RUSTDOCFLAGS", "-D warnings").args(doc))?;
    shell::run(shell::cargo().env("RUSTDOCFLAGS", "-D warnings").args(doc).arg("--document-private-items"))
}

/// The README's own command.
const TEST: [&str; 3] = ["test", "--workspace", "--no-fail-fast"];
/// For when the tasks' own tests have run already.
const TEST_ALLOCATOR: [&str; 5] = ["test", "--workspace", "--no-fail-fast", "--exclude", "xtask"];

pub fn tests_hardened() -> Result<()> {
    shell::run(shell::cargo().args(TEST))
}

pub fn tests_fast() -> Result<()> {
    shell::run(shell::cargo().args(TEST_ALLOCATOR).arg("--no-default-features"))
}

/// The corpus has a step of its own here.
pub fn tests_paranoid() -> Result<()> {
    shell::run(shell::cargo().args(TEST_ALLOCATOR).args(["--exclude", "corpus", "--features", "paranoid"]))
}

/// What needs the trait of `allocator-api2`: the collections that live in heaps, their example, and the documentation of both.
pub fn tests_allocators() -> Result<()> {
    let test = ["test", "--package", "ravelin", "--features", "allocator-api2"];
    shell::run(shell::cargo().args([
        "build",
        "--package",
        "ravelin",
        "--features",
        "allocator-api2",
        "--example",
        "requests",
    ]))?;
    shell::run(shell::cargo().args(test).args(["--test", "heaps"]))?;
    shell::run(shell::cargo().args(test).args(["--lib", "allocator::"]))?;
    shell::run(shell::cargo().args(test).arg("--doc"))
}

/// Tests with a short and a long form play the long one.
pub fn tests_at_full_size(build: Build) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.args(TEST_ALLOCATOR).arg("--release").env("FULL_SIZE_TESTS", "1");
    shell::run(build.select(&mut cargo))
}

/// On a kernel that has none of the newer calls, as most users' kernels have none. Of the corpus: what guards are for.
fn tests_on_older_kernel() -> Result<()> {
    const GUARDED: [&str; 6] = ["large", "huge", "guard", "metadata", "past_the_end", "purged"];
    shell::run(refusing("guards,mseal", "einval")?.args(TEST_ALLOCATOR).args(["--exclude", "corpus"]))?;
    let corpus = ["test", "--package", "corpus", "--test", "columns", "--", "--table"];
    shell::run(refusing("guards,mseal", "einval")?.args(corpus).args(GUARDED))
}

/// The tests where some system calls fail in some way.
pub fn tests_refusing(refuse: &str, errno: &str) -> Result<()> {
    // One of them builds the library, which it cannot where cargo does not start.
    shell::run(shell::cargo().args(["test", "--package", "ravelin", "--test", "c_face"]))?;
    shell::run(refusing(refuse, errno)?.args(TEST_ALLOCATOR).env("TEST_LIBRARY_IS_BUILT", "1"))
}

/// Cargo, whose tests run under the filter, and not itself: it does not start where getrandom is refused.
fn refusing(refuse: &str, errno: &str) -> Result<Command> {
    let runner = seccomp::words(refuse, errno)?;
    let mut cargo = shell::cargo();
    cargo.args(["--config", &format!("target.'cfg(all())'.runner = {runner:?}")]);
    Ok(cargo)
}
