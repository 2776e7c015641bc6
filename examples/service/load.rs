//! The load: a number of connections that ask, wait for the answer, check it and ask again, until the plan is done.
//!
//! Closed loop: a slow answer delays the next question of its connection, so the latencies are those of a service
//! that is kept busy, not of one that falls behind.

use core::fmt::Write;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::bail;
use axum::body::Bytes;
use axum::http::{Method, StatusCode};
use fastrand::Rng;
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use tokio::task::JoinSet;

use crate::client::{Ask, Client};
use crate::jobs::{self, Job};
use crate::server::BODY_LIMIT;

/// Whichever is reached first ends the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) requests: u64,
    pub(crate) within: Duration,
    pub(crate) connections: u16,
}

/// Latencies in microseconds by kind of job, and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) latency: BTreeMap<&'static str, Histogram<u32>>,
    pub(crate) failures: u64,
    pub(crate) first_failure: Option<String>,
}

/// What the load found.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    pub(crate) took: Duration,
}

impl Tally {
    fn count(&mut self, kind: &'static str, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.latency.entry(kind).or_insert_with(empty).saturating_record(micros);
    }

    fn fail(&mut self, why: String) {
        self.failures += 1;
        self.first_failure.get_or_insert(why);
    }

    fn add(&mut self, other: Self) {
        for (kind, latency) in other.latency {
            *self.latency.entry(kind).or_insert_with(empty) += latency;
        }
        self.failures += other.failures;
        self.first_failure = self.first_failure.take().or(other.first_failure);
    }
}

fn empty() -> Histogram<u32> {
    // Up to a minute in steps of 0.1 %; the client gives up long before that.
    Histogram::new_with_max(60_000_000, 3).expect("a minute in microseconds and three digits are legal bounds")
}

/// Sends what a service must refuse before the load begins, so that a service without limits is not measured at all.
pub(crate) async fn check_refusals(client: &Client) -> anyhow::Result<()> {
    let too_long = Ask::new(Method::POST, "/compress", vec![b'x'; BODY_LIMIT + 1]);
    for (what, ask, right) in [
        ("malformed JSON", jobs::malformed().ask, StatusCode::BAD_REQUEST),
        ("JSON of another shape", Ask::json("/orders", "[1, 2]"), StatusCode::UNPROCESSABLE_ENTITY),
        ("a body over the limit", too_long, StatusCode::PAYLOAD_TOO_LARGE),
        (
            "text that is not UTF-8",
            Ask::new(Method::POST, "/words", Bytes::from_static(b"\xff")),
            StatusCode::BAD_REQUEST,
        ),
        ("an unknown path", Ask::new(Method::GET, "/nowhere", ""), StatusCode::NOT_FOUND),
    ] {
        let status = client.send(ask).await?.status;
        if status != right {
            bail!("{what} was answered with {status} instead of {right}");
        }
    }
    Ok(())
}

/// Runs the load.
pub(crate) async fn run(client: &Client, plan: Plan) -> anyhow::Result<Measured> {
    let bar = ProgressBar::new(plan.requests);
    let style = ProgressStyle::with_template("  {bar:40} {pos}/{len} requests, {rate} per second ")?;
    bar.set_style(
        style.with_key("rate", |state: &ProgressState, out: &mut dyn Write| _ = write!(out, "{:.0}", state.per_sec())),
    );
    let lines = bar.is_hidden().then(|| tokio::spawn(print_lines(bar.clone())));

    let started = Instant::now();
    let deadline = started + plan.within;
    let drawn = Arc::new(AtomicU64::new(0));
    let mut connections = JoinSet::new();
    for seed in 0..plan.connections {
        let (client, bar, drawn) = (client.clone(), bar.clone(), Arc::clone(&drawn));
        connections.spawn(async move {
            let mut rng = Rng::with_seed(seed.into());
            let mut tally = Tally::default();
            while Instant::now() < deadline && drawn.fetch_add(1, Relaxed) < plan.requests {
                if ask_once(&client, &mut rng, &mut tally).await?.is_break() {
                    break;
                }
                bar.inc(1);
            }
            anyhow::Ok(tally)
        });
    }
    let mut tally = Tally::default();
    while let Some(ended) = connections.join_next().await {
        tally.add(ended??);
    }
    let took = started.elapsed();
    if let Some(lines) = lines {
        lines.abort();
    }
    bar.finish_and_clear();
    Ok(Measured { tally, took })
}

/// Asks, and counts the answer. A service that gives none is asked no more.
async fn ask_once(client: &Client, rng: &mut Rng, tally: &mut Tally) -> anyhow::Result<ControlFlow<()>> {
    let Job { kind, ask, right } = Job::draw(rng)?;
    let asked = Instant::now();
    let answer = client.send(ask).await;
    let took = asked.elapsed();
    Ok(match answer {
        Ok(answer) => {
            if right.is(&answer) {
                tally.count(kind, took);
            } else {
                tally.fail(format!("{kind}: wrong answer, status {}", answer.status));
            }
            ControlFlow::Continue(())
        }
        Err(error) => {
            tally.fail(format!("{kind}: {error:#}"));
            ControlFlow::Break(())
        }
    })
}

/// Progress for a log: the bar shows itself only on a terminal.
async fn print_lines(bar: ProgressBar) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.tick().await;
    loop {
        second.tick().await;
        eprintln!("  {} requests after {} s", bar.position(), bar.elapsed().as_secs());
    }
}
