//! The service as a child process: started, asked for its port, watched, and stopped or found dead.

use core::time::Duration;
use std::process::{ExitStatus, Stdio};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Options;

/// Longest that the service may take to start, to die, or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running service. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) port: u16,
    process: Child,
    /// Closing it tells the service to stop; so it also stops if the supervisor is killed.
    stdin: Option<ChildStdin>,
    /// Kept open, so that the service may go on printing.
    _stdout: Lines<BufReader<ChildStdout>>,
    stderr: JoinHandle<Vec<String>>,
}

/// How a service ended, and what it wrote to standard error.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: Vec<String>,
}

impl Service {
    /// Starts this program again, to serve.
    pub(crate) async fn start(options: &Options) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("cannot find this program's own file")?;
        let mut process = Command::new(&program)
            .args(["--serve", "--supervised"])
            .args(["--port".into(), options.port.to_string()])
            .args(["--threads".into(), options.threads().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let (stdin, Some(stdout), Some(stderr)) = (process.stdin.take(), process.stdout.take(), process.stderr.take())
        else {
            bail!("the service has no pipes");
        };
        let stderr = tokio::spawn(relay(stderr));
        let mut stdout = BufReader::new(stdout).lines();
        let first = timeout(PATIENCE, stdout.next_line()).await.context("the service does not say its port")??;
        let Some(port) = first.as_deref().and_then(port) else {
            bail!("the service did not say its port, but {first:?}");
        };
        Ok(Self { port, process, stdin, _stdout: stdout, stderr })
    }

    /// How the service ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().ok().flatten()
    }

    /// Waits for the end of a service that is expected to end by itself.
    pub(crate) async fn end(mut self) -> anyhow::Result<End> {
        let status = timeout(PATIENCE, self.process.wait()).await.context("the service lives on")??;
        let stderr =
            timeout(PATIENCE, self.stderr).await.context("somebody else holds the service's standard error")??;
        Ok(End { status, stderr })
    }

    /// Tells the service to stop and waits for its end.
    pub(crate) async fn stop(mut self) -> anyhow::Result<End> {
        drop(self.stdin.take());
        self.end().await
    }
}

fn port(line: &str) -> Option<u16> {
    line.strip_prefix("listening on ")?.rsplit_once(':')?.1.parse().ok()
}

/// Shows each line as it comes, and keeps it.
async fn relay(stderr: ChildStderr) -> Vec<String> {
    let mut lines = BufReader::new(stderr).lines();
    let mut kept = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        eprintln!("  service: {line}");
        kept.push(line);
    }
    kept
}
