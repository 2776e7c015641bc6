//! Unmodified programs, run without the library and with each build of it preloaded.
//!
//! ```text
//!             prepared once          in a scratch folder of its own each time
//! program --> inputs (data) --> [ none ] --> output, cost       the outputs must be the same;
//!                           --> [ fast ] --> output, cost       the costs are put side by side;
//!                           --> [ hardened ] --> output, cost   a report on stderr is a failure
//!                           --> [ paranoid ] --> output, cost   (at full size, or when asked for)
//! ```
//!
//! - [`setting`]: how a program is run: what is preloaded, where, at which size; commands and servers under it.
//! - [`data`]: generated inputs, the same every time.
//! - [`cost`]: what a run took.
//! - the others: a program or a family of programs each, as a [`Program`].
//!
//! The programs are the distribution's own. Servers listen on the loopback interface or on a socket file. Nothing here
//! goes on for ever: every command has a deadline and every count is bounded.

mod cost;
mod data;
mod git;
mod gxx;
mod nginx;
mod node;
mod perl;
mod python;
mod redis;
mod setting;
mod sqlite;
mod text;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::builds::Build;
use crate::{dist, shell};
use cost::Cost;
use setting::{Bench, Setting};

/// How much work the programs get.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// For CI: all programs within a few minutes.
    Quick,
    /// The long runs, each three times, of which the fastest counts.
    Full,
}

impl Size {
    /// One of two amounts.
    pub fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Size::Quick => quick,
            Size::Full => full,
        }
    }
}

/// A program, or a few that belong together.
struct Program {
    name: &'static str,
    /// Does its work once and says what came out: text that must not depend on time, chance or the allocator.
    run: fn(&Bench) -> Result<String>,
}

const PROGRAMS: [Program; 11] = [
    Program { name: "python3", run: python::run },
    Program { name: "perl", run: perl::run },
    Program { name: "git", run: git::run },
    Program { name: "sqlite3", run: sqlite::run },
    Program { name: "g++", run: gxx::run },
    Program { name: "node", run: node::run },
    Program { name: "redis", run: redis::run },
    Program { name: "nginx", run: nginx::run },
    Program { name: "gawk", run: text::gawk },
    Program { name: "sort", run: text::sort },
    Program { name: "xz", run: text::xz },
];

#[derive(clap::Args)]
pub struct Args {
    /// Small inputs, once each (the default)
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Large inputs, three times each
    #[arg(long)]
    full: bool,
    /// Preload this library instead of building and preloading those of the builds
    #[arg(long, conflicts_with = "builds")]
    library: Option<PathBuf>,
    /// The builds: fast and hardened, and with --full paranoid too, if none is named
    #[arg(long, value_delimiter = ',')]
    builds: Vec<Build>,
    /// Only these programs
    #[arg(value_parser = PROGRAMS.map(|program| program.name))]
    programs: Vec<String>,
}

impl Args {
    /// All programs at a size.
    pub fn of(size: Size) -> Args {
        Args { quick: size == Size::Quick, full: size == Size::Full, library: None, builds: vec![], programs: vec![] }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let size = if args.full { Size::Full } else { Size::Quick };
    let settings = settings(args, size)?;
    let work = shell::target_dir()?.join("real-programs");
    let data = data::generate(&work.join("data"), size)?;

    println!("wall time, CPU time (user and system) and peak memory of a process, and their ratio to the first column");
    print!("{:8} {:>5}", "", "");
    settings.iter().for_each(|setting| print!(" {:>19}", setting.label));
    println!();
    let mut failures = Vec::new();
    for program in &PROGRAMS {
        if !args.programs.is_empty() && !args.programs.iter().any(|name| name == program.name) {
            continue;
        }
        match compare(program, &settings, &data, &work, size) {
            Ok(costs) => cost::print_rows(program.name, &costs),
            Err(error) => {
                println!("{:8} FAILED: {error:#}", program.name);
                failures.push(program.name);
            }
        }
    }
    if !failures.is_empty() {
        bail!("real programs that failed: {}", failures.join(", "));
    }
    Ok(())
}

/// Without a library first, then with each.
fn settings(args: &Args, size: Size) -> Result<Vec<Setting>> {
    let mut settings = vec![Setting::without()];
    if let Some(library) = &args.library {
        let path = fs::canonicalize(library).with_context(|| format!("no library {}", library.display()))?;
        settings.push(Setting::with("library", path));
        return Ok(settings);
    }
    let builds = match (&args.builds[..], size) {
        ([], Size::Quick) => vec![Build::Fast, Build::Hardened],
        ([], Size::Full) => Build::all()?,
        (named, _) => named.to_vec(),
    };
    for build in builds {
        dist::make(build)?;
        let setting = Setting::with(build.name(), fs::canonicalize(dist::shared_library(build))?);
        setting.confirm_build(build.name())?;
        settings.push(setting);
    }
    Ok(settings)
}

/// Runs the program under every setting.
///
/// # Errors
/// If a run fails, or prints other than the first. Both outputs are kept then, and the error names the files.
fn compare(program: &Program, settings: &[Setting], data: &Path, work: &Path, size: Size) -> Result<Vec<Cost>> {
    let mut costs = Vec::new();
    let mut expected: Option<String> = None;
    for setting in settings {
        let mut best: Option<Cost> = None;
        for _ in 0..size.pick(1, 3) {
            let bench = Bench::new(setting, data, size)?;
            let output = (program.run)(&bench).with_context(|| format!("under {}", setting.label))?;
            match &expected {
                None => expected = Some(output),
                Some(expected) if *expected == output => {}
                Some(expected) => return Err(difference(program.name, setting, work, expected, &output)?),
            }
            best = Some(bench.cost().min(best));
        }
        costs.extend(best);
    }
    Ok(costs)
}

fn difference(program: &str, setting: &Setting, work: &Path, expected: &str, output: &str) -> Result<anyhow::Error> {
    let [plain, preloaded] = ["none", &setting.label].map(|label| work.join(format!("{program}-{label}.txt")));
    fs::write(&plain, expected)?;
    fs::write(&preloaded, output)?;
    let mut lines = expected.lines().zip(output.lines()).zip(1..);
    let first = lines.find(|((left, right), _)| left != right).map_or_else(
        || format!("{} lines against {}", expected.lines().count(), output.lines().count()),
        |((left, right), number)| format!("line {number}: `{left}` against `{right}`"),
    );
    Ok(anyhow::anyhow!(
        "other output under {}: {first} ({} and {})",
        setting.label,
        plain.display(),
        preloaded.display()
    ))
}
