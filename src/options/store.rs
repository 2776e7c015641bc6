//! The values of the options: read once from the environment.
//!
//! Each value is one atomic number, [`UNREAD`] at first. Readers that race each compute all values and store them with a
//! compare-and-swap: the first one counts, and the others hold the same number anyway.
//!
//! The dynamic linker may allocate before the C library knows the environment. So an environment without any variable is
//! not believed until [`settle`] says that the process has started: the defaults hold meanwhile.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicBool, AtomicI64, AtomicU8};

use super::parse::{self, Dialect, Parsed};
use super::scan::{self, Age, Entry};
use super::table::{COUNT, Setting, TABLE};
use crate::os;
use crate::report::{Line, limit_warnings, warn};

/// No value of any option: below every lower bound.
const UNREAD: i64 = i64::MIN;

// These are core's atomics even under loom: they are statics. Relaxed is enough throughout, for a value is a number that
// stands for itself.

static VALUES: [AtomicI64; COUNT] = [const { AtomicI64::new(UNREAD) }; COUNT];
static SOURCES: [AtomicU8; COUNT] = [const { AtomicU8::new(Source::Default as u8) }; COUNT];
/// Every option has its value.
static SETTLED: AtomicBool = AtomicBool::new(false);
/// Whether somebody has taken on to print the warnings.
static WARNED: AtomicBool = AtomicBool::new(false);

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Source {
    Default,
    /// A variable with this crate's name.
    Environment,
    /// A variable with mimalloc's name.
    Mimalloc,
    /// The program, by a call.
    Program,
}

/// When an environment without any variable is taken for what it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Only if there is a variable.
    IfAny,
    /// Always.
    Always,
}

/// The value of an option, within its bounds: a number of what its row's unit says.
#[inline]
pub(crate) fn get(setting: Setting) -> i64 {
    let value = stored(setting);
    if value == UNREAD { read_and_get(setting) } else { value }
}

/// Whether a switch is on.
pub(crate) fn enabled(setting: Setting) -> bool {
    get(setting) != 0
}

/// The value of an option that cannot be negative, as a size or count. On machines with small addresses it is cut.
pub(crate) fn bytes(setting: Setting) -> usize {
    usize::try_from(get(setting).max(0)).unwrap_or(usize::MAX)
}

/// The value of a time in milliseconds; `None` is never.
pub(crate) fn milliseconds(setting: Setting) -> Option<u64> {
    u64::try_from(get(setting)).ok()
}

/// Where the value of an option comes from.
pub(crate) fn source(setting: Setting) -> Source {
    get(setting);
    match SOURCES.get(setting as usize).map(|source| source.load(Relaxed)) {
        Some(number) if number == Source::Environment as u8 => Source::Environment,
        Some(number) if number == Source::Mimalloc as u8 => Source::Mimalloc,
        Some(number) if number == Source::Program as u8 => Source::Program,
        _ => Source::Default,
    }
}

/// Sets an option for the whole process, to the nearest value within its bounds. What was done under the old one stays so.
pub(crate) fn set(setting: Setting, value: i64) {
    change(setting, value, Source::Program);
}

/// The same, unless the environment or the program has said something else.
pub(crate) fn set_default(setting: Setting, value: i64) {
    if source(setting) == Source::Default {
        change(setting, value, Source::Default);
    }
}

fn change(setting: Setting, value: i64, new: Source) {
    settle();
    if let (Some(place), Some(source)) = (VALUES.get(setting as usize), SOURCES.get(setting as usize)) {
        place.store(parse::bound(setting.row(), value), Relaxed);
        source.store(new as u8, Relaxed);
    }
}

/// Reads the environment now, if that has not been done: for the constructor, when the C library is up.
pub(crate) fn settle() {
    if !SETTLED.load(Relaxed) {
        read(Trust::Always);
    }
}

#[inline]
fn stored(setting: Setting) -> i64 {
    VALUES.get(setting as usize).map_or(UNREAD, |value| value.load(Relaxed))
}

#[cold]
#[inline(never)]
fn read_and_get(setting: Setting) -> i64 {
    read(Trust::IfAny);
    let value = stored(setting);
    if value == UNREAD { setting.row().default } else { value }
}

fn read(trust: Trust) {
    let found = Found::from(os::environment());
    if found.variables == 0 && trust == Trust::IfAny {
        return;
    }
    for (row, (value, from)) in TABLE.iter().zip(VALUES.iter().zip(&SOURCES)) {
        let (given, source) = found.value(row.setting).unwrap_or((row.default, Source::Default));
        // The number last: who sees it finds its source, too.
        if value.load(Relaxed) == UNREAD {
            from.store(source as u8, Relaxed);
        }
        let _ = value.compare_exchange(UNREAD, given, Relaxed, Relaxed);
    }
    SETTLED.store(true, Relaxed);
    if !WARNED.swap(true, Relaxed) {
        limit_warnings(u32::try_from(get(Setting::MaxWarnings)).ok());
        os::environment().for_each(complain);
    }
}

