//! Time by memory: one plot of the geometric means, and a small one for every bench. Left and low is better.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::figures::{Figures, Measure};
use crate::peers::OURS;

pub fn write(figures: &Figures, out: &Path) -> Result<()> {
    let dots = |find: &dyn Fn(&str, Measure) -> Option<f64>| -> Vec<(String, f64, f64)> {
        let dot = |peer: &String| Some((peer.clone(), find(peer, Measure::Cpu)?, find(peer, Measure::Peak)?));
        figures.peers.iter().filter_map(dot).collect()
    };
    let means = dots(&|peer, measure| Some(figures.means.get(peer)?.get(&measure)?.median));
    if means.is_empty() {
        return Ok(());
    }
    let path = out.join("means.svg");
    let one = SVGBackend::new(&path, (760, 560)).into_drawing_area();
    draw(&one, "geometric mean over all benches", &means, Labels::Names).map_err(|error| anyhow!("plot: {error}"))?;

    let columns = 5;
    let rows = figures.benches.len().div_ceil(columns);
    let (path, size) = (out.join("benches.svg"), (columns as u32 * 240, rows as u32 * 210 + 40));
    let all = SVGBackend::new(&path, size).into_drawing_area();
    all.fill(&WHITE).map_err(|error| anyhow!("plot: {error}"))?;
    let (legend, panels) = all.split_vertically(40);
    names(&legend, &figures.peers).map_err(|error| anyhow!("plot: {error}"))?;
    for (area, bench) in panels.split_evenly((rows, columns)).iter().zip(&figures.benches) {
        let dots = dots(&|peer, measure| Some(figures.ratio(bench, peer, measure)?.median));
        if !dots.is_empty() {
            draw(area, bench, &dots, Labels::None).map_err(|error| anyhow!("plot: {error}"))?;
        }
    }
    all.present().map_err(|error| anyhow!("plot: {error}"))
}

#[derive(PartialEq)]
enum Labels {
    Names,
    None,
}

type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, dots: &[(String, f64, f64)], labels: Labels) -> Drawn {
    area.fill(&WHITE)?;
    let range = |value: fn(&(String, f64, f64)) -> f64| {
        let least = dots.iter().map(value).fold(1.0, f64::min);
        let most = dots.iter().map(value).fold(1.0, f64::max);
        // Names need room on the right.
        least / 1.08..most * 1.15
    };
    let large = labels == Labels::Names;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", if large { 18 } else { 13 }))
        .margin(8)
        .x_label_area_size(if large { 40 } else { 20 })
        .y_label_area_size(if large { 50 } else { 32 })
        .build_cartesian_2d(range(|dot| dot.1).log_scale(), range(|dot| dot.2).log_scale())?;
    let mut mesh = chart.configure_mesh();
    mesh.x_labels(if large { 8 } else { 3 }).y_labels(if large { 8 } else { 4 });
    let plain = |value: &f64| format!("{value:.2}");
    mesh.x_label_formatter(&plain).y_label_formatter(&plain).light_line_style(WHITE);
    if large {
        mesh.x_desc("CPU time, ratio to mimalloc").y_desc("peak RSS, ratio to mimalloc");
    }
    mesh.draw()?;
    for (number, (peer, time, memory)) in dots.iter().enumerate() {
        let color = color(peer, number);
        let size = if large { 6 } else { 4 };
        if OURS.contains(&peer.as_str()) {
            chart.draw_series([TriangleMarker::new((*time, *memory), size + 2, color.filled())])?;
        } else {
            chart.draw_series([Circle::new((*time, *memory), size, color.filled())])?;
        }
        if large {
            let style = ("sans-serif", 13).into_font().color(&color);
            let label = EmptyElement::at((*time, *memory)) + Text::new(peer.clone(), (9, -6), style);
            chart.draw_series([label])?;
        }
    }
    Ok(())
}

fn names(area: &DrawingArea<SVGBackend<'_>, Shift>, peers: &[String]) -> Drawn {
    let mut at = 12;
    for (number, peer) in peers.iter().enumerate() {
        let color = color(peer, number);
        area.draw(&Circle::new((at, 20), 4, color.filled()))?;
        area.draw(&Text::new(peer.clone(), (at + 8, 14), ("sans-serif", 12).into_font().color(&color)))?;
        at += 22 + peer.len() as i32 * 7;
    }
    Ok(())
}

/// Ours stand out; the others only need to be told apart.
fn color(peer: &str, number: usize) -> RGBColor {
    match peer {
        "fast" => RGBColor(214, 39, 40),
        "hardened" => RGBColor(200, 0, 120),
        "paranoid" => RGBColor(120, 0, 160),
        _ => {
            let hue = Palette99::pick(number).to_rgba();
            RGBColor((f64::from(hue.0) * 0.7) as u8, (f64::from(hue.1) * 0.7) as u8, (f64::from(hue.2) * 0.7) as u8)
        }
    }
}
