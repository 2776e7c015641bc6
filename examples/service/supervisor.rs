//! The story: start the service, load it, let it die of a double free, start it again.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::time::Instant;

use anyhow::{Context, bail};
use axum::http::{Method, StatusCode};
use ravelin::MITIGATIONS;

use crate::Options;
use crate::child::{End, Service};
use crate::client::{Ask, Client};
use crate::figures::Summary;
use crate::load::{self, Plan};

/// How the line begins that a double free is reported with.
const REPORT: &str = "ravelin: double free of 0x";

/// Tells it all; an error if any part of it did not happen.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    // Not println!, which panics when nobody reads on (`| head`).
    let mut out = std::io::stdout();
    let mut service = Service::start(options).await?;
    let client = Client::new(service.port);
    writeln!(out, "1. A service on Ravelin ({} build) at 127.0.0.1:{}", MITIGATIONS.build_name(), service.port)?;
    if let Err(error) = put_under_load(&client, options, &mut out).await {
        return Err(match service.ended() {
            Some(status) => error.context(format!("the service ended under load with {status}")),
            None => error,
        });
    }

    if !MITIGATIONS.free_checks {
        writeln!(out, "\n2. A double free: this build has no such check, so that part is left out.")?;
        writeln!(out, "   Build it with the default features: cargo run --release --example service")?;
        return stop(service).await;
    }
    writeln!(out, "\n2. POST /legacy/close frees a block twice")?;
    let report = die(service, &client).await?;
    writeln!(out, "    the service died of SIGABRT in that call, and said why:\n    {report}")?;

    writeln!(out, "\n3. The supervisor starts it again")?;
    let restarted = Instant::now();
    let service = Service::start(options).await?;
    let client = Client::new(service.port);
    let ready = restarted.elapsed();
    let asked = Instant::now();
    let receipt = order(&client).await?;
    writeln!(out, "    listening at 127.0.0.1:{} after {:.1} ms", service.port, ready.as_secs_f64() * 1e3)?;
    writeln!(
        out,
        "    it serves on: an order was answered in {:.2} ms: {receipt}",
        asked.elapsed().as_secs_f64() * 1e3
    )?;
    stop(service).await
}

async fn put_under_load(client: &Client, options: &Options, out: &mut impl Write) -> anyhow::Result<()> {
    load::check_refusals(client).await?;
    let plan = Plan { requests: options.requests, within: options.duration(), connections: options.connections };
    let measured = load::run(client, plan).await?;
    let stats = serde_json::from_slice(&client.get("/stats").await?).context("/stats is not JSON")?;
    let table = client.get("/stats/table").await?;
    let table = String::from_utf8_lossy(&table);
    writeln!(out, "{}", Summary { measured: &measured, stats: &stats, table: &table })?;
    match measured.tally.first_failure {
        Some(first) => bail!("{} requests failed; the first: {first}", measured.tally.failures),
        None => Ok(()),
    }
}

/// Sends the request that must be the service's last; gives back the report.
async fn die(service: Service, client: &Client) -> anyhow::Result<String> {
    let answer = client.send(Ask::new(Method::POST, "/legacy/close", "")).await;
    if let Ok(answer) = answer {
        bail!("the double free went unnoticed: the call was answered with {}", answer.status);
    }
    let End { status, stderr } = service.end().await?;
    if status.signal() != Some(libc::SIGABRT) {
        bail!("the service should have died of SIGABRT, but ended with {status}");
    }
    stderr
        .into_iter()
        .find(|line| line.starts_with(REPORT))
        .context("the service died without a report of its double free")
}

/// One order, answered with its receipt.
async fn order(client: &Client) -> anyhow::Result<String> {
    let order = r#"{"customer": "alice", "items": [{"name": "rampart", "price": 1250, "quantity": 2}]}"#;
    let answer = client.send(Ask::json("/orders", order)).await?;
    if answer.status != StatusCode::OK {
        bail!("an order was answered with {}", answer.status);
    }
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

async fn stop(service: Service) -> anyhow::Result<()> {
    let End { status, .. } = service.stop().await?;
    if !status.success() {
        bail!("the service was told to stop, and ended with {status}");
    }
    Ok(())
}
