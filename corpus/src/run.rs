//! Plays many cases side by side, counts, and prints.

use crate::allocator::{self, Allocator};
use crate::outcome::{self, Outcome};
use crate::page;
use crate::record::Record;
use crate::stage::{self, Callable, Case, Cases, End, Setting, Start};
use crate::table::{self, Column, ROWS, group_title};
use anyhow::{Context, Result, bail};
use clap::Parser;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::time::Duration;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

/// What to play, under what, and how to tell of it.
#[derive(Debug, Parser)]
#[command(name = "corpus", about = "The misuse corpus, under any malloc", version)]
pub struct Args {
    /// Only cases whose name holds one of these; a name begins with its row: a13_
    filters: Vec<String>,
    /// Play under this library too; give it several times to compare
    #[arg(long, value_name = "NAME=LIBRARY")]
    preload: Vec<String>,
    /// Without the process's own malloc
    #[arg(long)]
    without_system: bool,
    /// Assert what a column promises (h, p or g), with its options in force
    #[arg(long)]
    column: Option<Column>,
    /// List the cases and what is promised of them, and play none
    #[arg(long)]
    list: bool,
    /// Print results (or the list) as JSON
    #[arg(long)]
    json: bool,
    /// Print totals by group as a table in Markdown
    #[arg(long)]
    markdown: bool,
    /// Print every case, not only rows
    #[arg(long)]
    cases: bool,
    /// Write a page for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write what came of each row, together with what the file has already
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Fail if a row has other cases or another outcome than this file says
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Cases that are played at the same time
    #[arg(long)]
    jobs: Option<usize>,
    /// Only one form in so many of each row
    #[arg(long, default_value_t = 1, value_name = "N")]
    sample: usize,
    /// Play also what takes seconds
    #[arg(long)]
    slow: bool,
    /// Seconds after which a case counts as hung; 120 if not said where a column is asserted, which nothing should hang in, and else 20
    #[arg(long)]
    patience: Option<u64>,
}

/// What came of one case.
#[derive(Debug, Serialize)]
pub struct Played {
    /// The case.
    pub case: String,
    /// Its row.
    pub row: &'static str,
    /// The allocator, or the column.
    pub under: String,
    /// What was promised there, if anything was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promise: Option<&'static str>,
    /// What came of it.
    pub outcome: Outcome,
    /// How long the process lived.
    pub milliseconds: u128,
    /// The first line of what was said.
    pub words: String,
    /// How the promise was broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

#[cfg(test)]
impl Played {
    /// One of column h that took no time and said nothing.
    pub(crate) fn example(case: &str, row: &'static str, promise: &'static str, outcome: Outcome) -> Played {
        Played {
            case: case.into(),
            row,
            under: "h".into(),
            promise: Some(promise),
            outcome,
            milliseconds: 1,
            words: String::new(),
            failure: None,
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    case: &'a str,
    row: &'static str,
    title: &'static str,
    promises: BTreeMap<&'static str, &'static str>,
    callable_from_c: bool,
    slow: bool,
}

/// One of those that are compared.
struct Contender {
    name: String,
    setting: Setting,
}

impl Args {
    fn contenders(&self) -> Result<Vec<Contender>> {
        let patience = self.patience.unwrap_or(if self.column.is_some() { 120 } else { 20 });
        let setting = |preload| Setting { preload, column: self.column, patience: Some(Duration::from_secs(patience)) };
        let mut all = Vec::new();
        if !self.without_system {
            let name = self.column.map_or("system", Column::name);
            all.push(Contender { name: name.into(), setting: setting(None) });
        }
        for preload in &self.preload {
            let (name, library) = preload.split_once('=').with_context(|| format!("{preload}: NAME=LIBRARY"))?;
            let library = fs::canonicalize(library).with_context(|| library.to_owned())?;
            let library = library.to_str().context("a library's name that is not UTF-8")?.to_owned();
            all.push(Contender { name: name.into(), setting: setting(Some(library)) });
        }
        Ok(all)
    }

    fn takes(&self, case: &Case) -> bool {
        (self.slow || !case.slow)
            && (self.filters.is_empty() || self.filters.iter().any(|part| case.name.contains(part)))
    }
}

/// The main function of a program that plays the corpus: one case if it was started for that, or what its arguments ask for.
///
/// # Errors
/// If a promise was broken, or something is wrong with the arguments.
pub fn main(allocator: Allocator, cases: fn() -> Cases, args: impl IntoIterator<Item = String>) -> Result<()> {
    allocator::choose(allocator);
    let mut cases = Vec::from_iter(cases());
    stage::play(&mut cases);
    let args = Args::parse_from(args);
    cases.retain(|case| args.takes(case));
    cases.sort_by_key(|case| table::position(case.row().id));
    let mut forms: BTreeMap<&str, usize> = BTreeMap::new();
    cases.retain(|case| {
        let form = forms.entry(case.row().id).or_default();
        *form += 1;
        (*form - 1).is_multiple_of(args.sample.max(1))
    });
    if args.list {
        return list(&cases, args.json);
    }
    if cases.is_empty() {
        bail!("no such case");
    }
    let contenders = args.contenders()?;
    let played = play_all(&cases, &contenders, args.jobs);
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name.as_str()).collect();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&played)?);
    } else if args.markdown {
        print!("{}", totals(&played, &names));
    } else {
        print!("{}", table(&played, &names, args.cases));
    }
    if let Some(file) = &args.html {
        fs::write(file, page::of(&played, &names)).with_context(|| file.display().to_string())?;
        eprintln!("written: {}", file.display());
    }
    if let Some(file) = &args.record {
        let mut record = fs::read_to_string(file).map(|text| Record::read(&text)).unwrap_or_default();
        record.add(&played);
        fs::write(file, record.write()).with_context(|| file.display().to_string())?;
        eprintln!("recorded: {}", file.display());
    }
    let mut broken: Vec<String> = played
        .iter()
        .filter_map(|case| case.failure.as_ref().map(|why| format!("{} in {}: {why}", case.case, case.under)))
        .collect();
    if let Some(file) = &args.check {
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        broken.extend(Record::read(&text).differences(&played));
    }
    broken.iter().for_each(|line| eprintln!("CHANGED: {line}"));
    if broken.is_empty() { Ok(()) } else { bail!("{} cells are not what they were", broken.len()) }
}