/// What an environment says about the options.
struct Found {
    /// By row, in this crate's names; UNREAD where it says nothing.
    ravelin: [i64; COUNT],
    /// The same in mimalloc's names.
    mimalloc: [i64; COUNT],
    /// How many variables there are of any name.
    variables: usize,
}

impl Found {
    fn from<'a>(environment: impl Iterator<Item = &'a [u8]>) -> Found {
        let mut found = Found { ravelin: [UNREAD; COUNT], mimalloc: [UNREAD; COUNT], variables: 0 };
        for variable in environment {
            found.variables = found.variables.saturating_add(1);
            let Entry::Option { setting, dialect, value, .. } = scan::entry(variable) else {
                continue;
            };
            let (Parsed::Exact(value) | Parsed::Clamped(value)) = parse::parse(setting.row(), dialect, value) else {
                continue;
            };
            let values = match dialect {
                Dialect::Ravelin => &mut found.ravelin,
                Dialect::Mimalloc => &mut found.mimalloc,
            };
            // Of two that differ in case only, the first counts, as for `getenv`.
            if let Some(place) = values.get_mut(setting as usize)
                && *place == UNREAD
            {
                *place = value;
            }
        }
        found
    }

    /// The value that is given for an option: this crate's name goes before mimalloc's.
    fn value(&self, setting: Setting) -> Option<(i64, Source)> {
        let at = |values: &[i64; COUNT], source| match values.get(setting as usize) {
            Some(value) if *value != UNREAD => Some((*value, source)),
            _ => None,
        };
        at(&self.ravelin, Source::Environment).or_else(|| at(&self.mimalloc, Source::Mimalloc))
    }
}

/// How much of a name or value is quoted.
const QUOTED: usize = 64;

/// Says what is wrong with a variable, if anything is.
fn complain(variable: &[u8]) {
    let name = beginning(scan::name(variable));
    match scan::entry(variable) {
        Entry::Unknown => warn(&[name, b" is no option; it is ignored"]),
        Entry::Option { setting, dialect, age, value } => {
            let row = setting.row();
            if age == Age::Old {
                let now = row.mimalloc.unwrap_or(row.name);
                warn(&[name, b" is an old name of MIMALLOC_", now.as_bytes()]);
            }
            let parsed = parse::parse(row, dialect, value);
            let value = beginning(value);
            match parsed {
                Parsed::Exact(_) => {}
                Parsed::Clamped(taken) => {
                    let mut number = Line::new();
                    warn(&[name, b"=", value, b" is out of bounds; ", number.push_signed(taken).text(), b" is used"]);
                }
                Parsed::Malformed => warn(&[name, b"=", value, b" is malformed; it is ignored"]),
            }
        }
        Entry::WithoutMeaning | Entry::Other => {}
    }
}

