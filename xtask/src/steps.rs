//! Steps of a long run: each is announced, timed and counted, and a failure does not hide those after it.

use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::shell;

/// Steps failed, and the summary has said so: the line that counts is to be the last one.
#[derive(Debug)]
pub struct Counted;

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("steps failed")
    }
}

impl std::error::Error for Counted {}

/// The steps done so far.
pub struct Steps {
    start: Instant,
    done: Vec<Step>,
}

/// Steps that run beside others.
pub struct Lane(JoinHandle<Vec<Step>>);

impl Default for Steps {
    fn default() -> Self {
        Steps { start: Instant::now(), done: Vec::new() }
    }
}

struct Step {
    name: String,
    time: Duration,
    failure: Option<anyhow::Error>,
}

impl Step {
    fn done(name: &str, start: Instant, failure: Option<anyhow::Error>) -> Step {
        let time = start.elapsed();
        if let Some(error) = &failure {
            println!("=== {name} FAILED: {error:#}");
        }
        println!("=== {name}: {:.1} s", time.as_secs_f64());
        Step { name: name.to_owned(), time, failure }
    }

    /// A step in a process of its own, whose output waits until it ends.
    fn apart(name: &str) -> Step {
        let start = Instant::now();
        let run = || -> Result<()> {
            let mut log = tempfile::NamedTempFile::new()?;
            let mut step = shell::command(std::env::current_exe()?);
            step.args(["ci", "--only", name]).stdin(Stdio::null());
            let output = log.reopen()?;
            let status = step.stdout(output.try_clone()?).stderr(output).status()?;
            std::io::copy(&mut log, &mut std::io::stdout().lock())?;
            ensure!(status.success(), "see its output above");
            Ok(())
        };
        Step::done(name, start, run().err())
    }
}

impl Steps {
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let failure = work().err();
        self.done.push(Step::done(name, start, failure));
    }

    /// Starts steps that run one after another beside those to come, each as a process `xtask ci --only NAME`: what it says is
    /// shown when it has ended. They are to have target directories of their own, or cargo's locks would hold them up.
    pub fn beside(names: &'static [&str]) -> Lane {
        Lane(thread::spawn(move || names.iter().map(|name| Step::apart(name)).collect()))
    }

    /// Waits for the steps of the lane, and counts them with the others.
    pub fn join(&mut self, lane: Lane) -> Result<()> {
        let steps = lane.0.join().ok().context("the steps beside ended early")?;
        self.done.extend(steps);
        Ok(())
    }

    /// Prints the table of the steps and the line that counts them.
    ///
    /// # Errors
    /// If a step failed, or if there was none.
    pub fn finish(self) -> Result<()> {
        println!("\n{:>9}  {:6}  step", "time", "result");
        for step in &self.done {
            let result = if step.failure.is_none() { "passed" } else { "FAILED" };
            println!("{:>7.1} s  {result:6}  {}", step.time.as_secs_f64(), step.name);
        }
        println!("{:>7.1} s          in all\n", self.start.elapsed().as_secs_f64());

        for step in &self.done {
            if let Some(error) = &step.failure {
                println!("{}: {error:#}", step.name);
            }
        }
        let failed = self.done.iter().filter(|step| step.failure.is_some()).count();
        if self.done.is_empty() {
            bail!("no step ran");
        }
        println!("steps: {} passed, {failed} failed", self.done.len() - failed);
        if failed > 0 { Err(Counted.into()) } else { Ok(()) }
    }
}
