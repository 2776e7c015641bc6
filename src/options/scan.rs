//! Whose name a variable of the environment has.
//!
//! ```text
//! RAVELIN_PURGE_DELAY=25
//! `------' `--------' `'
//! dialect  option     value
//! ```
//!
//! Names may be written in any case of letters, as mimalloc's may.

use super::parse::Dialect;
use super::table::{Effect, Setting, TABLE, WITHOUT_MEANING};

/// What a variable of the environment is to this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// An option and its text.
    Option { setting: Setting, dialect: Dialect, age: Age, value: &'a [u8] },
    /// A name of mimalloc's that is no option of it.
    WithoutMeaning,
    /// A name that begins with `RAVELIN_` and is no option.
    Unknown,
    /// Nothing to do with this crate.
    Other,
}

/// Whether mimalloc still calls an option so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Current,
    Old,
}

/// Sorts one `NAME=value`.
pub(crate) fn entry(variable: &[u8]) -> Entry<'_> {
    let (name, value) = split(variable);
    if let Some(name) = without_prefix(name, b"RAVELIN_") {
        for row in &TABLE {
            if row.effect == Effect::Some && name.eq_ignore_ascii_case(row.name.as_bytes()) {
                return Entry::Option { setting: row.setting, dialect: Dialect::Ravelin, age: Age::Current, value };
            }
        }
        return Entry::Unknown;
    }
    if let Some(name) = without_prefix(name, b"MIMALLOC_") {
        let is = |known: Option<&'static str>| known.is_some_and(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        for row in &TABLE {
            let age = match (is(row.mimalloc), is(row.mimalloc_old)) {
                (true, _) => Age::Current,
                (false, true) => Age::Old,
                (false, false) => continue,
            };
            return Entry::Option { setting: row.setting, dialect: Dialect::Mimalloc, age, value };
        }
        if WITHOUT_MEANING.iter().any(|known| is(Some(known))) {
            return Entry::WithoutMeaning;
        }
    }
    Entry::Other
}

/// The name of a variable.
pub(crate) fn name(variable: &[u8]) -> &[u8] {
    split(variable).0
}

fn split(variable: &[u8]) -> (&[u8], &[u8]) {
    let end = variable.iter().position(|byte| *byte == b'=').unwrap_or(variable.len());
    let name = variable.get(..end).unwrap_or(&[]);
    let value = variable.get(end.wrapping_add(1)..).unwrap_or(&[]);
    (name, value)
}

fn without_prefix<'a>(name: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    if start.eq_ignore_ascii_case(prefix) { Some(rest) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn option(setting: Setting, dialect: Dialect, age: Age, value: &[u8]) -> Entry<'_> {
        Entry::Option { setting, dialect, age, value }
    }

    #[test]
    fn names_are_found_in_any_case_and_in_both_dialects() {
        use {Age::*, Dialect::*, Setting::*};
        assert_eq!(entry(b"RAVELIN_PURGE_DELAY=25"), option(PurgeDelay, Ravelin, Current, b"25"));
        assert_eq!(entry(b"ravelin_Purge_Delay=25"), option(PurgeDelay, Ravelin, Current, b"25"));
        assert_eq!(entry(b"MIMALLOC_PURGE_DELAY=a=b"), option(PurgeDelay, Mimalloc, Current, b"a=b"));
        assert_eq!(entry(b"mimalloc_reset_delay="), option(PurgeDelay, Mimalloc, Old, b""));
        assert_eq!(entry(b"RAVELIN_VERBOSE"), option(Verbose, Ravelin, Current, b""));
    }

    #[test]
    fn only_our_own_unknown_names_are_called_unknown() {
        assert_eq!(entry(b"RAVELIN_=1"), Entry::Unknown);
        assert_eq!(entry(b"RAVELIN_PURGE_DELAYS=1"), Entry::Unknown);
        assert_eq!(entry(b"RAVELIN_RESET_DELAY=1"), Entry::Unknown);
        assert_eq!(entry(b"MIMALLOC_QUARANTINE_BYTES=1"), Entry::Other);
        assert_eq!(entry(b"MIMALLOC_PAGE_RESET=1"), Entry::WithoutMeaning);
        assert_eq!(entry(b"RAVELIN_OS_TAG=1"), Entry::Unknown);
        for other in [&b"RAVELIN=1"[..], b"XRAVELIN_VERBOSE=1", b"PATH=/bin", b"", b"=", b"=RAVELIN_VERBOSE=1"] {
            assert_eq!(entry(other), Entry::Other);
        }
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        fn any_bytes_can_be_sorted(variable in proptest::collection::vec(any::<u8>(), 0..64), prefix in 0..3u8) {
            let mut bytes = [&b""[..], b"RAVELIN_", b"mimalloc_"][prefix as usize].to_vec();
            bytes.extend(variable);
            if let Entry::Option { value, .. } = entry(&bytes) {
                prop_assert!(bytes.ends_with(value));
            }
        }
    }
}
