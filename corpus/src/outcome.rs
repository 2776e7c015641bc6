//! What has come of a case under an allocator that promises nothing: told from the signal, the words and the harm alone.

use crate::stage::{Case, End, Expect};
use crate::table::Column;
use serde::Serialize;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub enum Outcome {
    /// The process was stopped inside the guilty call.
    #[serde(rename = "D")]
    Died,
    /// It was stopped later, when the damage was met.
    #[serde(rename = "d")]
    DiedLater,
    /// The access itself faulted.
    #[serde(rename = "F")]
    Faulted,
    /// What is correct went well; or what is no misuse for this allocator had no effect.
    #[serde(rename = "ok")]
    Well,
    /// It crashed on the misuse without a word: not stopped, but not used either.
    #[serde(rename = "C")]
    Crashed,
    /// It said something, and went on.
    #[serde(rename = "R")]
    Reported,
    /// Nothing was noticed, and no harm seen.
    #[serde(rename = "N")]
    Unnoticed,
    /// Nothing was noticed, and harm was seen: two owners, foreign memory, old data.
    #[serde(rename = "X")]
    Harmed,
    /// It did not end.
    #[serde(rename = "T")]
    Hung,
    /// What is correct was flagged or went wrong.
    #[serde(rename = "W")]
    Wrong,
    /// It could not be played.
    #[serde(rename = "?")]
    Skipped,
}

impl Outcome {
    /// All of them, from the best to what is none.
    pub const ALL: [Outcome; 11] = [
        Outcome::Died,
        Outcome::DiedLater,
        Outcome::Faulted,
        Outcome::Well,
        Outcome::Crashed,
        Outcome::Reported,
        Outcome::Unnoticed,
        Outcome::Harmed,
        Outcome::Hung,
        Outcome::Wrong,
        Outcome::Skipped,
    ];

    /// For tables.
    #[must_use]
    pub fn letter(self) -> &'static str {
        match self {
            Outcome::Died => "D",
            Outcome::DiedLater => "d",
            Outcome::Faulted => "F",
            Outcome::Well => "ok",
            Outcome::Crashed => "C",
            Outcome::Reported => "R",
            Outcome::Unnoticed => "N",
            Outcome::Harmed => "X",
            Outcome::Hung => "T",
            Outcome::Wrong => "W",
            Outcome::Skipped => "?",
        }
    }

    /// In words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Outcome::Died => "stopped inside the guilty call",
            Outcome::DiedLater => "stopped later, when the damage was met",
            Outcome::Faulted => "the access itself faulted",
            Outcome::Well => "went well",
            Outcome::Crashed => "crashed on it without a word",
            Outcome::Reported => "said something, and went on",
            Outcome::Unnoticed => "not noticed, no harm seen",
            Outcome::Harmed => "not noticed, and harm was seen",
            Outcome::Hung => "hung",
            Outcome::Wrong => "flagged or failed, though it is correct",
            Outcome::Skipped => "could not be played",
        }
    }

    /// Whether a misuse was caught: the process stopped because of it, on purpose.
    #[must_use]
    pub fn is_caught(self) -> bool {
        matches!(self, Outcome::Died | Outcome::DiedLater | Outcome::Faulted)
    }

    /// Whether it is as good as can be: a misuse caught, something correct gone well.
    #[must_use]
    pub fn is_good(self) -> bool {
        self.is_caught() || self == Outcome::Well
    }
}

/// Whether every build must let the case go on.
#[must_use]
pub fn is_correct(case: &Case) -> bool {
    Column::ALL.iter().all(|&column| matches!(case.cell(column).expect, Expect::Survives | Expect::Says(_)))
}

/// Whether it is found after the guilty act, at best.
fn is_late(case: &Case) -> bool {
    Column::ALL.iter().any(|&column| {
        matches!(case.cell(column).expect, Expect::DiesLater(_) | Expect::Reports(_) | Expect::HarmlessOrDies(_))
    })
}

/// What came of the case.
#[must_use]
pub fn of(case: &Case, end: &End) -> Outcome {
    let ending = end.basic();
    let over = [libc::SIGALRM, libc::SIGXCPU, libc::SIGKILL];
    if ending.timed_out() || ending.signal().is_some_and(|signal| over.contains(&signal)) {
        return Outcome::Hung;
    }
    if end.skipped().is_some() {
        return Outcome::Skipped;
    }
    let well = ending.code() == Some(0) && end.harm().is_none();
    let words = !ending.stderr().trim().is_empty();
    if end.harm().is_some() {
        return Outcome::Harmed;
    }
    // What died before the misuse was begun has caught nothing.
    if !is_correct(case) && !well && end.basic().told().is_none() {
        return Outcome::Skipped;
    }
    if is_correct(case) {
        return if well && !words { Outcome::Well } else { Outcome::Wrong };
    }
    match (ending.signal(), ending.code()) {
        // The play itself could not go on.
        (None, Some(101)) => Outcome::Skipped,
        (None, Some(0)) if words => Outcome::Reported,
        (None, Some(0)) => Outcome::Unnoticed,
        (Some(libc::SIGSEGV | libc::SIGBUS), _) if end.is_stopped_in_access() => Outcome::Faulted,
        (Some(libc::SIGABRT), _) if end.is_stopped_in_access() && end.ours().next().is_some() => Outcome::Faulted,
        (Some(libc::SIGSEGV | libc::SIGBUS), _) if !words => Outcome::Crashed,
        (Some(libc::SIGABRT), _) if ending.stderr().contains("panicked at") && end.ours().next().is_none() => {
            Outcome::Skipped
        }
        _ if ending.call_returned() || is_late(case) => Outcome::DiedLater,
        _ => Outcome::Died,
    }
}

/// The first line of what was said, for people.
#[must_use]
pub fn words(end: &End) -> String {
    let said = end.harm().or_else(|| end.basic().stderr().lines().find(|line| !line.trim().is_empty()));
    said.unwrap_or_default().chars().take(300).collect()
}
