//! The work. The list is fixed: a bench that is taken out is a result that is taken out.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::peers::{Peer, Programs};
use crate::programs::{self, Program};
use crate::rounds::Size;
use crate::run::{self, Cost};
use crate::shell;

/// What is run.
#[derive(Clone)]
pub enum Work {
    /// A shape over `malloc`, the library preloaded.
    Shape,
    /// A shape over the global allocator, which the program was linked with.
    RustShape,
    /// A real program.
    Program(&'static Program),
}

#[derive(Clone)]
pub struct Bench {
    pub name: String,
    pub what: String,
    pub work: Work,
}

/// Those that a Rust program meets differently than a C program does: sizes are known at free, and calls inline.
const OVER_RUST: [&str; 8] =
    ["pair", "churn-64k", "persistent", "handover", "messages", "grow", "collections", "collections-threads"];

/// The smoke test's.
const SMOKE: [&str; 1] = ["collections"];

pub fn all() -> Vec<Bench> {
    let shape = |shape: &shapes::Shape, work: Work, prefix: &str| Bench {
        name: format!("{prefix}{}", shape.name),
        what: shape.what.to_owned(),
        work,
    };
    let mut benches: Vec<Bench> = shapes::SHAPES.iter().map(|known| shape(known, Work::Shape, "")).collect();
    let over_rust = shapes::SHAPES.iter().filter(|known| OVER_RUST.contains(&known.name));
    benches.extend(over_rust.map(|known| shape(known, Work::RustShape, "rust-")));
    benches.extend(programs::PROGRAMS.iter().map(|program| Bench {
        name: program.name.to_owned(),
        what: program.what.to_owned(),
        work: Work::Program(program),
    }));
    benches
}

pub fn list() {
    println!("benches:");
    for bench in all() {
        println!("  {:26} {}", bench.name, bench.what);
    }
}

/// The benches whose name begins with one of these.
pub fn choose(size: Size, wanted: &[String]) -> Result<Vec<Bench>> {
    let named = |bench: &Bench| match wanted {
        [] => size != Size::Smoke || SMOKE.contains(&bench.name.as_str()),
        _ => wanted.iter().any(|name| bench.name.starts_with(name.as_str())),
    };
    let fits = |bench: &Bench| !matches!(bench.work, Work::Program(program) if !program.fits(size));
    let chosen: Vec<Bench> = all().into_iter().filter(|bench| named(bench) && fits(bench)).collect();
    anyhow::ensure!(!chosen.is_empty(), "no bench of that name; --list tells them");
    Ok(chosen)
}

/// Builds what they run and makes what they read.
pub fn prepare(benches: &[Bench]) -> Result<()> {
    shapes_program()?;
    for bench in benches {
        if let Work::Program(program) = bench.work {
            program.prepare().with_context(|| format!("preparing {}", bench.name))?;
        }
    }
    Ok(())
}

/// Whether any of them needs programs with the allocator linked in.
pub fn programs(benches: &[Bench]) -> Programs {
    match benches.iter().any(|bench| matches!(bench.work, Work::RustShape)) {
        true => Programs::Wanted,
        false => Programs::Unwanted,
    }
}

fn shapes_program() -> Result<PathBuf> {
    let manifest = shell::bench_dir().join("shapes/Cargo.toml");
    shell::quietly(shell::cargo(&manifest).args(["build", "--release"]))?;
    Ok(shell::work_dir().join("release/shapes"))
}

/// The threads of the shapes that have some: what the machine has, and never so many that the list is about the machine.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, |threads| threads.get().clamp(2, 8))
}

impl Bench {
    /// Whether this peer can run it at all.
    pub fn fits(&self, peer: &Peer) -> bool {
        match self.work {
            Work::RustShape => peer.program.is_some(),
            _ => peer.preloads,
        }
    }

    /// Runs it once. What comes back beside the cost must be the same under every peer.
    pub fn run(&self, peer: &Peer, size: Size, scale: f64) -> Result<(Cost, String)> {
        let scratch = run::scratch()?;
        let (program, preload) = match self.work {
            Work::Program(program) => return program.run(peer, scale, &scratch),
            Work::Shape => (shell::work_dir().join("release/shapes"), peer.library.as_deref()),
            Work::RustShape => (peer.program.clone().context("no program with this global allocator")?, None),
        };
        let name = self.name.strip_prefix("rust-").filter(|_| matches!(self.work, Work::RustShape));
        let rest = match size {
            Size::Full => Duration::from_millis(100),
            _ => Duration::from_millis(20),
        };
        let arguments = [
            name.unwrap_or(&self.name).to_owned(),
            scale.to_string(),
            threads().to_string(),
            rest.as_millis().to_string(),
        ];
        let (mut cost, output) = run::measured(preload, &scratch, &program, &arguments)?.finish()?;
        let text = String::from_utf8_lossy(&output);
        let field = |name: &str| text.split_whitespace().find_map(|word| word.strip_prefix(name)).map(str::to_owned);
        let number = |name: &str| field(name).and_then(|value| value.parse().ok()).context("the shape told nothing");
        cost.wall = number("wall_us=")?;
        cost.settled = number("settled_kib=")?;
        Ok((cost, field("checksum=").unwrap_or_default()))
    }
}
