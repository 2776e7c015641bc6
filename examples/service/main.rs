//! A web service on Ravelin, under load, and what happens when its code frees a block twice.
//!
//! `cargo run --release --example service` starts the service as a child process, drives it over loopback with a
//! bounded load, prints its figures, and then sends the one request that reaches a wrong `unsafe` block. The service
//! dies in that call, with one line that says why; the supervisor starts it again and it serves on.
//!
//! ```text
//! supervisor ──starts──> child ──> service (this program with --serve)
//!     │                              server ─> endpoints ─> orders, sessions, words, legacy
//!     └──> load ─> jobs ─> client ──── 127.0.0.1 ────^
//! ```
//!
//! Read `server` and `endpoints` for the service, `legacy` for the mistake, `supervisor` for the story.

mod child;
mod client;
mod endpoints;
mod figures;
mod jobs;
mod legacy;
mod load;
mod orders;
mod server;
mod sessions;
mod supervisor;
mod words;

use core::time::Duration;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: ravelin::Ravelin = ravelin::Ravelin;

/// A web service with Ravelin as its allocator: drives itself over loopback, prints its figures, lets one request run
/// into a double free, and shows that the service dies in that call and serves on after a restart.
#[derive(Clone, Debug, Parser)]
#[command(after_help = "\
Only 127.0.0.1 is ever listened on or connected to. The load ends at --requests or --seconds, whichever comes first.

The service (--serve) answers:
  POST /orders          price an order: JSON in, JSON out
  PUT  /sessions/{id}   keep a session's bytes, in a least-recently-used store with a budget
  GET  /sessions/{id}   give them back, or 404 once they were evicted
  POST /words           count the words of a text on worker threads
  POST /compress        gzip the body on a blocking thread
  GET  /stats           the service's and the allocator's figures as JSON
  GET  /stats/table     the allocator's figures as a table
  POST /legacy/close    close a handle twice: a double free (501 in a build that cannot notice it)

Exit status: 0 if the load was answered without a failure, the service died of the double free as it should, and
served again afterwards; 1 otherwise; 2 for wrong options.")]
pub(crate) struct Options {
    /// Requests of the load
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000), conflicts_with = "serve")]
    requests: u64,

    /// Longest time that the load may take, in seconds
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=3600), conflicts_with = "serve")]
    seconds: u64,

    /// Connections that the load keeps open
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024), conflicts_with = "serve")]
    connections: u16,

    /// Port on 127.0.0.1 that the service listens on (0: a free one)
    #[arg(long, default_value_t = 0)]
    port: u16,

    /// Threads that serve requests [default: one per core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Only serve, until Ctrl-C; the first line on standard output is the address
    #[arg(long)]
    serve: bool,

    /// Stop serving when standard input closes (how the supervisor stops its service)
    #[arg(long, requires = "serve")]
    supervised: bool,
}

impl Options {
    fn threads(&self) -> usize {
        self.threads.map_or_else(|| std::thread::available_parallelism().map_or(2, Into::into), usize::from)
    }

    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads())
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    if options.serve { runtime.block_on(server::run(options)) } else { runtime.block_on(supervisor::run(options)) }
}
