//! The project's tasks, called as `cargo xtask TASK`: what is shipped, and every check that is more than `cargo test`.
//!
//! One noun a file. `shell` runs commands, `builds` knows the builds of the allocator, `steps` counts and times;
//! the other files are a task each. `ci` is the list of them all.

mod aarch64;
mod bench;
mod builds;
mod ci;
mod corpus;
mod costs;
mod deb;
mod dist;
mod example;
mod exports;
mod features;
mod full;
mod fuzz;
mod install;
mod instructions;
mod loom;
mod memcheck;
mod mimalloc_tests;
mod miri;
mod mock;
mod musl;
mod odds;
mod packages;
mod panics;
mod published;
mod real_programs;
mod release;
mod rust_programs;
mod seccomp;
mod shell;
mod soak;
mod solvespace;
mod steps;
mod unsupported;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Ravelin's tasks", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything at CI size, timed, with a summary
    Ci(ci::Args),
    /// Everything at full size: hours, not minutes
    Full,
    /// Build dist/lib: libravelin.so and .a of every build, and compare what they export with libravelin/exports.txt
    Dist,
    /// Install libraries, headers, CMake and pkg-config files and the man page (under DESTDIR, if that is set)
    Install(install::Args),
    /// Make Debian packages with cargo-deb, have lintian look at them, and build a program against them
    Deb,
    /// Install every build aside, and build and run the tests in C and C++ against what is installed
    Packages,
    /// Run the tests in C and C++, and misuses, under valgrind's memcheck, which is told of every block
    Memcheck(memcheck::Args),
    /// Build and run mimalloc's own tests against every build
    MimallocTests,
    /// Run unmodified programs with and without the library and compare what they print
    RealPrograms(real_programs::Args),
    /// Build published programs that use mimalloc, by Rust's crate or by its heaps, with Ravelin in its place, and run them (minutes)
    RustPrograms,
    /// Licences, the oldest compiler that is promised, and packages as they would be published
    Release,
    /// Run a command under a seccomp filter that refuses the newer system calls
    Seccomp(seccomp::Args),
    /// Fail if a shipped library can panic, beyond xtask/allowed-panics.txt
    NoPanics,
    /// Unit tests for each single mitigation and each pair on top of fast, and hardened plus or minus one
    Features(features::Args),
    /// What each mitigation costs by itself, in instructions or in time and memory, as a Markdown table
    Costs(costs::Args),
    /// Instructions of the steady paths, counted by callgrind and compared with xtask/instructions.txt
    Instructions(instructions::Args),
    /// Compare with other allocators: time, memory, real programs and standard shapes (bench --help)
    Bench(bench::Args),
    /// Model-check the protocols between threads
    Loom,
    /// Unit tests in the Miri interpreter over the mock system
    Miri(miri::Args),
    /// Unit tests over the mock system, natively: every system call can be made to fail
    Mock,
    /// Unit tests for aarch64, run by qemu-user
    Aarch64(aarch64::Args),
    /// Unit tests linked with musl
    Musl,
    /// A platform that is not supported is refused at compile time, in words that help
    Unsupported,
    /// Producers, consumers and forks for some minutes: no report, and memory stays level
    Soak(soak::Args),
    /// Run the fuzz targets, and count their executions
    Fuzz(fuzz::Args),
    /// Play the misuse corpus in every column, and fail if a cell has changed
    Corpus(corpus::Args),
    /// What each defence that rests on chance is worth, with bounds of confidence
    Odds(odds::Args),
}

fn main() -> ExitCode {
    let Err(error) = run(&Cli::parse().task) else { return ExitCode::SUCCESS };
    if !error.is::<steps::Counted>() {
        eprintln!("error: {error:#}");
    }
    ExitCode::FAILURE
}

fn run(task: &Task) -> anyhow::Result<()> {
    match task {
        Task::Ci(args) => ci::run(args),
        Task::Full => full::run(),
        Task::Dist => dist::run(),
        Task::Install(args) => install::run(args),
        Task::Deb => deb::run(),
        Task::Packages => packages::run(),
        Task::MimallocTests => mimalloc_tests::run(),
        Task::Memcheck(args) => memcheck::run(args),
        Task::RealPrograms(args) => real_programs::run(args),
        Task::Release => release::run(),
        Task::RustPrograms => rust_programs::run(),
        Task::Seccomp(args) => seccomp::run(args),
        Task::NoPanics => panics::run(),
        Task::Features(args) => features::run(args),
        Task::Costs(args) => costs::run(args),
        Task::Instructions(args) => instructions::run(args),
        Task::Bench(args) => bench::run(args),
        Task::Loom => loom::run(),
        Task::Miri(args) => miri::run(args),
        Task::Mock => mock::run(),
        Task::Aarch64(args) => aarch64::run(args),
        Task::Musl => musl::run(),
        Task::Unsupported => unsupported::run(),
        Task::Soak(args) => soak::run(args),
        Task::Fuzz(args) => fuzz::run(args),
        Task::Corpus(args) => corpus::run(args),
        Task::Odds(args) => odds::run(args),
    }
}
