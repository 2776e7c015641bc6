//! Plays many cases side by side, and tells of them as it is asked to.

use crate::allocator::{self, Allocator};
use crate::page;
use crate::played::Played;
use crate::record::Record;
use crate::stage::{self, Callable, Case, Cases, Setting, Start};
use crate::table::{self, Column};
use crate::text;
use anyhow::{Context, Result, bail};
use clap::Parser;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use core::time::Duration;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

/// What to play, under what, and how to tell of it.
#[derive(Debug, Parser)]
#[command(name = "corpus", about = "The misuse corpus, under any malloc", version)]
pub struct Args {
    /// Only cases whose name holds one of these; a name begins with its row: a13_
    filters: Vec<String>,
    /// Play under this library too; give it several times to compare. Without a name it has that of its file
    #[arg(long, value_name = "[NAME=]LIBRARY")]
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
            let (name, path) = named(preload);
            let library = fs::canonicalize(path).with_context(|| path.to_owned())?;
            let library = library.to_str().context("a library's name that is not UTF-8")?.to_owned();
            is_preloaded(&library)?;
            all.push(Contender { name: name.into(), setting: setting(Some(library)) });
        }
        Ok(all)
    }

    fn takes(&self, case: &Case) -> bool {
        (self.slow || !case.slow)
            && (self.filters.is_empty() || self.filters.iter().any(|part| case.name.contains(part)))
    }
}

/// What a library is called, and where it is: `NAME=LIBRARY`, or a path alone.
fn named(preload: &str) -> (&str, &str) {
    let is_name = |(name, _): &(&str, &str)| !name.contains('/');
    preload.split_once('=').filter(is_name).unwrap_or_else(|| {
        let file = preload.rsplit('/').next().unwrap_or(preload);
        (file.split(".so").next().unwrap_or(file), preload)
    })
}

/// The loader only warns of what it cannot load, and goes on with the system's own `malloc`: that would be taken for the library's.
fn is_preloaded(library: &str) -> Result<()> {
    let mut itself = Command::new(std::env::current_exe()?);
    let output = itself.arg("--version").env("LD_PRELOAD", library).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains("cannot be preloaded") {
        bail!("{library} cannot be preloaded, {}: {}", output.status, said.trim());
    }
    Ok(())
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
        print!("{}", text::totals(&played, &names));
    } else {
        print!("{}", text::table(&played, &names, args.cases));
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
        let recorded = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        broken.extend(Record::read(&recorded).differences(&played));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_has_a_name_of_its_own_or_its_file_s() {
        assert_eq!(named("mi=/usr/lib/libmimalloc.so.2.0"), ("mi", "/usr/lib/libmimalloc.so.2.0"));
        assert_eq!(named("/usr/lib/libmimalloc.so.2.0"), ("libmimalloc", "/usr/lib/libmimalloc.so.2.0"));
        assert_eq!(named("/a=b/lib.so"), ("lib", "/a=b/lib.so"));
        assert_eq!(named("x.so"), ("x", "x.so"));
    }

    #[test]
    fn what_is_no_library_is_refused() {
        let refused = is_preloaded("/etc/passwd").expect_err("no library");
        assert!(refused.to_string().contains("/etc/passwd cannot be preloaded"), "{refused}");
    }
}
