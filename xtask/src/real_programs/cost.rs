//! What a run took, and runs side by side.

use std::time::Duration;

/// The sum over the commands of a run.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    /// From start to end of the commands that count.
    pub wall: Duration,
    /// User and system time of the commands and of the descendants that they waited for.
    pub cpu: Duration,
    /// The largest resident set that one process reached, in KiB.
    pub peak_kib: i64,
}

impl Cost {
    pub fn add(&mut self, other: Cost) {
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.peak_kib = self.peak_kib.max(other.peak_kib);
    }

    /// The better of two runs of the same work, in each respect.
    pub fn min(self, other: Option<Cost>) -> Cost {
        let Some(other) = other else { return self };
        Cost {
            wall: self.wall.min(other.wall),
            cpu: self.cpu.min(other.cpu),
            peak_kib: self.peak_kib.min(other.peak_kib),
        }
    }
}

/// What is compared, in which unit.
type Respect = (&'static str, &'static str, fn(&Cost) -> f64);

const RESPECTS: [Respect; 3] = [
    ("time", "s", |cost| cost.wall.as_secs_f64()),
    ("cpu", "s", |cost| cost.cpu.as_secs_f64()),
    ("peak", "MiB", |cost| cost.peak_kib as f64 / 1024.0),
];

/// A line for each respect; the first cost is what the others are compared with.
pub fn print_rows(name: &str, costs: &[Cost]) {
    for (index, (respect, unit, of)) in RESPECTS.into_iter().enumerate() {
        print!("{:8} {respect:>5}", if index == 0 { name } else { "" });
        for (column, cost) in costs.iter().enumerate() {
            let value = format!("{:.*} {unit}", if unit == "s" { 2 } else { 0 }, of(cost));
            let ratio = if column == 0 { String::new() } else { format!("{:.2}x", of(cost) / of(&costs[0])) };
            print!(" {value:>11} {ratio:>7}");
        }
        println!();
    }
}
