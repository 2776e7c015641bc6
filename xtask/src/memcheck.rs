//! valgrind: memcheck must report misuses of our blocks and nothing else, and every build must run under it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::builds::Build;
use crate::{install, shell};

/// By default valgrind puts a malloc of its own in the place of any library's.
const OUR_MALLOC: &str = "--soname-synonyms=somalloc=nouserintercepts";
/// How valgrind says that it has reported something.
const REPORTED: &str = "--error-exitcode=99";

/// Each misuse of `libravelin/tests/memcheck.c`, and what memcheck must say of it.
const MISUSES: [(&str, &[&str]); 10] = [
    ("behind", &["Invalid read of size 1", "0 bytes after a block of size 24 alloc'd"]),
    ("before", &["Invalid read of size 1"]),
    ("before-first", &["Invalid read of size 1"]),
    ("after-free", &["Invalid write of size 1", "5 bytes inside a block of size 1,000 free'd"]),
    ("after-realloc", &["Invalid read of size 1", "999 bytes inside a block of size 1,000 free'd"]),
    ("behind-shrunk", &["Invalid read of size 1", "0 bytes after a block of size 1,900 alloc'd"]),
    ("after-destroy", &["Invalid read of size 1", "99 bytes inside a block of size 100 free'd"]),
    ("unwritten", &["Conditional jump or move depends on uninitialised value"]),
    ("twice", &["Invalid free()", "0 bytes inside a block of size 50 free'd", "ravelin: double free"]),
    ("lost", &["blocks are definitely lost", "lost (memcheck.c"]),
];

/// Under memcheck these take minutes, and are left to `--all`.
const SLOW: &str = "^(blocks|heaps|stress)$";

#[derive(clap::Args)]
pub struct Args {
    /// Also those tests that take minutes
    #[arg(long)]
    pub all: bool,
}

pub fn run(args: &Args) -> Result<()> {
    shell::system_program("valgrind", "valgrind")?;
    let scratch = shell::target_dir()?.join("memcheck");
    let prefix = scratch.join("prefix");
    let builds = [Build::Valgrind, Build::Hardened, Build::Paranoid];
    install::run(&install::Args::everything(prefix.clone(), &builds))?;

    let told = scratch.join("told");
    let runner = format!("valgrind;--quiet;{OUR_MALLOC};{REPORTED};--leak-check=no");
    configure(&told, &prefix, Build::Valgrind, &runner)?;
    for (misuse, words) in MISUSES {
        let said = memcheck(&told.join("memcheck"), misuse)?.1;
        for word in words {
            ensure!(said.contains(word), "{misuse}: memcheck does not say `{word}`, but: {said}");
        }
    }
    let (clean, said) = memcheck(&told.join("memcheck"), "nothing")?;
    ensure!(clean && said.is_empty(), "memcheck reports a correct program: {said}");
    println!("memcheck reports {} misuses, and nothing of a correct program", MISUSES.len());

    let mut tests = shell::command("ctest");
    tests.arg("--test-dir").arg(&told).args(["--output-on-failure", "--no-tests=error"]);
    if !args.all {
        tests.args(["--exclude-regex", SLOW]);
    }
    shell::run(&mut tests)?;

    // Builds that tell valgrind nothing run under it, guards and all.
    for build in [Build::Hardened, Build::Paranoid] {
        let folder = scratch.join(build.name());
        configure(&folder, &prefix, build, "")?;
        for tool in ["none", "memcheck", "callgrind"] {
            let mut valgrind = valgrind(&folder);
            valgrind.arg(format!("--tool={tool}")).arg("--trace-children=no");
            if tool == "memcheck" {
                valgrind.args([OUR_MALLOC, "--leak-check=full"]);
            }
            shell::run_quietly(valgrind.arg(folder.join("memcheck")).arg("nothing"))?;
        }
    }
    Ok(())
}

fn configure(folder: &Path, prefix: &Path, build: Build, runner: &str) -> Result<()> {
    let mut cmake = shell::command("cmake");
    cmake.arg("-S").arg("libravelin/tests").arg("-B").arg(folder);
    cmake.arg(format!("-DSUFFIX={}", build.library().trim_start_matches("libravelin")));
    cmake.args([format!("-DCMAKE_PREFIX_PATH={}", prefix.display()), format!("-DRUNNER={runner}")]);
    shell::run_quietly(&mut cmake)?;
    shell::run_quietly(shell::command("cmake").arg("--build").arg(folder).args(["--parallel", "2"]))
}

/// valgrind, which leaves its files there.
fn valgrind(folder: &Path) -> Command {
    let mut valgrind = shell::command("valgrind");
    valgrind.current_dir(folder).arg("--quiet");
    valgrind
}

/// Whether memcheck has reported nothing of the program, and what was said.
fn memcheck(program: &Path, argument: &str) -> Result<(bool, String)> {
    let folder = program.parent().unwrap_or(Path::new("."));
    let mut valgrind = valgrind(folder);
    valgrind.args([OUR_MALLOC, REPORTED, "--leak-check=full", "--read-inline-info=no"]).arg(program).arg(argument);
    let output = valgrind.output()?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}
