//! One run of a bench under a peer, and what it took.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::shell;

/// Longer than any bench takes under any allocator that works; then it counts as failed.
const DEADLINE_SECONDS: u32 = 240;

/// What a run took, as the kernel counted. Times in microseconds, memory in KiB.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Cost {
    pub user: u64,
    pub system: u64,
    /// Of the work alone where the bench measures it itself.
    pub wall: u64,
    pub peak: u64,
    /// Resident memory after everything was freed and had a moment to settle, where the bench tells.
    #[serde(default)]
    pub settled: u64,
    pub minor: u64,
    pub major: u64,
    pub waited: u64,
    pub preempted: u64,
}

impl Cost {
    pub fn cpu(&self) -> u64 {
        self.user + self.system
    }
}

/// A command on its way to be measured.
pub struct Measured {
    command: Command,
    out: std::path::PathBuf,
}

/// Prepares to run a program with this library preloaded (if any), in the given folder.
pub fn measured(preload: Option<&Path>, scratch: &Path, program: &Path, arguments: &[String]) -> Result<Measured> {
    let measure = std::env::current_exe()?.with_file_name("measure");
    let out = scratch.join("cost.json");
    let _ = fs::remove_file(&out);
    let mut command = Command::new(measure);
    command.arg(&out).arg(DEADLINE_SECONDS.to_string()).arg(preload.unwrap_or(Path::new("")));
    command.arg(program).args(arguments).current_dir(scratch).env_remove("LD_PRELOAD");
    command.stdin(Stdio::null());
    Ok(Measured { command, out })
}

impl Measured {
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it without waiting: a server.
    pub fn start(mut self) -> Result<Started> {
        let log = fs::File::create(self.out.with_file_name("server.log"))?;
        self.command.stdout(log.try_clone()?).stderr(log);
        let child = self.command.spawn().with_context(|| format!("cannot start {:?}", self.command))?;
        Ok(Started { child, out: self.out })
    }

    /// Runs it to its end: what it took and what it wrote.
    pub fn finish(mut self) -> Result<(Cost, Vec<u8>)> {
        let output = self.command.output().with_context(|| format!("cannot start {:?}", self.command))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{}: {}", ended(output.status.code()), said.trim().lines().last().unwrap_or("no message"));
        }
        Ok((cost(&self.out)?, output.stdout))
    }
}

/// A server that runs.
pub struct Started {
    child: std::process::Child,
    out: std::path::PathBuf,
}

impl Started {
    /// Waits for its end, which the caller has asked for.
    pub fn finish(mut self) -> Result<Cost> {
        let status = self.child.wait()?;
        if !status.success() {
            bail!("{}", ended(status.code()));
        }
        cost(&self.out)
    }

    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

fn ended(code: Option<i32>) -> String {
    match code {
        Some(code) if code > 128 => format!("died of signal {}", code - 128),
        Some(code) => format!("exit code {code}"),
        None => format!("not done after {DEADLINE_SECONDS} s"),
    }
}

fn cost(out: &Path) -> Result<Cost> {
    let text = fs::read_to_string(out).with_context(|| format!("no {}", out.display()))?;
    serde_json::from_str(&text).with_context(|| format!("not a result: {text}"))
}

/// A fresh folder for one run.
pub fn scratch() -> Result<std::path::PathBuf> {
    let folder = shell::work_dir().join("scratch");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