fn list(cases: &[Case], json: bool) -> Result<()> {
    let listed: Vec<Listed<'_>> = cases
        .iter()
        .map(|case| Listed {
            case: &case.name,
            row: case.row().id,
            title: case.row().title,
            promises: Column::ALL.map(|column| (column.name(), case.cell(column).expect.letter())).into(),
            callable_from_c: case.callable == Callable::C,
            slow: case.slow,
        })
        .collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&listed)?);
        return Ok(());
    }
    println!("{:72} {:6} {:6} {:6}", "case", "h", "p", "g");
    for case in &listed {
        let promise = |column| case.promises.get(column).copied().unwrap_or_default();
        let remark = if case.callable_from_c { "" } else { " own" };
        println!("{:72} {:6} {:6} {:6}{remark}", case.case, promise("h"), promise("p"), promise("g"));
    }
    println!("{} cases", listed.len());
    Ok(())
}

fn play_all(cases: &[Case], contenders: &[Contender], jobs: Option<usize>) -> Vec<Played> {
    let plays: Vec<(&Case, &Contender)> = cases
        .iter()
        .flat_map(|case| contenders.iter().map(move |contender| (case, contender)))
        .filter(|(case, contender)| {
            contender.setting.column.is_some() && contender.setting.preload.is_none() || case.callable == Callable::C
        })
        .filter(|(case, contender)| {
            contender.setting.column.is_none_or(|column| case.cell(column).needs.lacking().is_none())
        })
        .collect();
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    // What is played stays here: a thread needs only what it takes to start a process.
    let starts: Vec<Start<'_>> = plays
        .iter()
        .map(|(case, contender)| Start { name: &case.name, arrange: case.arrange, setting: &contender.setting })
        .collect();
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Relaxed);
                    let Some(start) = starts.get(at) else { break };
                    let end = start.end();
                    done.lock().expect("nobody panics").push((at, end));
                }
            });
        }
    });
    let mut ends = done.into_inner().expect("nobody panics");
    ends.sort_by_key(|(at, _)| *at);
    let results = ends.into_iter().map(|(at, end)| {
        let (case, contender) = plays[at];
        Played::of(case, contender.setting.column, contender.name.clone(), &end)
    });
    results.collect()
}

impl Played {
    /// What the end of its process says of a case under an allocator, or in a column.
    #[must_use]
    pub fn of(case: &Case, column: Option<Column>, under: String, end: &End) -> Played {
        let promise = column.map(|column| case.cell(column).expect);
        let failure = match end.skipped() {
            Some(_) => None,
            None => promise.and_then(|expect| expect.judge(end).err()),
        };
        // A play that promises to say something has said it: nothing was to be noticed.
        let outcome = match (outcome::of(case, end), promise) {
            (Outcome::Unnoticed, Some(promise)) if failure.is_none() && promise.is_survival() => Outcome::Well,
            (outcome, _) => outcome,
        };
        Played {
            case: case.name.clone(),
            row: case.row().id,
            under,
            promise: promise.map(|expect| expect.letter()),
            outcome,
            milliseconds: end.basic().lived().as_millis(),
            words: outcome::words(end),
            failure: failure.map(|why| format!("{why}{end}")),
        }
    }
}

/// Counts of outcomes.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<Outcome, usize>);

