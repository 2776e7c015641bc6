//! What runs when, and the file that remembers it.
//!
//! A round is every bench once under every peer. Benches come in shuffled order, and within one the peers do: what
//! the machine does beside us meets them all. Every run is a line in `runs.jsonl`; whoever is interrupted goes on there.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::benches::{self, Bench};
use crate::peers::{BASELINE, Peer};
use crate::run::Cost;
use crate::shell;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    Smoke,
    Quick,
    Full,
}

impl Size {
    pub fn name(self) -> &'static str {
        match self {
            Size::Smoke => "smoke",
            Size::Quick => "quick",
            Size::Full => "full",
        }
    }
}

pub struct Plan {
    pub size: Size,
    pub scale: f64,
    pub rounds: u32,
    pub peers: Vec<Peer>,
    pub benches: Vec<Bench>,
    out: PathBuf,
}

/// One line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub bench: String,
    pub peer: String,
    pub round: u32,
    /// What went wrong, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    #[serde(default)]
    pub cost: Cost,
    #[serde(default)]
    pub outcome: String,
}

/// What a file of runs belongs to: others are not gone on with.
#[derive(PartialEq, Serialize, Deserialize)]
pub struct Setting {
    pub size: String,
    pub scale: f64,
    pub threads: usize,
    pub kernel: String,
    pub processor: String,
    /// The fingerprint of the shapes: other work is other results.
    pub shapes: String,
    /// Each allocator and a fingerprint of its library: a rebuilt one is another one.
    pub peers: Vec<(String, String)>,
}

impl Plan {
    pub fn new(
        size: Size,
        scale: Option<f64>,
        rounds: Option<u32>,
        peers: Vec<Peer>,
        benches: Vec<Bench>,
        out: PathBuf,
    ) -> Self {
        let (usual_scale, usual_rounds) = match size {
            Size::Smoke => (0.02, 1),
            Size::Quick => (0.12, 3),
            Size::Full => (1.0, 7),
        };
        let (scale, rounds) = (scale.unwrap_or(usual_scale), rounds.unwrap_or(usual_rounds));
        Plan { size, scale, rounds, peers, benches, out }
    }

    pub fn setting(&self) -> Setting {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Setting {
            size: self.size.name().to_owned(),
            scale: self.scale,
            threads: benches::threads(),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: model.map_or_else(String::new, |(_, name)| name.to_owned()),
            shapes: shell::fingerprint(&shell::work_dir().join("release/shapes")),
            peers: self.peers.iter().map(|peer| (peer.name.clone(), peer.fingerprint())).collect(),
        }
    }

    /// Opens the file of runs, and takes over what fits.
    ///
    /// Peers and benches may be left out or come back; a library that has changed loses its runs, and a machine that
    /// has changed loses all.
    pub fn open(&self, fresh: bool) -> Result<Log> {
        let (path, setting_path) = (self.out.join("runs.jsonl"), self.out.join("setting.json"));
        let setting = self.setting();
        let old: Option<Setting> =
            fs::read_to_string(&setting_path).ok().and_then(|text| serde_json::from_str(&text).ok());
        let mut runs = Vec::new();
        let mut peers = setting.peers.clone();
        if let Some(old) = old.filter(|_| !fresh) {
            let same = old.size == setting.size
                && old.scale == setting.scale
                && old.threads == setting.threads
                && old.shapes == setting.shapes
                && old.kernel == setting.kernel
                && old.processor == setting.processor;
            let text = fs::read_to_string(&path).unwrap_or_default();
            let known = text.lines().filter_map(|line| serde_json::from_str::<Run>(line).ok());
            let fits = |run: &Run| {
                let fingerprint = |peers: &[(String, String)]| {
                    peers.iter().find(|(name, _)| *name == run.peer).map(|(_, print)| print.clone())
                };
                let now = fingerprint(&setting.peers);
                same && (now.is_none() || now == fingerprint(&old.peers))
            };
            known.filter(fits).for_each(|run| replace(&mut runs, run));
            if same {
                let left_out =
                    old.peers.into_iter().filter(|(name, _)| !setting.peers.iter().any(|(now, _)| now == name));
                peers.extend(left_out);
            }
        }
        let mut file = fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        for run in &runs {
            writeln!(file, "{}", serde_json::to_string(run)?)?;
        }
        fs::write(&setting_path, serde_json::to_string_pretty(&Setting { peers, ..setting })?)?;
        Ok(Log { runs: Mutex::new(runs), file: Mutex::new(file) })
    }
}

