//! The example that libravelin's README shows, built against an installed package: it prints what is shown there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::shell;

const README: &str = "libravelin/README.md";
const COMMAND: &str = "$ env MIMALLOC_SHOW_STATS=1 build/factor ";

/// Builds it in `folder` by CMake, which finds the package under `prefix`.
pub fn holds(prefix: &Path, folder: &Path) -> Result<()> {
    let mut cmake = shell::command("cmake");
    cmake.arg("-S").arg("libravelin/examples/factor").arg("-B").arg(folder);
    shell::run_quietly(cmake.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())))?;
    shell::run_quietly(shell::command("cmake").arg("--build").arg(folder))?;

    let readme = fs::read_to_string(shell::root().join(README))?;
    let (number, shown) = shown(&readme)?;
    let output = shell::command(folder.join("factor")).arg(number).env("MIMALLOC_SHOW_STATS", "1").output()?;
    ensure!(output.status.success(), "the example fails: {}", output.status);
    let (primes, statistics) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    compare(&shown, primes.lines().chain(statistics.lines()))
}

/// The number to split and the lines that follow in the README.
fn shown(readme: &str) -> Result<(&str, Vec<&str>)> {
    let (_, rest) = readme.split_once(COMMAND).with_context(|| format!("{README} does not show `{COMMAND}`"))?;
    let (number, rest) = rest.split_once('\n').context("nothing follows")?;
    Ok((number, rest.lines().take_while(|line| *line != "```").collect()))
}

/// Every line that is shown is printed, in this order; `...` stands for lines that are not shown. The first is the same, letter by
/// letter; the others have figures that change from run to run, and the same words.
fn compare<'a>(shown: &[&str], mut printed: impl Iterator<Item = &'a str>) -> Result<()> {
    ensure!(printed.next() == shown.first().copied(), "{README} shows other primes than the example prints");
    for line in shown.iter().skip(1).filter(|line| **line != "...") {
        let found = printed.any(|printed| words(printed) == words(line));
        ensure!(found, "{README} shows a line that the example does not print, or in another order: {line}");
    }
    Ok(())
}

/// What a line says, without its figures and their units.
fn words(line: &str) -> Vec<&str> {
    let says = |word: &&str| {
        let plain = word.trim_end_matches(',');
        !plain.starts_with(|c: char| c.is_ascii_digit()) && !["KiB", "MiB", "GiB", "s"].contains(&plain)
    };
    line.split_whitespace().filter(says).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_may_differ_and_words_and_order_may_not() {
        let shown = ["6 = 2 * 3", "heap stats: peak", "...", "process: user: 0.01 s, rss: 1.8 MiB"];
        let printed = "6 = 2 * 3\nheap stats: peak\nreserved: 0\nprocess: user: 0.2 s, rss: 900 KiB";
        assert!(compare(&shown, printed.lines()).is_ok());
        assert!(compare(&["6 = 6"], printed.lines()).is_err());
        assert!(compare(&["6 = 2 * 3", "reserved: 7", "heap stats: peak"], printed.lines()).is_err());
        assert!(compare(&["6 = 2 * 3", "process: system: 0.01 s"], printed.lines()).is_err());
    }
}
