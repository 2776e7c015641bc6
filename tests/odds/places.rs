//! Where memory lies: seen over many processes.

use super::{allocate, say, say_figure, trials};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::HashMap;
use std::process::Command;

const CHILD: &str = "RUN_AS_A_CHILD_OF_THE_ODDS";

/// Not a test: what the children do. One line of addresses.
#[test]
fn in_a_child() {
    if std::env::var_os(CHILD).is_some() {
        let small = allocate(64).addr();
        let large = allocate(1 << 20).addr();
        let huge = allocate(64 << 20).addr();
        println!("places: {small} {large} {huge}");
    }
}

fn places(of: usize) -> Vec<[usize; 3]> {
    let program = std::env::current_exe().expect("this test is a file");
    (0..of)
        .map(|_| {
            let mut command = Command::new(&program);
            command.args(["--exact", "places::in_a_child", "--nocapture"]).env(CHILD, "1");
            let output = command.output().expect("the test can start itself");
            let text = String::from_utf8_lossy(&output.stdout);
            let line = text.lines().find_map(|line| line.strip_prefix("places: ")).expect("a line of places");
            let places: Vec<usize> = line.split(' ').map(|word| word.parse().expect("a number")).collect();
            places.try_into().expect("three places")
        })
        .collect()
}

/// Over a bit's two values.
fn entropy(ones: usize, of: usize) -> f64 {
    let p = ones as f64 / of as f64;
    [p, 1.0 - p].into_iter().filter(|&p| p > 0.0).map(|p| -p * p.log2()).sum()
}

/// H4: bits that differ from run to run, bit by bit: an upper bound of what is to be guessed. And pairs of runs that agree in the place as a
/// whole, which bounds it from below.
#[test]
fn addresses_differ_from_run_to_run() {
    let of = trials(100, 4_000);
    let runs = places(of);
    for (index, what) in ["the first small block", "a 1 MiB block", "a 64 MiB block"].into_iter().enumerate() {
        let bits: f64 =
            (4..47).map(|bit| entropy(runs.iter().filter(|run| run[index] >> bit & 1 == 1).count(), of)).sum();
        let mut counts: HashMap<usize, usize> = HashMap::new();
        runs.iter().for_each(|run| *counts.entry(run[index]).or_default() += 1);
        let pairs: usize = counts.values().map(|&n| n * (n - 1) / 2).sum();
        say_figure(&format!("bits of the address of {what}, one by one"), format!("{bits:.1} bits"));
        say(&format!("pairs of runs with the same address of {what}"), pairs, of * (of - 1) / 2);
        // The huge one lies where the kernel maps it, at a multiple of 32 MiB; the others where the engine draws.
        let least = if index == 2 { 11.0 } else { 20.0 };
        assert!(bits > least && pairs * 500 <= of * (of - 1) / 2, "{what}: {bits} bits, {pairs} pairs agree");
    }
    // The slice of the first small block in the 32 of the lowest 2 MiB of its segment.
    let mut slices = [0_usize; 32];
    runs.iter().for_each(|run| slices[run[0] >> 16 & 31] += 1);
    let used = slices.iter().filter(|&&count| count > 0).count();
    let expected = of as f64 / used as f64;
    let statistic: f64 =
        slices.iter().filter(|&&count| count > 0).map(|&n| (n as f64 - expected).powi(2) / expected).sum();
    let p = 1.0 - ChiSquared::new(used as f64 - 1.0).expect("degrees of freedom").cdf(statistic);
    // Pages of several slices, which may come before it, leave the ends of a window free more often than its middle.
    let outermost = slices[1] + slices[31];
    say("the first slice is one of the two outermost, of 31", outermost, of);
    assert!(outermost * 5 <= of, "{slices:?}");
    say_figure("chi-square of the first slice", format!("{statistic:.0} over {used} slices, p = {p:.3}"));
    assert!(used >= 24 && p > 1e-6, "{slices:?}");
}
