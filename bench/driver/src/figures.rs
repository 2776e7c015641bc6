//! From runs to figures: medians of ratios to the baseline in the same round, how sure they are, and geometric means.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Result, bail};
use serde::Serialize;

use crate::peers::{BASELINE, OURS};
use crate::rounds::{Plan, Run, Setting};
use crate::run::Cost;

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, PartialOrd, Ord, Hash)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// User and system time.
    Cpu,
    Wall,
    Peak,
    Settled,
    Faults,
}

impl Measure {
    pub const ALL: [Measure; 5] = [Measure::Cpu, Measure::Wall, Measure::Peak, Measure::Settled, Measure::Faults];

    pub fn of(self, cost: &Cost) -> f64 {
        let value = match self {
            Measure::Cpu => cost.cpu(),
            Measure::Wall => cost.wall,
            Measure::Peak => cost.peak,
            Measure::Settled => cost.settled,
            Measure::Faults => cost.minor + cost.major,
        };
        value as f64
    }

    pub fn title(self) -> &'static str {
        match self {
            Measure::Cpu => "CPU time",
            Measure::Wall => "wall time",
            Measure::Peak => "peak RSS",
            Measure::Settled => "settled RSS",
            Measure::Faults => "page faults",
        }
    }
}

/// A ratio to the baseline, and the interval that holds 95 of 100 medians of resampled rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ratio {
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub rounds: usize,
}

impl Ratio {
    /// A tenth or more between the ends: not to be relied upon.
    pub fn noisy(&self) -> bool {
        self.rounds < 3 || self.high - self.low > 0.1 * self.median
    }
}

/// What one peer did on one bench.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cell {
    pub ratios: BTreeMap<Measure, Ratio>,
    /// Medians of what was measured: microseconds, KiB, counts.
    pub medians: BTreeMap<Measure, f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

#[derive(Serialize)]
pub struct Figures {
    pub setting: Setting,
    pub rounds: u32,
    pub benches: Vec<String>,
    pub peers: Vec<String>,
    /// By bench, by peer.
    pub cells: BTreeMap<String, BTreeMap<String, Cell>>,
    /// By peer: geometric means over the benches that it ran, with intervals.
    pub means: BTreeMap<String, BTreeMap<Measure, Ratio>>,
    /// Peers that could not be had, and why.
    pub missing: Vec<(String, String)>,
}

impl Figures {
    pub fn of(plan: &Plan, runs: Vec<Run>, missing: Vec<(String, String)>) -> Figures {
        let benches: Vec<String> = plan.benches.iter().map(|bench| bench.name.clone()).collect();
        let peers: Vec<String> = plan.peers.iter().map(|peer| peer.name.clone()).collect();
        let mut by: HashMap<(&str, &str), Vec<&Run>> = HashMap::new();
        for run in runs.iter().filter(|run| run.round < plan.rounds) {
            by.entry((&run.bench, &run.peer)).or_default().push(run);
        }
        let none = Vec::new();
        let mut cells: BTreeMap<String, BTreeMap<String, Cell>> = BTreeMap::new();
        let mut resampled: BTreeMap<(&str, Measure), Vec<Vec<f64>>> = BTreeMap::new();
        for bench in &benches {
            let base = by.get(&(bench.as_str(), BASELINE)).unwrap_or(&none);
            let expected = base.iter().find(|run| run.failed.is_none()).map(|run| run.outcome.as_str());
            for peer in &peers {
                let Some(runs) = by.get(&(bench.as_str(), peer.as_str())) else { continue };
                let failed = runs.iter().find_map(|run| run.failed.clone());
                let mut cell = Cell { failed, ..Cell::default() };
                if expected
                    .is_some_and(|expected| runs.iter().any(|run| run.failed.is_none() && run.outcome != expected))
                {
                    cell.failed = Some("another result than under the baseline".to_owned());
                }
                if cell.failed.is_none() {
                    for measure in Measure::ALL {
                        let pairs = pairs(runs, base, measure);
                        let Some(ratio) = ratio(&pairs) else { continue };
                        cell.ratios.insert(measure, ratio);
                        cell.medians.insert(measure, median(runs.iter().map(|run| measure.of(&run.cost)).collect()));
                        resampled.entry((peer, measure)).or_default().push(pairs);
                    }
                }
                cells.entry(bench.clone()).or_default().insert(peer.clone(), cell);
            }
        }
        let mut means: BTreeMap<String, BTreeMap<Measure, Ratio>> = BTreeMap::new();
        for ((peer, measure), benches) in resampled {
            means.entry(peer.to_owned()).or_default().insert(measure, mean(&benches));
        }
        Figures { setting: plan.setting(), rounds: plan.rounds, benches, peers, cells, means, missing }
    }

