//! The same as a page for a browser: self-contained, with a colour for each outcome and what was said on hover.

use crate::outcome::Outcome;
use crate::played::Played;
use crate::table::{ROWS, group_title};
use crate::tally::Tally;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const STYLE: &str = "
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 2rem; max-width: 110rem; }
table { border-collapse: collapse; }
th, td { padding: 2px 8px; text-align: left; border-bottom: 1px solid #8884; vertical-align: top; }
thead th { position: sticky; top: 0; background: Canvas; }
.title { max-width: 34rem; }
.case td:nth-child(2) { padding-left: 2rem; font-family: ui-monospace, monospace; font-size: 12px; }
.total td { font-weight: 600; border-bottom: 2px solid #888; }
.cell { white-space: nowrap; }
.o { display: inline-block; padding: 0 5px; margin: 1px; border-radius: 3px; color: #000; }
.o-D, .o-d, .o-F, .o-ok { background: #8fd694; } .o-d { background: #b7e4b0; } .o-F { background: #9fd8e8; }
.o-C { background: #f3e08a; } .o-R { background: #f6c177; } .o-N { background: #d5d5d5; }
.o-X, .o-W { background: #f08a8a; } .o-T { background: #d8a1e8; } .o-q { background: #eee; }
tbody.closed .case { display: none; }
tr.row { cursor: pointer; }
";

const SCRIPT: &str = "
for (const row of document.querySelectorAll('tr.row')) row.onclick = () => row.parentNode.classList.toggle('closed');
";

/// The page.
#[must_use]
pub fn of(played: &[Played], names: &[&str]) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>The misuse corpus</title><style>{STYLE}</style></head><body>\
         <h1>The misuse corpus</h1><p>Each case is a misuse of the heap in a process of its own. A click on a row shows its cases; what was said \
         is shown on hover.</p><p>"
    );
    for outcome in Outcome::ALL {
        let _ = write!(page, "{} {} &nbsp; ", mark(outcome, outcome.letter(), ""), outcome.meaning());
    }
    page.push_str("</p><table><thead><tr><th></th><th></th>");
    for name in names {
        let _ = write!(page, "<th>{}</th>", escaped(name));
    }
    page.push_str("</tr></thead>");
    let mut group = "";
    for row in ROWS {
        let of_row: Vec<&Played> = played.iter().filter(|case| case.row == row.id).collect();
        if of_row.is_empty() {
            continue;
        }
        if row.group() != group {
            group = row.group();
            let title = format!("{group}. {}: caught, or correct and gone well", group_title(group));
            totals(&mut page, &title, names, |name| {
                Tally::of(played.iter().filter(|case| case.under == name && case.row.starts_with(group)))
            });
        }
        let _ = write!(
            page,
            "<tbody class=\"closed\"><tr class=\"row\"><th>{}</th><td class=\"title\">{}</td>",
            row.id,
            escaped(row.title)
        );
        for name in names {
            page.push_str("<td class=\"cell\">");
            let mut by_outcome: BTreeMap<Outcome, Vec<&Played>> = BTreeMap::new();
            for case in of_row.iter().filter(|case| case.under == *name) {
                by_outcome.entry(case.outcome).or_default().push(case);
            }
            for (outcome, cases) in by_outcome {
                let said = cases.iter().map(|case| case.words.as_str()).find(|words| !words.is_empty()).unwrap_or("");
                page.push_str(&mark(outcome, &format!("{} {}", outcome.letter(), cases.len()), said));
            }
            page.push_str("</td>");
        }
        page.push_str("</tr>");
        let mut by_case: BTreeMap<&str, BTreeMap<&str, &Played>> = BTreeMap::new();
        for case in &of_row {
            by_case.entry(&case.case).or_default().insert(&case.under, case);
        }
        for (name, cells) in by_case {
            let _ = write!(page, "<tr class=\"case\"><td></td><td>{}</td>", escaped(name));
            for under in names {
                let cell = cells.get(under).map(|case| mark(case.outcome, case.outcome.letter(), &case.words));
                let _ = write!(page, "<td>{}</td>", cell.unwrap_or_default());
            }
            page.push_str("</tr>");
        }
        page.push_str("</tbody>");
    }
    totals(&mut page, "All groups", names, |name| Tally::of(played.iter().filter(|case| case.under == name)));
    let _ = writeln!(page, "</table><script>{SCRIPT}</script></body></html>");
    page
}

fn totals(page: &mut String, title: &str, names: &[&str], tally: impl Fn(&str) -> Tally) {
    let _ = write!(page, "<tbody><tr class=\"total\"><td></td><td>{}</td>", escaped(title));
    for name in names {
        let tally = tally(name);
        let _ = write!(page, "<td title=\"{}\">{}/{}</td>", escaped(&tally.brief()), tally.good(), tally.total());
    }
    page.push_str("</tr></tbody>");
}

fn mark(outcome: Outcome, text: &str, said: &str) -> String {
    let class = if outcome == Outcome::Skipped { "q" } else { outcome.letter() };
    let title = if said.is_empty() { outcome.meaning().to_owned() } else { format!("{}: {said}", outcome.meaning()) };
    format!("<span class=\"o o-{class}\" title=\"{}\">{}</span>", escaped(&title), escaped(text))
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if c.is_control() => safe.push('?'),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_says_cannot_leave_its_place() {
        let played = Played {
            case: "a1_twice".into(),
            row: "A1",
            under: "<b>".into(),
            promise: None,
            outcome: Outcome::Died,
            milliseconds: 1,
            words: "\"><script>alert(1)</script>\u{1b}[1m".into(),
            failure: None,
        };
        let page = of(&[played], &["<b>"]);
        assert!(!page.contains("<script>alert") && !page.contains("<b>") && !page.contains('\u{1b}'));
        assert!(page.contains("&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;?[1m"));
    }
}
