//! What our builds are meant to reach, and where they do not yet.

use crate::figures::{Figures, Measure};

/// Limits of a build, as ratios to the baseline.
struct Goal {
    build: &'static str,
    time: f64,
    peak: f64,
    /// On any single bench.
    worst: f64,
    /// And no slower on any bench than these.
    not_slower_than: &'static [&'static str],
    /// And no slower in the mean than these.
    mean_not_above: &'static [&'static str],
}

const GOALS: [Goal; 3] = [
    Goal { build: "fast", time: 1.0, peak: 1.05, worst: 1.15, not_slower_than: &[], mean_not_above: &[] },
    Goal {
        build: "hardened",
        time: 1.05,
        peak: 1.1,
        worst: 1.35,
        not_slower_than: &["mimalloc-secure", "hardened-malloc-light", "scudo"],
        mean_not_above: &[],
    },
    Goal {
        build: "paranoid",
        time: 1.4,
        peak: 1.3,
        worst: f64::INFINITY,
        not_slower_than: &[],
        mean_not_above: &["mimalloc-secure", "hardened-malloc-light"],
    },
];

/// Two decimals are shown: what looks like the limit is within it.
const SHOWN: f64 = 0.005;

/// One line for each limit that is not met.
pub fn missed(figures: &Figures) -> Vec<String> {
    let mut missed = Vec::new();
    for goal in &GOALS {
        let Some(means) = figures.means.get(goal.build) else { continue };
        let mean =
            |peer: &str, measure| figures.means.get(peer).and_then(|means| means.get(&measure)).map(|mean| mean.median);
        for (measure, limit) in [(Measure::Cpu, goal.time), (Measure::Peak, goal.peak)] {
            if let Some(mean) = means.get(&measure).filter(|mean| mean.median > limit + SHOWN) {
                missed.push(format!(
                    "{}: {} {:.2}, meant to be at most {limit:.2}",
                    goal.build,
                    measure.title(),
                    mean.median
                ));
            }
        }
        for peer in goal.mean_not_above {
            if let (Some(ours), Some(theirs)) = (mean(goal.build, Measure::Cpu), mean(peer, Measure::Cpu)) {
                if ours <= theirs {
                    continue;
                }
                missed.push(format!("{}: time {ours:.2}, slower than {peer} with {theirs:.2}", goal.build));
            }
        }
        for bench in &figures.benches {
            let Some(ours) = figures.ratio(bench, goal.build, Measure::Cpu) else { continue };
            let noisy = if ours.noisy() { " (noisy)" } else { "" };
            if ours.median > goal.worst + SHOWN {
                missed.push(format!(
                    "{} on {bench}: {:.2}, meant to be at most {:.2}{noisy}",
                    goal.build, ours.median, goal.worst
                ));
            }
            for peer in goal.not_slower_than {
                if let Some(theirs) =
                    figures.ratio(bench, peer, Measure::Cpu).filter(|theirs| theirs.median + SHOWN < ours.median)
                {
                    missed.push(format!(
                        "{} on {bench}: {:.2}, slower than {peer} with {:.2}{noisy}",
                        goal.build, ours.median, theirs.median
                    ));
                }
            }
        }
    }
    missed
}
