//! Allocators against each other: the same work under each, in rounds, and how they compare.
//!
//! ```text
//! peers      the allocators: a library to preload (recipes), and a program with it as global allocator
//! benches    the work: shapes, real programs
//! rounds     what runs when: every bench under every peer, shuffled, a round at a time; kept in a file to go on from
//! run        one run: what it took (the program `measure` counts)
//! figures    medians of ratios to the baseline, how sure they are, geometric means
//! report     JSON, a table in Markdown, what is beyond the goals
//! plot       time by memory, as SVG
//! service    the service example, apart: it is compared by latency and by memory over time
//! ```

mod benches;
mod figures;
mod goals;
mod peers;
mod plot;
mod programs;
mod recipes;
mod report;
mod rounds;
mod run;
mod service;
mod shell;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;

/// Benchmarks of Ravelin against other allocators
#[derive(Parser)]
#[command(name = "cargo xtask bench", version)]
struct Cli {
    /// Our builds and the nearest peers, small work, three rounds: below three minutes
    #[arg(long)]
    quick: bool,
    /// Only whether it works: one shape, the baseline and ours, the smallest work
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,
    /// Only these allocators (whole names); the baseline is always there
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// Only benches whose name begins with one of these
    #[arg(long, value_delimiter = ',')]
    benches: Vec<String>,
    /// Only benches for which an allocator is preloaded: not those over Rust's interface, which it is linked into
    #[arg(long)]
    preloaded: bool,
    /// How many rounds (otherwise 7, or 3 with --quick)
    #[arg(long)]
    rounds: Option<u32>,
    /// How much work, where 1 is the full size
    #[arg(long)]
    scale: Option<f64>,
    /// One more library to preload, to compare with: NAME=PATH
    #[arg(long, value_name = "NAME=PATH")]
    library: Vec<String>,
    /// Start anew instead of going on where the last run was interrupted
    #[arg(long)]
    fresh: bool,
    /// Where results go
    #[arg(long)]
    out: Option<PathBuf>,
    /// Instead of the benches, the service example under load for so many seconds on each allocator, in --rounds rounds
    #[arg(long, value_name = "SECONDS")]
    service: Option<u64>,
    /// Only say what there is: allocators and benches
    #[arg(long)]
    list: bool,
    /// Only make the tables and plots of what has been measured
    #[arg(long)]
    report: bool,
    /// Ours, built by the caller: NAME=PATH
    #[arg(long, hide = true)]
    ours: Vec<String>,
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    if cli.list {
        peers::list();
        benches::list();
        return Ok(());
    }
    let size = if cli.smoke {
        rounds::Size::Smoke
    } else if cli.quick {
        rounds::Size::Quick
    } else {
        rounds::Size::Full
    };
    let out = match &cli.out {
        Some(out) => out.clone(),
        None => shell::work_dir().join("results").join(size.name()),
    };
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;

    let given = pairs(&cli.ours)?;
    let more = pairs(&cli.library)?;
    if let Some(seconds) = cli.service {
        let usual = service::PEERS.map(str::to_owned);
        let wanted = if cli.peers.is_empty() { &usual[..] } else { &cli.peers };
        let peers = peers::choose(peers::Programs::Unwanted, size, wanted, &given, &more)?;
        return service::run(&peers.ready, seconds, cli.rounds.unwrap_or(3), &out);
    }
    let mut benches = benches::choose(size, &cli.benches)?;
    if cli.preloaded {
        benches.retain(|bench| !matches!(bench.work, benches::Work::RustShape));
    }
    let peers = peers::choose(benches::programs(&benches), size, &cli.peers, &given, &more)?;
    benches::prepare(&benches)?;
    let plan = rounds::Plan::new(size, cli.scale, cli.rounds, peers.ready, benches, out.clone());
    let log = plan.open(cli.fresh)?;
    if !cli.report {
        log.carry_out(&plan)?;
    }
    let figures = figures::Figures::of(&plan, log.runs(), peers.missing);
    report::write(&figures, &out)?;
    plot::write(&figures, &out)?;
    println!("\nresults: {}", out.display());
    figures.failed_ours()
}

fn pairs(arguments: &[String]) -> Result<Vec<(String, PathBuf)>> {
    arguments
        .iter()
        .map(|text| {
            let (name, path) = text.split_once('=').with_context(|| format!("NAME=PATH, not {text}"))?;
            let path = std::fs::canonicalize(path).with_context(|| format!("no library {path}"))?;
            Ok((name.to_owned(), path))
        })
        .collect()
}
