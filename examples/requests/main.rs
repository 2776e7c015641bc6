//! A server that gives every request a heap of its own, and frees it at once when the answer is sent.
//!
//! `cargo run --release --features allocator-api2 --example requests` starts a server of word statistics on 127.0.0.1, drives it
//! twice with the same texts, and prints what each way has cost:
//!
//! ```text
//! block by block      what a request needs comes from the thread's heap, and is freed piece by piece
//! region by region    it comes from a `ravelin::Region`, which ends with the request
//! ```
//!
//! ```text
//! driver ──text──> connection ─> request: words -> table (hashbrown) -> ranking (Vec) -> answer ──> driver checks
//!                                  `- all of it in memory of the request
//! ```
//!
//! Read `statistics` for what a request does, `server` for where its memory comes from, `driver` for the load.

mod driver;
mod server;
mod statistics;

use core::time::Duration;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

/// A server of word statistics that gives every request a heap of its own: drives itself over loopback and prints figures.
#[derive(Parser)]
struct Options {
    /// Requests in each of the two runs
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    requests: u32,
    /// Words in a request
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    words: u32,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("requests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    println!(
        "{} requests of {} words each way; build: {}",
        options.requests,
        options.words,
        ravelin::MITIGATIONS.build_name()
    );
    println!("{:18} {:>12} {:>12} {:>16} {:>14}", "", "requests/s", "us/request", "to free it, us", "blocks left");
    for way in [server::Way::Blocks, server::Way::Regions] {
        // Once to warm up: threads, pages, the kernel's buffers.
        driver::drive(way, options.requests / 10 + 1, options.words)?;
        let run = driver::drive(way, options.requests, options.words)?;
        let per_request = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(options.requests);
        println!(
            "{:18} {:>12.0} {:>12.1} {:>16.2} {:>14}",
            way.name(),
            f64::from(options.requests) / run.took.as_secs_f64(),
            per_request(run.working),
            per_request(run.freeing),
            run.left,
        );
        ensure!(run.left < 1000, "the server keeps {} blocks", run.left);
    }
    Ok(())
}