impl Tally {
    /// Of these.
    pub fn of<'a>(played: impl IntoIterator<Item = &'a Played>) -> Tally {
        let mut tally = Tally::default();
        played.into_iter().for_each(|case| *tally.0.entry(case.outcome).or_default() += 1);
        tally
    }

    /// How many there are of one.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.0.get(&outcome).copied().unwrap_or(0)
    }

    /// Of all those that could be played.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().filter(|(outcome, _)| **outcome != Outcome::Skipped).map(|(_, count)| count).sum()
    }

    /// Misuses caught and correct things gone well.
    #[must_use]
    pub fn good(&self) -> usize {
        self.0.iter().filter(|(outcome, _)| outcome.is_good()).map(|(_, count)| count).sum()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Such as `D84`, or `D80 N4`.
    #[must_use]
    pub fn brief(&self) -> String {
        let parts: Vec<String> = self.0.iter().map(|(outcome, count)| format!("{}{count}", outcome.letter())).collect();
        parts.join(" ")
    }
}

/// What was played, as a table for a terminal.
#[must_use]
pub fn table(played: &[Played], names: &[&str], every_case: bool) -> String {
    let mut text = String::new();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0).max(15) + 1;
    let line = |text: &mut String, head: &str, rest: &str, cells: &[String]| {
        let _ = write!(text, "{head:4} {rest:56}");
        for cell in cells {
            let _ = write!(text, " {cell:width$}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    };
    let head: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    line(&mut text, "", "", &head);
    let mut groups: BTreeMap<&str, Vec<&Played>> = BTreeMap::new();
    played.iter().for_each(|case| groups.entry(&case.row[..1]).or_default().push(case));
    for (group, played) in &groups {
        let _ = writeln!(text, "\n{group}. {}", group_title(group));
        for row in ROWS.iter().filter(|row| row.group() == *group) {
            let of_row: Vec<&&Played> = played.iter().filter(|case| case.row == row.id).collect();
            if of_row.is_empty() {
                continue;
            }
            let cells = by_name(names, |name| {
                Tally::of(of_row.iter().filter(|case| case.under == name).map(|case| **case)).brief()
            });
            let title: String = row.title.chars().take(56).collect();
            line(&mut text, row.id, &title, &cells);
            if every_case {
                let cases: BTreeSet<&str> = of_row.iter().map(|case| case.case.as_str()).collect();
                for name in cases {
                    let cells = by_name(names, |under| {
                        let found = of_row.iter().find(|case| case.case == name && case.under == under);
                        found.map_or_else(String::new, |case| case.outcome.letter().into())
                    });
                    line(&mut text, "", name, &cells);
                }
            }
        }
        let totals = by_name(names, |name| good_of(played.iter().copied().filter(|case| case.under == name)));
        line(&mut text, "", "caught, or correct and gone well", &totals);
    }
    let _ = writeln!(text);
    let totals = by_name(names, |name| good_of(played.iter().filter(|case| case.under == name)));
    line(&mut text, "", "all groups", &totals);
    let harm = by_name(names, |name| {
        Tally::of(played.iter().filter(|case| case.under == name)).count(Outcome::Harmed).to_string()
    });
    line(&mut text, "", "harm seen", &harm);
    let _ = writeln!(text);
    for outcome in Outcome::ALL {
        if played.iter().any(|case| case.outcome == outcome) {
            let _ = writeln!(text, "{:2} {}", outcome.letter(), outcome.meaning());
        }
    }
    text
}

/// Totals by group, in Markdown: misuses caught and correct things gone well, of all that were played.
#[must_use]
pub fn totals(played: &[Played], names: &[&str]) -> String {
    let mut text = format!("| | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    let groups: BTreeSet<&str> = played.iter().map(|case| case.row.get(..1).unwrap_or_default()).collect();
    let mut line = |head: &str, cell: &dyn Fn(&str) -> String| {
        let _ = writeln!(text, "| {head} | {} |", by_name(names, cell).join(" | "));
    };
    for group in groups {
        let of_group =
            |name: &str| good_of(played.iter().filter(|case| case.under == name && case.row.starts_with(group)));
        line(&format!("{group}. {}", group_title(group)), &of_group);
    }
    line("all", &|name| good_of(played.iter().filter(|case| case.under == name)));
    for outcome in
        [Outcome::Crashed, Outcome::Reported, Outcome::Unnoticed, Outcome::Harmed, Outcome::Hung, Outcome::Wrong]
    {
        let count = |name: &str| Tally::of(played.iter().filter(|case| case.under == name)).count(outcome).to_string();
        line(outcome.meaning(), &count);
    }
    text
}

fn by_name(names: &[&str], cell: impl Fn(&str) -> String) -> Vec<String> {
    names.iter().map(|name| cell(name)).collect()
}

fn good_of<'a>(played: impl IntoIterator<Item = &'a Played>) -> String {
    let tally = Tally::of(played);
    format!("{}/{}", tally.good(), tally.total())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_count_what_was_caught_and_what_went_well() {
        let tally = Tally::of(&[
            Played::example("a", "A1", "D", Outcome::Died),
            Played::example("b", "A1", "D", Outcome::Skipped),
            Played::example("c", "A1", "D", Outcome::Reported),
            Played::example("d", "J1", "OK", Outcome::Well),
        ]);
        assert_eq!((tally.good(), tally.total()), (2, 3));
    }
}
