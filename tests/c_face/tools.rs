//! The compilers and binutils that these tests use, for the machine that the tests were built for.
//!
//! When the tests run under an emulator (built for AArch64, on x86-64), which `TEST_EMULATOR` names, everything is the cross version,
//! and programs start under the same emulator. A tool that is not there fails the test that wants it.

use std::env::consts::ARCH;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where the sources in C are.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c").join(name)
}

/// The emulator of this very process and its arguments; none if it is not emulated.
fn emulator() -> Option<Vec<String>> {
    let words = std::env::var("TEST_EMULATOR").ok()?;
    Some(words.split_whitespace().map(str::to_owned).collect())
}

/// Whether this very process is emulated.
pub(crate) fn emulated() -> bool {
    emulator().is_some()
}

/// A binutils or compiler command.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = if emulated() {
        let name = match name {
            "cc" => "gcc",
            "c++" => "g++",
            other => other,
        };
        Command::new(format!("{ARCH}-linux-gnu-{name}"))
    } else {
        Command::new(name)
    };
    command.env_remove("LD_PRELOAD").env("LC_ALL", "C");
    command
}

/// The command that starts a program, perhaps with a library before all others.
pub(crate) fn start(program: &Path, preload: Option<&Path>) -> Command {
    let mut command;
    if let Some([emulator, arguments @ ..]) = emulator().as_deref() {
        command = Command::new(emulator);
        command.args(arguments);
        if let Some(library) = preload {
            command.arg("-E").arg(format!("LD_PRELOAD={}", library.display()));
        }
        command.arg(program);
    } else {
        command = Command::new(program);
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
    }
    // cargo sets it, and would put any other build of the library that lies in its target directory first.
    command.env_remove("LD_LIBRARY_PATH");
    command
}

/// Runs a command that must succeed, and returns what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// Runs a command to its end, whatever that is.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// Bytes as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
