//! What is written: `results.json` with everything, and `table.md` for people, which is shown as well.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::figures::{Figures, Measure, Ratio};
use crate::goals;
use crate::peers::BASELINE;

pub fn write(figures: &Figures, out: &Path) -> Result<()> {
    fs::write(out.join("results.json"), serde_json::to_string_pretty(figures)?)?;
    let text = markdown(figures);
    fs::write(out.join("table.md"), &text)?;
    print!("{text}");
    Ok(())
}

fn markdown(figures: &Figures) -> String {
    let setting = &figures.setting;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} rounds of size {} ({}x), {} threads, {}, Linux {}. Ratios to {BASELINE}: below 1 is faster or smaller.\n",
        figures.rounds, setting.size, setting.scale, setting.threads, setting.processor, setting.kernel
    );
    means(&mut text, figures);
    for measure in [Measure::Cpu, Measure::Peak] {
        benches(&mut text, figures, measure);
    }
    settled(&mut text, figures);
    failures(&mut text, figures);
    // One or two rounds say nothing about them.
    let missed = if figures.rounds < 3 { Vec::new() } else { goals::missed(figures) };
    if !missed.is_empty() {
        let _ = writeln!(text, "\nBeyond the goals:\n");
        missed.iter().for_each(|line| {
            let _ = writeln!(text, "- {line}");
        });
    }
    text
}

fn means(text: &mut String, figures: &Figures) {
    let mut rows = vec![row(&["geometric mean", "CPU time", "wall time", "peak RSS", "page faults", "slowest bench"])];
    let mut peers: Vec<&String> = figures.peers.iter().collect();
    let time = |peer: &String| {
        figures.means.get(peer).and_then(|means| means.get(&Measure::Cpu)).map_or(f64::MAX, |r| r.median)
    };
    peers.sort_by(|a, b| time(a).total_cmp(&time(b)));
    for peer in peers {
        let Some(means) = figures.means.get(peer) else { continue };
        let mean = |measure| {
            means.get(&measure).map_or_else(
                || "-".to_owned(),
                |ratio: &Ratio| format!("{:.2} [{:.2}, {:.2}]", ratio.median, ratio.low, ratio.high),
            )
        };
        let slowest = figures
            .benches
            .iter()
            .filter_map(|bench| Some((bench, figures.ratio(bench, peer, Measure::Cpu)?.median)))
            .max_by(|(_, a), (_, b)| a.total_cmp(b));
        let slowest = slowest.map_or_else(String::new, |(bench, ratio)| format!("{ratio:.2} ({bench})"));
        let columns = [Measure::Cpu, Measure::Wall, Measure::Peak, Measure::Faults].map(mean);
        rows.push(row(&[&[peer.clone()][..], &columns[..], &[slowest]].concat()));
    }
    table(text, &rows);
}

fn benches(text: &mut String, figures: &Figures, measure: Measure) {
    let _ = writeln!(text);
    let peers: Vec<&String> = figures.peers.iter().filter(|peer| *peer != BASELINE).collect();
    let unit = if measure == Measure::Cpu { "ms" } else { "MiB" };
    let mut head = vec![measure.title().to_owned(), format!("{BASELINE} ({unit})")];
    head.extend(peers.iter().map(|peer| (*peer).clone()));
    let mut rows = vec![row(&head)];
    for bench in &figures.benches {
        let base = figures.cell(bench, BASELINE).and_then(|cell| cell.medians.get(&measure));
        let mut columns = vec![
            bench.clone(),
            base.map_or_else(String::new, |value| match measure {
                Measure::Cpu => format!("{:.0}", value / 1000.0),
                _ => format!("{:.1}", value / 1024.0),
            }),
        ];
        for peer in &peers {
            columns.push(match figures.cell(bench, peer) {
                None => String::new(),
                Some(cell) if cell.failed.is_some() => "failed".to_owned(),
                Some(cell) => cell.ratios.get(&measure).map_or_else(String::new, shown),
            });
        }
        rows.push(row(&columns));
    }
    table(text, &rows);
    if measure == Measure::Cpu {
        let _ =
            writeln!(text, "\n`~` marks a noisy result: the 95 % interval of its median is wider than a tenth of it.");
    }
}

/// Those benches in which memory has peaked and gone.
fn settled(text: &mut String, figures: &Figures) {
    let _ = writeln!(text);
    let peers: Vec<&String> = figures.peers.iter().collect();
    let mut head = vec!["settled RSS, MiB (of a peak of)".to_owned()];
    head.extend(peers.iter().map(|peer| (*peer).clone()));
    let mut rows = vec![row(&head)];
    for bench in &figures.benches {
        let value =
            |peer: &str, measure| figures.cell(bench, peer).and_then(|cell| cell.medians.get(&measure).copied());
        if value(BASELINE, Measure::Peak).is_none_or(|peak| peak < 20.0 * 1024.0)
            || value(BASELINE, Measure::Settled).is_none()
        {
            continue;
        }
        let mut columns = vec![bench.clone()];
        for peer in &peers {
            columns.push(match (value(peer, Measure::Settled), value(peer, Measure::Peak)) {
                (Some(settled), Some(peak)) => format!("{:.1} ({:.0})", settled / 1024.0, peak / 1024.0),
                _ => String::new(),
            });
        }
        rows.push(row(&columns));
    }
    if rows.len() > 1 {
        table(text, &rows);
    }
}

fn failures(text: &mut String, figures: &Figures) {
    let mut lines: Vec<String> =
        figures.missing.iter().map(|(peer, why)| format!("- {peer} is missing: {why}")).collect();
    for (bench, cells) in &figures.cells {
        for (peer, cell) in cells {
            lines.extend(cell.failed.iter().map(|why| format!("- {peer} failed on {bench}: {why}")));
        }
    }
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{}", lines.join("\n"));
    }
}

fn shown(ratio: &Ratio) -> String {
    format!("{}{:.2}", if ratio.noisy() { "~" } else { "" }, ratio.median)
}

fn row<T: AsRef<str>>(columns: &[T]) -> Vec<String> {
    columns.iter().map(|column| column.as_ref().to_owned()).collect()
}

/// Columns of equal width, so that the source reads as well as what is made of it.
fn table(text: &mut String, rows: &[Vec<String>]) {
    let Some(head) = rows.first() else { return };
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 0 { format!("{cell:width$}") } else { format!("{cell:>width$}") }
        });
        let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
        if number == 0 {
            let rule = widths.iter().enumerate().map(|(column, width)| {
                if column == 0 { "-".repeat(*width) } else { format!("{}:", "-".repeat(width.saturating_sub(1))) }
            });
            let _ = writeln!(text, "| {} |", rule.collect::<Vec<_>>().join(" | "));
        }
    }
}
