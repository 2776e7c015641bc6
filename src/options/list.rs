//! What `RAVELIN_VERBOSE=1` prints: which build this is, what it defends against, and how it is tuned.

use super::scan::{self, Entry};
use super::store::{self, Source};
use super::table::{Effect, FORMS, Row, Setting, TABLE, Unit};
use crate::mitigations::MITIGATIONS;
use crate::os;
use crate::report::Line;

/// Hands the lines to `out` one by one, each with its end.
///
/// ```text
/// ravelin: version 0.1.0, hardened build
/// ravelin: free-checks: on
/// ravelin: option purge_delay: 100 ms (default)
/// ravelin: option arena_reserve: 64 MiB (environment)
/// ravelin: MIMALLOC_OS_TAG has no meaning here
/// ```
///
/// From level 2 on, each option's line is followed by one that explains it.
pub(crate) fn print_all(out: &mut impl FnMut(&[u8])) {
    let mut line = Line::new();
    line.push_str("ravelin: version ").push_str(env!("CARGO_PKG_VERSION"));
    line.push_str(", ").push_str(MITIGATIONS.build_name()).push_str(" build");
    out(line.end());
    for (name, in_force) in MITIGATIONS.list() {
        let mut line = Line::new();
        line.push_str("ravelin: ").push_str(name).push_str(if in_force { ": on" } else { ": off" });
        out(line.end());
    }
    for row in TABLE.iter().filter(|row| row.effect == Effect::Some) {
        let mut line = Line::new();
        line.push_str("ravelin: option ");
        describe(row, store::get(row.setting), store::source(row.setting), &mut line);
        out(line.end());
        if store::get(Setting::Verbose) >= 2 {
            let mut line = Line::new();
            line.push_str("ravelin:     ").push_str(row.doc);
            out(line.end());
        }
    }
    for variable in os::environment() {
        let has_no_meaning = match scan::entry(variable) {
            Entry::Option { setting, .. } => setting.row().effect == Effect::None,
            entry => entry == Entry::WithoutMeaning,
        };
        if has_no_meaning {
            let mut line = Line::new();
            line.push_str("ravelin: ").push_foreign(scan::name(variable)).push_str(" has no meaning here");
            out(line.end());
        }
    }
}

fn describe(row: &Row, value: i64, source: Source, line: &mut Line) {
    for letter in row.name.as_bytes() {
        line.push_bytes(&[letter.to_ascii_lowercase()]);
    }
    line.push_str(": ");
    match row.unit {
        Unit::Bytes => push_size(value, line),
        Unit::Milliseconds => {
            line.push_signed(value).push_str(" ms");
        }
        Unit::Switch | Unit::Count => {
            line.push_signed(value);
        }
        Unit::Form => {
            let form = usize::try_from(value).ok().and_then(|value| FORMS.get(value));
            line.push_str(form.unwrap_or(&"off"));
        }
    }
    line.push_str(match source {
        Source::Default => " (default)",
        Source::Environment | Source::Mimalloc => " (environment)",
        Source::Program => " (program)",
    });
}

/// A size in the largest unit of which it is a whole number, so that it can be given back as it was printed.
fn push_size(bytes: i64, line: &mut Line) {
    let units = [(1i64 << 40, " TiB"), (1 << 30, " GiB"), (1 << 20, " MiB"), (1 << 10, " KiB")];
    for (unit, name) in units {
        // A power of two, so the mask is the remainder.
        if bytes != 0 && bytes & (unit.wrapping_sub(1)) == 0 {
            line.push_signed(bytes >> unit.trailing_zeros()).push_str(name);
            return;
        }
    }
    line.push_signed(bytes).push_str(" bytes");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Child;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn described(setting: Setting, value: i64, source: Source) -> String {
        let mut line = Line::new();
        describe(setting.row(), value, source, &mut line);
        String::from_utf8(line.text().to_vec()).unwrap()
    }

    #[test]
    fn an_option_is_printed_with_its_value_unit_and_source() {
        let lines = [
            (described(Setting::PurgeDelay, -1, Source::Environment), "purge_delay: -1 ms (environment)"),
            (described(Setting::ArenaReserve, 1 << 30, Source::Default), "arena_reserve: 1 GiB (default)"),
            (described(Setting::ArenaReserve, 3 << 29, Source::Environment), "arena_reserve: 1536 MiB (environment)"),
            (described(Setting::QuarantineBytes, 0, Source::Default), "quarantine_bytes: 0 bytes (default)"),
            (described(Setting::QuarantineBytes, 1025, Source::Default), "quarantine_bytes: 1025 bytes (default)"),
            (described(Setting::ShowStats, 1, Source::Mimalloc), "show_stats: 1 (environment)"),
            (described(Setting::Stats, 3, Source::Program), "stats: json (program)"),
        ];
        for (line, expected) in lines {
            assert_eq!(line, expected);
        }
    }

    #[test]
    fn everything_is_listed_in_whole_lines() {
        let mut lines: Vec<String> = Vec::new();
        print_all(&mut |line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
        assert!(lines.iter().all(|line| line.starts_with("ravelin: ") && line.find('\n') == Some(line.len() - 1)));
        assert_eq!(
            lines[0],
            ["ravelin: version ", env!("CARGO_PKG_VERSION"), ", ", MITIGATIONS.build_name(), " build\n"].concat()
        );
        for row in TABLE.iter().filter(|row| row.effect == Effect::Some) {
            let start = "ravelin: option ".to_string() + &row.name.to_lowercase() + ": ";
            assert_eq!(lines.iter().filter(|line| line.starts_with(&start)).count(), 1, "{start}");
        }
        for (name, _) in MITIGATIONS.list() {
            assert!(lines.iter().any(|line| line.contains(name)));
        }
    }

    #[test]
    #[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
    fn sources_meaningless_names_and_at_level_2_explanations_are_listed() {
        let corpse =
            Child::of("options::list::tests::sources_meaningless_names_and_at_level_2_explanations_are_listed")
                .with("RAVELIN_VERBOSE", "2")
                .with("RAVELIN_QUARANTINE_BYTES", "3MiB")
                .with("mimalloc_os_tag", "7")
                .run(|| print_all(&mut os::write_error));
        let ours = corpse.ours();
        for line in [
            "ravelin: option verbose: 2 (environment)",
            "ravelin: option quarantine_bytes: 3 MiB (environment)",
            "ravelin: option purge_delay: 100 ms (default)",
            "ravelin:     Prints statistics when the process exits.",
            "ravelin: mimalloc_os_tag has no meaning here",
        ] {
            assert!(ours.contains(&line), "{line} {ours:?}");
        }
    }
}
