//! What each defence that rests on chance is worth: counted by tests, which print a line for each, and given here with bounds.
//!
//! The tests are those of `cargo test`; only the number of trials differs.

use anyhow::{Context, Result, ensure};

use crate::builds::Build;
use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// How often each chance is taken, at most: a test whose trials are dear takes fewer
    #[arg(long, default_value_t = 100_000_000)]
    pub trials: u64,
    /// Only the lines that hold this
    filter: Option<String>,
    /// The table as Markdown
    #[arg(long)]
    markdown: bool,
    /// The build: fast, hardened or paranoid
    #[arg(long, default_value = "hardened")]
    build: Build,
}

impl Args {
    pub fn of(trials: u64) -> Self {
        Args { trials, filter: None, markdown: false, build: Build::Hardened }
    }
}

pub fn run(args: &Args) -> Result<()> {
    let mut lines = Vec::new();
    for tests in [["--lib", "odds"], ["--test", "odds"]] {
        let mut cargo = shell::cargo();
        cargo.args(["test", "--release", "--package", "ravelin", tests[0]]);
        if tests[0] == "--test" {
            cargo.arg(tests[1]);
        }
        args.build.select(&mut cargo).env("ODDS_TRIALS", args.trials.to_string()).arg("--");
        if tests[0] == "--lib" {
            cargo.arg(tests[1]);
        }
        // One at a time: what runs beside it takes part in the order of a page.
        let text = shell::output(cargo.args(["--nocapture", "--test-threads", "1"]))?;
        lines.extend(text.lines().filter_map(|line| Some(line.split_once("odds: ")?.1.to_owned())));
    }
    lines.sort();
    ensure!(!lines.is_empty(), "no test of this build counts anything");
    if args.markdown {
        println!("| what | seen | 95% bounds |\n|---|---|---|");
    }
    for line in lines.iter().filter(|line| args.filter.as_ref().is_none_or(|wanted| line.contains(wanted.as_str()))) {
        let (what, figure) = line.rsplit_once(": ").context("a line without a figure")?;
        let bounds = match counted(figure) {
            Some((hits, of)) => bounds(hits, of),
            None => String::new(),
        };
        if args.markdown {
            println!("| {what} | {figure} | {bounds} |");
        } else {
            println!("{what:75} {figure:>24}   {bounds}");
        }
    }
    Ok(())
}

fn counted(figure: &str) -> Option<(u64, u64)> {
    let (hits, of) = figure.split_once(" of ")?;
    Some((hits.parse().ok()?, of.parse().ok()?))
}

/// Wilson's score interval of 95 %: sound for rare events too, where the normal one is not.
fn bounds(hits: u64, of: u64) -> String {
    const Z: f64 = 1.959_964;
    let (n, p) = (of as f64, hits as f64 / of as f64);
    let centre = p + Z * Z / (2.0 * n);
    let margin = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let [low, high] = [centre - margin, centre + margin].map(|edge| edge / (1.0 + Z * Z / n));
    match hits {
        0 => format!("below {high:.1e}"),
        _ if hits == of => format!("above {low:.4}"),
        _ => format!("{low:.2e} to {high:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of Wilson's interval as tables give them.
    #[test]
    fn bounds_are_wilsons() {
        assert_eq!(bounds(0, 1000), "below 3.8e-3");
        assert_eq!(bounds(5, 10), "2.37e-1 to 7.63e-1");
        assert_eq!(bounds(10, 10), "above 0.7225");
    }
}
