//! The service example under load: requests a second, latency, and memory over time, the same program under each allocator.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::peers::Peer;
use crate::shell;

/// What the service is compared on, in the order of the table.
pub const PEERS: [&str; 6] = ["hardened", "paranoid", "system", "mimalloc", "mimalloc-secure", "jemalloc"];

/// What one run found.
#[derive(Clone, Debug, Serialize)]
pub struct Served {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Resident memory of the service, in KiB, at four equally distant moments; the last is the end.
    pub rss: [u64; 4],
    pub peak: u64,
}

/// The example, built to run on whatever is preloaded.
pub fn build() -> Result<PathBuf> {
    let manifest = shell::bench_dir().join("service/Cargo.toml");
    shell::quietly(shell::cargo(&manifest).args(["build", "--release", "--quiet"]))?;
    Ok(shell::work_dir().join("release/bench-service"))
}

/// Runs every peer for so many seconds, in rounds, and shows the medians.
pub fn run(peers: &[Peer], seconds: u64, rounds: u32, out: &Path) -> Result<()> {
    let program = build()?;
    let mut served: BTreeMap<String, Vec<Served>> = BTreeMap::new();
    for round in 0..rounds {
        let mut order: Vec<&Peer> = peers.iter().collect();
        fastrand::Rng::with_seed(round.into()).shuffle(&mut order);
        for peer in order {
            eprintln!("round {} of {rounds}: {} for {seconds} s", round + 1, peer.name);
            let one = serve(&program, peer, seconds).with_context(|| format!("the service on {}", peer.name))?;
            served.entry(peer.name.clone()).or_default().push(one);
        }
    }
    let text = table(peers, &served, seconds, rounds);
    fs::write(out.join("service.json"), serde_json::to_string_pretty(&served)?)?;
    fs::write(out.join("service.md"), &text)?;
    print!("{text}");
    Ok(())
}

fn serve(program: &Path, peer: &Peer, seconds: u64) -> Result<Served> {
    let mut command = Command::new(program);
    command.args(["--requests", "100000000", "--connections", "16", "--seconds", &seconds.to_string()]);
    command.env_remove("LD_PRELOAD").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if let Some(library) = &peer.library {
        command.env("LD_PRELOAD", library);
    }
    let mut child = command.spawn().context("cannot start the service")?;
    let start = Instant::now();
    let mut samples = Vec::new();
    while child.try_wait()?.is_none() {
        if start.elapsed() > Duration::from_secs(seconds + 60) {
            child.kill()?;
            child.wait()?;
            bail!("not done in time");
        }
        samples.extend(resident(&child));
        std::thread::sleep(Duration::from_millis(100));
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("{}: {}", output.status, text.lines().last().unwrap_or("no message"));
    }
    let words = |start: &str| -> Option<Vec<f64>> {
        let line = text.lines().find(|line| line.trim_start().starts_with(start))?;
        Some(line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
    };
    let all = words("all ").filter(|numbers| numbers.len() == 4).context("the service shows no latencies")?;
    let rate = text.lines().find_map(|line| line.split_once(" s: ")?.1.split(' ').next()?.parse().ok());
    let per_second = rate.context("the service shows no rate")?;
    // The first half second is the start.
    let steady = samples.get(5..).filter(|steady| steady.len() >= 4).context("too short to sample memory")?;
    let at = |quarter: usize| steady[(steady.len() * quarter / 4).saturating_sub(1)];
    let peak = steady.iter().copied().max().unwrap_or(0);
    Ok(Served { per_second, p50_ms: all[1], p99_ms: all[2], rss: [at(1), at(2), at(3), at(4)], peak })
}

/// The resident memory of the service, the child of the program that drives it.
fn resident(driver: &Child) -> Option<u64> {
    let children = format!("/proc/{0}/task/{0}/children", driver.id());
    let pids = fs::read_to_string(children).ok()?;
    // Another thread than the first may have started it.
    let pid = pids.split_whitespace().next().map(str::to_owned).or_else(|| child_of_any_thread(driver.id()))?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn child_of_any_thread(pid: u32) -> Option<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    tasks.flatten().find_map(|task| {
        let pids = fs::read_to_string(task.path().join("children")).ok()?;
        pids.split_whitespace().next().map(str::to_owned)
    })
}

fn table(peers: &[Peer], served: &BTreeMap<String, Vec<Served>>, seconds: u64, rounds: u32) -> String {
    let mut text = format!("The service example, {rounds} rounds of {seconds} s each, 16 connections; medians.\n\n");
    text += "| allocator       | requests/s | p50 ms | p99 ms | RSS MiB after 1/4, 2/4, 3/4, 4/4 | peak MiB |\n";
    text += "| --------------- | ---------: | -----: | -----: | -------------------------------: | -------: |\n";
    for peer in peers {
        let Some(runs) = served.get(&peer.name) else { continue };
        let median = |value: &dyn Fn(&Served) -> f64| {
            let mut values: Vec<f64> = runs.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let rss: Vec<String> = (0..4).map(|at| format!("{:.1}", median(&|run| run.rss[at] as f64) / 1024.0)).collect();
        let _ = writeln!(
            text,
            "| {:15} | {:>10.0} | {:>6.2} | {:>6.2} | {:>32} | {:>8.1} |",
            peer.name,
            median(&|run| run.per_second),
            median(&|run| run.p50_ms),
            median(&|run| run.p99_ms),
            rss.join(", "),
            median(&|run| run.peak as f64) / 1024.0
        );
    }
    text
}