/// The runs that there are.
pub struct Log {
    runs: Mutex<Vec<Run>>,
    file: Mutex<fs::File>,
}

impl Log {
    pub fn runs(&self) -> Vec<Run> {
        self.runs.lock().map(|runs| runs.clone()).unwrap_or_default()
    }

    /// Runs what is missing.
    pub fn carry_out(&self, plan: &Plan) -> Result<()> {
        let done: HashMap<(String, String, u32), ()> =
            self.runs().into_iter().map(|run| ((run.bench, run.peer, run.round), ())).collect();
        let total: u64 =
            plan.benches.iter().map(|bench| plan.peers.iter().filter(|peer| bench.fits(peer)).count() as u64).sum();
        let bar = ProgressBar::new(total * u64::from(plan.rounds));
        let style = "{elapsed_precise} {bar:30} {pos}/{len} (about {eta} left) {msg}";
        bar.set_style(ProgressStyle::with_template(style)?);
        for round in 0..plan.rounds {
            // From the round's number, so that a run that goes on has the same order.
            let mut random = fastrand::Rng::with_seed(u64::from(round) + 1);
            let mut benches: Vec<&Bench> = plan.benches.iter().collect();
            random.shuffle(&mut benches);
            for bench in benches {
                let mut peers: Vec<&Peer> = plan.peers.iter().filter(|peer| bench.fits(peer)).collect();
                random.shuffle(&mut peers);
                let todo = |peer: &&&Peer| !done.contains_key(&(bench.name.clone(), peer.name.clone(), round));
                let is_done = !peers.iter().any(|peer| todo(&peer));
                if is_done {
                    bar.inc(peers.len() as u64);
                    continue;
                }
                // All that is compared is of one and the same round: if some are to be run, all are run again.
                if round == 0 {
                    self.warm_up(bench, plan);
                }
                for peer in peers {
                    bar.set_message(format!("{} {}", bench.name, peer.name));
                    self.add(one(bench, peer, plan, round))?;
                    bar.inc(1);
                }
                let alone = !plan.peers.iter().any(|peer| peer.name == BASELINE);
                anyhow::ensure!(!alone, "the baseline is missing");
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// One run that is not counted: programs and inputs come into the page cache.
    fn warm_up(&self, bench: &Bench, plan: &Plan) {
        if let Some(peer) = plan.peers.iter().find(|peer| peer.name == BASELINE) {
            let _ = bench.run(peer, plan.size, plan.scale * 0.2);
        }
    }

    fn add(&self, run: Run) -> Result<()> {
        if let Ok(mut file) = self.file.lock() {
            writeln!(file, "{}", serde_json::to_string(&run)?)?;
        }
        if let Ok(mut runs) = self.runs.lock() {
            replace(&mut runs, run);
        }
        Ok(())
    }
}

/// A run that was made again is worth nothing any more.
fn replace(runs: &mut Vec<Run>, run: Run) {
    runs.retain(|old| (&old.bench, &old.peer, old.round) != (&run.bench, &run.peer, run.round));
    runs.push(run);
}

fn one(bench: &Bench, peer: &Peer, plan: &Plan, round: u32) -> Run {
    let (bench_name, peer_name) = (bench.name.clone(), peer.name.clone());
    match bench.run(peer, plan.size, plan.scale) {
        Ok((cost, outcome)) => Run { bench: bench_name, peer: peer_name, round, failed: None, cost, outcome },
        Err(error) => Run {
            bench: bench_name,
            peer: peer_name,
            round,
            failed: Some(format!("{error:#}")),
            cost: Cost::default(),
            outcome: String::new(),
        },
    }
}
