//! Statistics in JSON: one object, with the names of the fields of [`Stats`].
//!
//! ```json
//! {"ravelin": "0.1.0", "schema": 1, "build": "hardened", "process": 4711,
//!  "live_bytes": 10485760, "peak_live_bytes": 13107200,
//!  "large": {"blocks": 1, "bytes": 200704, "peak_blocks": 2, "peak_bytes": 401408},
//!  "classes": [
//!   {"block_size": 16, "blocks": 10, "bytes": 160, "peak_blocks": 12, "peak_bytes": 192, "pages": 1}
//!  ]}
//! ```
//!
//! Every value is a whole number, but `ravelin` (the version) and `build`. Names are added in new versions and never taken away or
//! given another meaning while `schema` is the same.

use super::{ClassStats, LargeStats, SampledStats, Stats, SystemCalls};
use crate::mitigations::MITIGATIONS;
use crate::os;
use crate::report::Line;

/// The version of what the names mean.
const SCHEMA: u64 = 1;

/// Puts a field into its line, behind a comma if it is not the first.
fn field(line: &mut Line, name: &str, value: u64) {
    if !line.text().ends_with(b"{") {
        line.push_str(", ");
    }
    line.push_str("\"").push_str(name).push_str("\": ").push_dec(value);
}

macro_rules! fields {
    ($line:expr, $($name:ident),+) => { $(field($line, stringify!($name), *$name);)+ };
}

/// A line for each group of fields.
macro_rules! group {
    ($out:expr, $($name:ident),+) => {{
        let mut line = Line::new();
        $(line.push_str(" \"").push_str(stringify!($name)).push_str("\": ").push_dec(*$name).push_str(",");)+
        $out(line.end());
    }};
}

impl Stats {
    /// Hands the object to `out` line by line, each with its end.
    pub(super) fn write_json(&self, out: &mut dyn FnMut(&[u8])) {
        // Without `..`: a field that is not written below does not compile.
        let Stats {
            live_bytes,
            peak_live_bytes,
            live_blocks,
            peak_live_blocks,
            classes,
            large,
            sampled,
            reserved,
            arenas,
            committed,
            peak_committed,
            purged,
            quarantined,
            metadata,
            segments,
            pages,
            full_pages,
            abandoned_pages,
            cross_thread_frees,
            posted_blocks,
            guards,
            guards_left_out,
            left_open,
            guard_maps,
            system_calls,
            forks,
            threads,
        } = self;
        let mut line = Line::new();
        line.push_str("{\"ravelin\": \"").push_str(env!("CARGO_PKG_VERSION"));
        line.push_str("\", \"schema\": ").push_dec(SCHEMA);
        line.push_str(", \"build\": \"").push_str(MITIGATIONS.build_name());
        line.push_str("\", \"process\": ").push_dec(u64::from(os::process_id())).push_str(",");
        out(line.end());
        group!(out, live_bytes, peak_live_bytes, live_blocks, peak_live_blocks);
        group!(out, reserved, committed, peak_committed, purged, quarantined, metadata);
        group!(out, arenas, segments, pages, full_pages, abandoned_pages, cross_thread_frees, posted_blocks);
        group!(out, guards, guards_left_out, left_open, guard_maps, forks, threads);
        write_calls(system_calls, out);
        write_large(large, out);
        write_sampled(sampled, out);
        out(b" \"classes\": [\n");
        for (index, class) in classes.iter().enumerate() {
            write_class(class, index.wrapping_add(1) == classes.len(), out);
        }
        out(b" ]}\n");
    }
}

fn write_calls(calls: &SystemCalls, out: &mut dyn FnMut(&[u8])) {
    let SystemCalls {
        reserve,
        release,
        protect,
        guard,
        unguard,
        purge,
        renew,
        remap,
        seal,
        advise,
        ask,
        random,
        failed,
    } = calls;
    let mut line = Line::new();
    line.push_str(" \"system_calls\": {");
    fields!(
        &mut line, reserve, release, protect, guard, unguard, purge, renew, remap, seal, advise, ask, random, failed
    );
    line.push_str("},");
    out(line.end());
}

fn write_large(large: &LargeStats, out: &mut dyn FnMut(&[u8])) {
    let LargeStats { blocks, bytes, peak_blocks, peak_bytes } = large;
    let mut line = Line::new();
    line.push_str(" \"large\": {");
    fields!(&mut line, blocks, bytes, peak_blocks, peak_bytes);
    line.push_str("},");
    out(line.end());
}

fn write_sampled(sampled: &SampledStats, out: &mut dyn FnMut(&[u8])) {
    let SampledStats { blocks, bytes, made, waiting } = sampled;
    let mut line = Line::new();
    line.push_str(" \"sampled\": {");
    fields!(&mut line, blocks, bytes, made, waiting);
    line.push_str("},");
    out(line.end());
}

fn write_class(class: &ClassStats, is_last: bool, out: &mut dyn FnMut(&[u8])) {
    let ClassStats { block_size, blocks, bytes, peak_blocks, peak_bytes, pages, sampled } = class;
    let mut line = Line::new();
    line.push_str("  {");
    fields!(&mut line, block_size, blocks, bytes, peak_blocks, peak_bytes, pages, sampled);
    line.push_str(if is_last { "}" } else { "}," });
    out(line.end());
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn the_object_has_every_field_with_its_value() {
        let stats = super::super::stats();
        let mut text = Vec::new();
        stats.write_json(&mut |line| text.extend_from_slice(line));
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&json["schema"], &json["build"]), (&1.into(), &super::MITIGATIONS.build_name().into()));
        // `Debug` is derived, so that it names the fields that there are.
        let debug = std::format!("{stats:#?}");
        let mut count = 4;
        for line in debug.lines() {
            let Some((name, value)) = line.strip_prefix("    ").and_then(|line| line.split_once(": ")) else {
                continue;
            };
            if name.starts_with(' ') {
                continue;
            }
            count += 1;
            assert!(json.get(name).is_some(), "{name}");
            if let Ok(value) = value.trim_end_matches(',').parse::<u64>() {
                assert_eq!(json[name], value, "{name}");
            }
        }
        assert_eq!(json.as_object().unwrap().len(), count);
        let classes = json["classes"].as_array().unwrap();
        assert_eq!(classes.len(), stats.classes.len());
        for (written, class) in classes.iter().zip(&stats.classes) {
            assert_eq!((&written["block_size"], &written["blocks"]), (&class.block_size.into(), &class.blocks.into()));
            assert_eq!((&written["bytes"], &written["pages"]), (&class.bytes.into(), &class.pages.into()));
        }
        assert_eq!(json["sampled"]["made"], stats.sampled.made);
        assert_eq!(json["large"]["peak_bytes"], stats.large.peak_bytes);
        assert_eq!(json["system_calls"]["failed"], stats.system_calls.failed);
        assert!(!String::from_utf8(text).unwrap().contains("..."), "a line was cut");
    }
}
