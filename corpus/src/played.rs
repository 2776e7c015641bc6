//! What came of one case, and what was promised of it.

use crate::outcome::{self, Outcome};
use crate::stage::{Case, End};
use crate::table::Column;
use serde::Serialize;

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

/// Where guards are watched, an access that was stopped has a report of its kind, which names the block that was announced.
///
/// # Errors
/// Says what is wrong with it.
fn is_explained(case: &Case, column: Option<Column>, end: &End) -> Result<(), String> {
    if column != Some(Column::G) || !end.is_stopped_in_access() {
        return Ok(());
    }
    let kinds: &[&str] = match case.row().group() {
        "A" | "E" => &["use after free"],
        "C" | "D" => &["buffer overflow", "buffer underflow"],
        _ => &["use after free", "buffer overflow", "buffer underflow"],
    };
    let line = end.ours().next().ok_or("the access was stopped, and no report says why")?;
    let begins_well = |kind: &&str| line.strip_prefix("ravelin: ").is_some_and(|text| text.starts_with(*kind));
    if !kinds.iter().any(begins_well) || !(line.contains(" in read at ") || line.contains(" in write at ")) {
        return Err(format!("the report should say {kinds:?}, and which access it was: {line}"));
    }
    let (block, _) = end.basic().told().ok_or("no pointer was announced")?;
    // Of a huge block that was freed, nothing is known any more.
    if line.contains("(block ") && !line.contains(&format!(", page {block:#x},")) {
        return Err(format!("the report should be about the block at {block:#x}: {line}"));
    }
    Ok(())
}

impl Played {
    /// What the end of its process says of a case under an allocator, or in a column.
    #[must_use]
    pub fn of(case: &Case, column: Option<Column>, under: String, end: &End) -> Played {
        let promise = column.map(|column| case.cell(column).expect);
        let failure = match end.skipped() {
            Some(_) => None,
            None => promise.and_then(|expect| expect.judge(end).and_then(|()| is_explained(case, column, end)).err()),
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
