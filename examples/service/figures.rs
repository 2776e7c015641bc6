//! The figures: what `/stats` answers with, and how the supervisor shows what the load found.

use core::fmt;
use core::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::load::Measured;

/// The process's memory in bytes as the kernel sees it; null where the kernel does not say.
pub(crate) fn memory() -> Value {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    json!({ "rss": status_bytes(&status, "VmRSS:"), "peak_rss": status_bytes(&status, "VmHWM:") })
}

fn status_bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The allocator's main figures. (Its `serde` feature gives them all; the service does without.)
pub(crate) fn allocator(stats: &ravelin::Stats) -> Value {
    json!({
        "build": ravelin::MITIGATIONS.build_name(),
        "live_bytes": stats.live_bytes,
        "peak_live_bytes": stats.peak_live_bytes,
        "live_blocks": stats.live_blocks,
        "committed": stats.committed,
        "purged": stats.purged,
        "segments": stats.segments,
        "cross_thread_frees": stats.cross_thread_frees,
    })
}

/// What the load found and what the service said about itself afterwards, to be shown.
#[derive(Debug)]
pub(crate) struct Summary<'a> {
    pub(crate) measured: &'a Measured,
    pub(crate) stats: &'a Value,
    pub(crate) table: &'a str,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Measured { tally, took } = self.measured;
        let mut all = None::<Histogram<u32>>;
        writeln!(f, "    {:<16}{:>10}{:>10}{:>10}{:>10}  (latency in ms)", "", "requests", "p50", "p99", "max")?;
        for (kind, latency) in &tally.latency {
            row(f, kind, latency)?;
            match &mut all {
                Some(all) => *all += latency,
                None => all = Some(latency.clone()),
            }
        }
        if let Some(all) = &all {
            row(f, "all", all)?;
        }
        let answered = all.map_or(0, |all| all.len());
        let per_second = rate(answered, *took);
        writeln!(f, "\n    {answered} requests in {:.2} s: {per_second:.0} requests per second", took.as_secs_f64())?;
        writeln!(f, "    {} failed", tally.failures)?;

        let number = |path| self.stats.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        let mib = |path| mebibytes(number(path));
        writeln!(f, "    RSS {:.1} MiB, at most {:.1} MiB", mib("/memory/rss"), mib("/memory/peak_rss"))?;
        let (kept, evicted) = (number("/sessions/entries"), number("/sessions/evicted"));
        writeln!(f, "    sessions: {kept} kept ({:.1} MiB), {evicted} evicted", mib("/sessions/bytes"))?;
        write!(f, "    allocator:")?;
        self.table.lines().try_for_each(|line| write!(f, "\n      {line}"))
    }
}

fn row(f: &mut fmt::Formatter<'_>, kind: &str, latency: &Histogram<u32>) -> fmt::Result {
    let [p50, p99, max] =
        [latency.value_at_quantile(0.5), latency.value_at_quantile(0.99), latency.max()].map(milliseconds);
    writeln!(f, "    {kind:<16}{:>10}{p50:>10.2}{p99:>10.2}{max:>10.2}", latency.len())
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn rate(n: u64, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64().max(f64::EPSILON)
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "for people to read")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}
