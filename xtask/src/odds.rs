//! What each defence that rests on chance is worth: counted by tests, which print a line for each, and given here with bounds.
//!
//! The tests are those of `cargo test`; only the number of trials differs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use crate::builds::Build;
use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// How often each chance is taken, at most: a test whose trials are dear takes fewer
    #[arg(long, default_value_t = 100_000_000)]
    pub trials: u64,
    /// Only the tests whose path holds this, as `cargo test` takes it
    filter: Option<String>,
    /// One table of all builds as Markdown
    #[arg(long)]
    markdown: bool,
    /// The builds
    #[arg(long, value_delimiter = ',', default_value = "hardened,paranoid")]
    builds: Vec<Build>,
}

impl Args {
    pub fn of(trials: u64) -> Self {
        Args { trials, filter: None, markdown: false, builds: vec![Build::Hardened, Build::Paranoid] }
    }
}

/// What was counted, and for which size of blocks if it was for one: the figures of each build.
type Table = BTreeMap<String, Vec<(Build, Option<String>, String)>>;

pub fn run(args: &Args) -> Result<()> {
    let mut table = Table::new();
    for &build in &args.builds {
        let lines = count(args, build)?;
        ensure!(!lines.is_empty(), "no test of the {} build counts anything", build.name());
        for line in lines {
            let (what, size, figure) = parts(&line).with_context(|| format!("a line without a figure: {line}"))?;
            let figure = match counted(figure) {
                Some((hits, of)) => format!("{figure} ({})", bounds(hits, of)),
                None => figure.to_owned(),
            };
            if !args.markdown {
                println!("{:9} {what:75} {:12} {figure}", build.name(), size.unwrap_or_default());
            }
            table.entry(what.to_owned()).or_default().push((build, size.map(str::to_owned), figure));
        }
    }
    if args.markdown {
        print_markdown(&table, &args.builds);
    }
    Ok(())
}

/// The lines that the tests of a build print.
fn count(args: &Args, build: Build) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let filter = args.filter.as_deref().unwrap_or("");
    for (target, filters) in [(&["--lib"][..], ["odds::", filter]), (&["--test", "odds"], ["", filter])] {
        let mut cargo = shell::cargo();
        cargo.args(["test", "--release", "--package", "ravelin"]).args(target);
        build.select(&mut cargo).env("ODDS_TRIALS", args.trials.to_string()).arg("--");
        // Of several filters any fits: of both, the narrower one.
        cargo.args(filters.into_iter().rfind(|part| !part.is_empty()));
        // One at a time: what runs beside it takes part in the order of a page.
        let text = shell::output(cargo.args(["--nocapture", "--test-threads", "1"]))?;
        lines.extend(text.lines().filter_map(|line| Some(line.split_once("odds: ")?.1.to_owned())));
    }
    Ok(lines)
}

/// `WHAT [SIZE]: FIGURE`, where not all have a size.
fn parts(line: &str) -> Option<(&str, Option<&str>, &str)> {
    let (what, figure) = line.split_once(": ")?;
    Some(match what.strip_suffix(']').and_then(|what| what.rsplit_once(" [")) {
        Some((what, size)) => (what, Some(size), figure),
        None => (what, None, figure),
    })
}

fn print_markdown(table: &Table, builds: &[Build]) {
    let heads: Vec<&str> = builds.iter().map(|build| build.name()).collect();
    println!("| what | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for (what, figures) in table {
        let cell = |build| {
            let of_build = figures.iter().filter(|(of, ..)| *of == build);
            let lines = of_build.map(|(_, size, figure)| match size {
                Some(size) => format!("{size}: {figure}"),
                None => figure.clone(),
            });
            lines.collect::<Vec<_>>().join("<br>")
        };
        println!("| {what} | {} |", builds.iter().map(|&build| cell(build)).collect::<Vec<_>>().join(" | "));
    }
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

    #[test]
    fn a_line_may_name_a_size() {
        assert_eq!(parts("a link [48 bytes]: 1 of 2"), Some(("a link", Some("48 bytes"), "1 of 2")));
        assert_eq!(parts("a link: p = 0.5"), Some(("a link", None, "p = 0.5")));
        assert_eq!(parts("nothing"), None);
    }
}