/// As much of a text as is quoted: the rest of the warning must find room behind it.
fn beginning(text: &[u8]) -> &[u8] {
    text.get(..QUOTED).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Child;
    use proptest::prelude::*;
    use std::string::ToString;
    use std::vec::Vec;

    fn found(environment: &[&str]) -> Found {
        Found::from(environment.iter().map(|variable| variable.as_bytes()))
    }

    #[test]
    fn our_name_goes_before_mimallocs_and_the_first_before_the_second() {
        let both = found(&["MIMALLOC_PURGE_DELAY=1", "RAVELIN_PURGE_DELAY=2", "ravelin_purge_delay=3"]);
        assert_eq!(both.value(Setting::PurgeDelay), Some((2, Source::Environment)));
        assert_eq!(both.value(Setting::Verbose), None);
        assert_eq!(both.variables, 3);
    }

    #[test]
    fn a_malformed_value_counts_as_absent() {
        let one = found(&["RAVELIN_PURGE_DELAY=soon", "MIMALLOC_PURGE_DELAY=7"]);
        assert_eq!(one.value(Setting::PurgeDelay), Some((7, Source::Mimalloc)));
    }

    #[test]
    fn typed_getters_agree_with_the_number() {
        assert_eq!(enabled(Setting::ShowErrors), get(Setting::ShowErrors) != 0);
        assert_eq!(bytes(Setting::ArenaReserve), get(Setting::ArenaReserve) as usize);
        assert_eq!(milliseconds(Setting::PurgeDelay), Some(get(Setting::PurgeDelay) as u64));
    }

    #[test]
    #[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
    fn the_program_overrules_the_environment_and_a_default_of_its_own_does_not() {
        let corpse =
            Child::of("options::store::tests::the_program_overrules_the_environment_and_a_default_of_its_own_does_not")
                .with("MIMALLOC_PURGE_DELAY", "25")
                .with("MIMALLOC_OS_TAG", "250")
                .run(|| {
                    set_default(Setting::PurgeDelay, 1);
                    assert_eq!((get(Setting::PurgeDelay), source(Setting::PurgeDelay)), (25, Source::Mimalloc));
                    set(Setting::PurgeDelay, -7);
                    assert_eq!((get(Setting::PurgeDelay), source(Setting::PurgeDelay)), (-1, Source::Program));
                    set_default(Setting::PurgeDelay, 1);
                    assert_eq!(get(Setting::PurgeDelay), -1);
                    set_default(Setting::ShowErrors, 1);
                    assert_eq!((get(Setting::ShowErrors), source(Setting::ShowErrors)), (1, Source::Default));
                    assert_eq!(get(Setting::OsTag), 250);
                });
        assert_eq!(corpse.code, Some(0), "{corpse:?}");
    }

    #[test]
    #[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
    fn warnings_stop_at_their_limit() {
        let corpse = Child::of("options::store::tests::warnings_stop_at_their_limit")
            .with("MIMALLOC_MAX_WARNINGS", "2")
            .with("RAVELIN_NONSENSE", "1")
            .with("RAVELIN_MORE", "1")
            .with("RAVELIN_AND_MORE", "1")
            .run(|| {
                get(Setting::Verbose);
            });
        assert_eq!(corpse.ours().len(), 2, "{corpse:?}");
    }

    #[test]
    #[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
    fn the_environment_is_read_once_and_what_is_wrong_with_it_is_said_once() {
        let corpse =
            Child::of("options::store::tests::the_environment_is_read_once_and_what_is_wrong_with_it_is_said_once")
                .with("RAVELIN_PURGE_DELAY", "25")
                .with("MIMALLOC_PURGE_DELAY", "26")
                .with("mimalloc_verbose", "no")
                .with("RAVELIN_QUARANTINE_COUNT", "many\nravelin: forged")
                .with("RAVELIN_ABANDONED_LIMIT", "99999999")
                .with("RAVELIN_FREE_CHECKS", "0")
                .with("RAVELIN_SHOW_STATS", &"y".repeat(600))
                .with("MIMALLOC_RESET_DELAY", "27")
                .with("MIMALLOC_OS_TAG", "x")
                .with("MIMALLOC_NOT_AN_OPTION", "x")
                .run(|| {
                    for _ in 0..3 {
                        assert_eq!((get(Setting::PurgeDelay), source(Setting::PurgeDelay)), (25, Source::Environment));
                        assert_eq!((get(Setting::Verbose), source(Setting::Verbose)), (0, Source::Mimalloc));
                        assert_eq!((get(Setting::GuardLimit), source(Setting::GuardLimit)), (0, Source::Default));
                        assert_eq!(get(Setting::QuarantineCount), Setting::QuarantineCount.row().default);
                        assert_eq!(get(Setting::AbandonedLimit), 65536);
                        settle();
                        read(Trust::Always);
                    }
                });
        assert_eq!(corpse.code, Some(0), "{corpse:?}");
        let mut lines = corpse.ours();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "ravelin: warning: MIMALLOC_OS_TAG=x is malformed; it is ignored",
                "ravelin: warning: MIMALLOC_RESET_DELAY is an old name of MIMALLOC_PURGE_DELAY",
                "ravelin: warning: RAVELIN_ABANDONED_LIMIT=99999999 is out of bounds; 65536 is used",
                "ravelin: warning: RAVELIN_FREE_CHECKS is no option; it is ignored",
                "ravelin: warning: RAVELIN_QUARANTINE_COUNT=many?ravelin: forged is malformed; it is ignored",
                &("ravelin: warning: RAVELIN_SHOW_STATS=".to_string()
                    + &"y".repeat(QUOTED)
                    + " is malformed; it is ignored"),
            ]
        );
    }

    #[test]
    #[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
    fn threads_that_race_to_read_agree_and_warn_once() {
        let corpse = Child::of("options::store::tests::threads_that_race_to_read_agree_and_warn_once")
            .with("RAVELIN_PURGE_DELAY", "25")
            .with("RAVELIN_NONSENSE", "1")
            .run(|| {
                let start = std::sync::Barrier::new(8);
                std::thread::scope(|scope| {
                    for _ in 0..8 {
                        scope.spawn(|| {
                            start.wait();
                            assert_eq!(get(Setting::PurgeDelay), 25);
                        });
                    }
                });
            });
        assert_eq!(corpse.code, Some(0), "{corpse:?}");
        assert_eq!(corpse.ours(), ["ravelin: warning: RAVELIN_NONSENSE is no option; it is ignored"]);
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        fn no_environment_yields_a_value_out_of_bounds(
            values in proptest::collection::vec((0..2 * COUNT, proptest::collection::vec(any::<u8>(), 0..24)), 0..12)
        ) {
            let environment: Vec<Vec<u8>> = values
                .into_iter()
                .map(|(which, value)| {
                    let row = &TABLE[which % COUNT];
                    let prefix: &[u8] = if which < COUNT { b"RAVELIN_" } else { b"MIMALLOC_" };
                    [prefix, row.name.as_bytes(), b"=", &value].concat()
                })
                .collect();
            let found = Found::from(environment.iter().map(Vec::as_slice));
            for row in &TABLE {
                if let Some((value, _)) = found.value(row.setting) {
                    prop_assert!(row.min <= value && value <= row.max);
                }
            }
        }
    }
}
