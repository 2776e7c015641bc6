//! Steps of a long run: each is announced, timed and counted, and a failure does not hide those after it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

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
#[derive(Default)]
pub struct Steps {
    done: Vec<Step>,
}

struct Step {
    name: String,
    time: Duration,
    failure: Option<anyhow::Error>,
}

impl Steps {
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let failure = work().err();
        let time = start.elapsed();
        if let Some(error) = &failure {
            println!("=== {name} FAILED: {error:#}");
        }
        println!("=== {name}: {:.1} s", time.as_secs_f64());
        self.done.push(Step { name: name.to_owned(), time, failure });
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
        let total: Duration = self.done.iter().map(|step| step.time).sum();
        println!("{:>7.1} s          in all\n", total.as_secs_f64());

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
