//! Shapes: small programs that each put one kind of load on an allocator, written for this project.
//!
//! ```text
//! SHAPES   name -> function over a Face
//! Face     C: malloc and free, so that LD_PRELOAD decides    Rust: the program's global allocator
//! Block, Own, Shared     what a shape holds; dropping one frees it
//! ```
//!
//! A shape does a fixed amount of work, whatever the machine: it is the time that is compared. It is seeded, so that
//! every allocator gets the same requests (but for the order in which threads meet). What it computes is printed as
//! a checksum, which holds off the optimiser and must be the same under every allocator.

mod batches;
mod churn;
mod collections;
mod crossing;
mod face;
mod factor;
mod giveback;
mod large;
mod lines;
mod lists;
mod memory;
mod minimize;
mod persistent;
mod store;
mod text;
mod threads;
mod tree;

use std::time::{Duration, Instant};

pub use face::{C, Face, Rust};

/// How much of a shape is done.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// 1 is the full size, which takes a fast allocator about half a second.
    pub scale: f64,
    pub threads: usize,
}

impl Job {
    /// So many rounds of the many that the full size has, and at least one.
    pub fn rounds(&self, full: usize) -> usize {
        ((full as f64 * self.scale) as usize).max(1)
    }
}

/// A shape: its name, what it is, and its function, which returns a checksum.
pub struct Shape {
    pub name: &'static str,
    pub what: &'static str,
    c: fn(&Job) -> u64,
    rust: fn(&Job) -> u64,
}

/// Generic functions cannot stand in a table; their two instances can.
macro_rules! shapes {
    ($($name:literal $what:literal $($path:ident)::+;)*) => {
        &[$(Shape { name: $name, what: $what, c: $($path)::+::<C>, rust: $($path)::+::<Rust> },)*]
    };
}

pub const SHAPES: &[Shape] = shapes! {
    "factor" "big numbers factored: millions of small blocks, each gone soon" factor::factor;
    "minimize" "a logic minimiser: cubes and covers of them, growing and shrinking" minimize::minimize;
    "bodies" "n bodies: a tree built and dropped for every step" tree::bodies;
    "persistent" "trees whose old versions live on, shared and counted" persistent::persistent;
    "store" "a key-value store: hash table, strings, ordered index, expiry" store::store;
    "parse" "records read from text, linked, printed and dropped" text::parse;
    "words" "words cut from text, joined, counted" text::words;
    "lists" "long linked lists built, reversed, thinned out, dropped" lists::lists;
    "pair" "one small block after the other" lists::pair;
    "stack" "many blocks of one size taken, and given back last first" lists::stack;
    "queue" "many blocks of one size, given back first first" lists::queue;
    "zeroed" "zeroed blocks of all sizes" lists::zeroed;
    "churn-1k" "random sizes, random places, 1 k blocks live" churn::live_1k;
    "churn-64k" "the same, 64 k blocks live" churn::live_64k;
    "churn-1m" "the same, 1 M blocks live" churn::live_1m;
    "slots" "sizes by a power law, from 8 bytes to 64 KiB, touched throughout" churn::slots;
    "burst" "a power law of sizes in bursts over a small working set, a thread each" churn::burst;
    "batches" "batches of one size after the other, of mixed lifetimes" batches::batches;
    "batches-threads" "the same in threads, each batch freed by whoever comes next" batches::crossed;
    "handed-on" "threads replace blocks at random, end, and hand theirs to the next" crossing::handed_on;
    "handover" "some threads only allocate, the others only free" crossing::handover;
    "messages" "every thread allocates, keeps, and swaps blocks with the others" crossing::messages;
    "crossed" "threads free at random, half of it of others, up to 8 KB" crossing::crossed;
    "pipeline" "messages that grow on their way through stages" crossing::pipeline;
    "births" "threads that live for a moment" threads::births;
    "crowd" "many threads alive, each with little" threads::crowd;
    "lines-passive" "neighbours on a cache line given to several threads" lines::passive;
    "lines-active" "threads write to blocks of their own that could share a line" lines::active;
    "grow" "buffers that grow a little at a time, many at once" large::grow;
    "grow-one" "one buffer that doubles up to 64 MiB" large::grow_one;
    "aligned" "alignments from 32 bytes to 4 KiB" large::aligned;
    "large-256k" "256 KiB blocks, touched throughout" large::blocks_256k;
    "large-2m" "2 MiB blocks, touched throughout" large::blocks_2m;
    "large-25m" "5 to 25 MiB, touched throughout, 20 live" large::blocks_25m;
    "large-64m" "64 MiB blocks, touched throughout" large::blocks_64m;
    "large-mix" "16 KiB to 4 MiB, partly touched, some live" large::mix;
    "peak" "a peak of small blocks, after which one in a thousand stays" giveback::peak;
    "fragments" "holes of one size, then requests of another" giveback::fragments;
    "collections" "String, Vec, HashMap, BTreeMap" collections::collections;
    "collections-threads" "the same in threads, with channels between them" collections::threaded;
};

/// What a shape took and left, as far as it can tell itself.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub checksum: u64,
    pub wall: Duration,
    /// Resident memory when all is freed and has had a moment to settle, in KiB.
    pub settled: u64,
}

/// Runs one shape.
///
/// # Errors
/// If there is none of this name.
pub fn run(name: &str, over: Over, job: &Job, rest: Duration) -> Result<Report, String> {
    let shape = SHAPES.iter().find(|shape| shape.name == name).ok_or_else(|| format!("no shape {name}"))?;
    let start = Instant::now();
    let checksum = match over {
        Over::C => (shape.c)(job),
        Over::Rust => (shape.rust)(job),
    };
    let wall = start.elapsed();
    giveback::settle(rest);
    Ok(Report { checksum, wall, settled: giveback::resident_kib() })
}

/// Which face the shapes use.
#[derive(Clone, Copy, Debug)]
pub enum Over {
    C,
    Rust,
}

/// The whole program: `NAME SCALE THREADS REST_MS`, and prints a [`Report`].
pub fn main(over: Over) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<f64>().ok());
    let (Some(name), Some(scale), Some(threads), Some(rest)) = (arguments.first(), number(1), number(2), number(3))
    else {
        eprintln!("usage: NAME SCALE THREADS REST_MS; the names are:");
        SHAPES.iter().for_each(|shape| println!("{:20} {}", shape.name, shape.what));
        std::process::exit(2)
    };
    let job = Job { scale, threads: threads as usize };
    match run(name, over, &job, Duration::from_millis(rest as u64)) {
        Ok(report) => {
            println!("checksum={} wall_us={} settled_kib={}", report.checksum, report.wall.as_micros(), report.settled);
        }
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2)
        }
    }
}