    pub fn cell(&self, bench: &str, peer: &str) -> Option<&Cell> {
        self.cells.get(bench)?.get(peer)
    }

    pub fn ratio(&self, bench: &str, peer: &str, measure: Measure) -> Option<Ratio> {
        self.cell(bench, peer)?.ratios.get(&measure).copied()
    }

    /// A bench that one of ours, or the baseline, cannot run is a failure of the whole.
    pub fn failed_ours(&self) -> Result<()> {
        let mut failed = Vec::new();
        for (bench, cells) in &self.cells {
            for (peer, cell) in cells {
                let counts = peer == BASELINE || OURS.contains(&peer.as_str());
                if let Some(why) = cell.failed.as_ref().filter(|_| counts) {
                    failed.push(format!("{bench} under {peer}: {why}"));
                }
            }
        }
        if !failed.is_empty() {
            bail!("failed: {}", failed.join("; "));
        }
        Ok(())
    }
}

/// This peer's value over the baseline's, of each round that has both.
fn pairs(runs: &[&Run], base: &[&Run], measure: Measure) -> Vec<f64> {
    let both = runs.iter().filter_map(|run| {
        let base = base.iter().find(|base| base.round == run.round && base.failed.is_none())?;
        let (value, base) = (measure.of(&run.cost), measure.of(&base.cost));
        (value > 0.0 && base > 0.0).then(|| value / base)
    });
    both.collect()
}

const RESAMPLES: usize = 1000;

fn ratio(pairs: &[f64]) -> Option<Ratio> {
    if pairs.is_empty() {
        return None;
    }
    let mut random = fastrand::Rng::with_seed(1);
    let medians = (0..RESAMPLES).map(|_| median(resample(pairs, &mut random))).collect();
    let (low, high) = interval(medians);
    Some(Ratio { median: median(pairs.to_vec()), low, high, rounds: pairs.len() })
}

/// The geometric mean of the benches' medians.
fn mean(benches: &[Vec<f64>]) -> Ratio {
    let geometric =
        |medians: Vec<f64>| (medians.iter().map(|ratio| ratio.ln()).sum::<f64>() / medians.len() as f64).exp();
    let mut random = fastrand::Rng::with_seed(2);
    let means = (0..RESAMPLES)
        .map(|_| geometric(benches.iter().map(|pairs| median(resample(pairs, &mut random))).collect()))
        .collect();
    let (low, high) = interval(means);
    let median = geometric(benches.iter().map(|pairs| median(pairs.clone())).collect());
    Ratio { median, low, high, rounds: benches.iter().map(Vec::len).min().unwrap_or(0) }
}

fn resample(from: &[f64], random: &mut fastrand::Rng) -> Vec<f64> {
    (0..from.len()).map(|_| from[random.usize(..from.len())]).collect()
}

fn interval(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    (values[values.len() / 40], values[values.len() - 1 - values.len() / 40])
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_ratio_lies_in_its_interval_and_steady_rounds_have_a_narrow_one() {
        let steady = ratio(&[1.01, 1.0, 0.99, 1.02, 1.0]).unwrap();
        assert!(steady.low <= steady.median && steady.median <= steady.high && !steady.noisy());
        assert_eq!(steady.median, 1.0);
        assert!(ratio(&[0.7, 1.0, 1.9, 1.1, 1.6]).unwrap().noisy());
        assert!(ratio(&[1.0, 1.0]).unwrap().noisy(), "two rounds say nothing");
        assert!(ratio(&[]).is_none());
    }

    #[test]
    fn the_mean_is_geometric() {
        let mean = mean(&[vec![2.0; 3], vec![0.5; 3]]);
        assert!((mean.median - 1.0).abs() < 1e-12 && mean.rounds == 3);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let run = |round, user| Run {
            bench: String::new(),
            peer: String::new(),
            round,
            failed: None,
            cost: Cost { user, ..Cost::default() },
            outcome: String::new(),
        };
        let (mine, base) = ([run(0, 10), run(2, 60)], [run(2, 30), run(0, 10), run(1, 5)]);
        let refer = |runs: &[Run]| runs.iter().map(|run| run.clone()).collect::<Vec<_>>();
        let (mine, base) = (refer(&mine), refer(&base));
        let pairs = pairs(&mine.iter().collect::<Vec<_>>(), &base.iter().collect::<Vec<_>>(), Measure::Cpu);
        assert_eq!(pairs, [1.0, 2.0]);
    }
}
