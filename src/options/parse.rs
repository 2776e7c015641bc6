//! From the text of a variable to a number within the bounds of its row.
//!
//! | kind | `RAVELIN_` | `MIMALLOC_` |
//! |---|---|---|
//! | switch | word or decimal | the same |
//! | count, time | decimal | word or decimal |
//! | bytes | decimal with an optional suffix | word or the same, in mimalloc's units |
//! | form | its name | - |
//!
//! - A *word* is taken as mimalloc takes it: in capitals, any part of `1;TRUE;YES;ON` is 1, and so is nothing at all; any
//!   part of `0;FALSE;NO;OFF` is 0.
//! - A *suffix* is `K`, `M`, `G` or `T`, then nothing, `B` or `iB`; all of them are powers of 1024. A `B` may also stand
//!   alone.
//! - *mimalloc's units*: sizes are counted in KiB, so bytes are rounded up to whole KiB, and a word (1 is one) is a
//!   number of KiB.
//!
//! White space around a value is ignored, letters have no case. A number that is out of the row's bounds, be it by ever so much, is
//! moved to the nearer bound.

use super::table::{FORMS, Row, Unit};

/// Whose name the variable has: the same text means different sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Ravelin,
    Mimalloc,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// It is this number.
    Exact(i64),
    /// It was out of bounds; this is the nearer bound.
    Clamped(i64),
    /// It is no value of this kind.
    Malformed,
}

/// Longest value that is looked at: mimalloc cuts there, here it is malformed.
const LONGEST: usize = 64;

const TRUE_WORDS: &[u8] = b"1;TRUE;YES;ON";
const FALSE_WORDS: &[u8] = b"0;FALSE;NO;OFF";
const KIB: i64 = 1024;

/// The value of an option that is given as `text`. Total: any bytes yield an answer, and a number lies within bounds.
pub(crate) fn parse(row: &Row, dialect: Dialect, text: &[u8]) -> Parsed {
    let text = text.trim_ascii();
    if text.len() > LONGEST {
        return Parsed::Malformed;
    }
    let word = match (row.unit, dialect) {
        (Unit::Switch, _) | (_, Dialect::Mimalloc) => word(text),
        (_, Dialect::Ravelin) => None,
    };
    let number = match (row.unit, word) {
        (Unit::Bytes, Some(kib)) => Some(kib.saturating_mul(KIB)),
        (_, Some(value)) => Some(value),
        (Unit::Bytes, None) => size(text, dialect),
        (Unit::Form, None) => form(text),
        (_, None) => integer(text),
    };
    let Some(number) = number else {
        return Parsed::Malformed;
    };
    let value = bound(row, number);
    if value == number { Parsed::Exact(value) } else { Parsed::Clamped(value) }
}

/// The nearest number to `value` within the bounds of the row.
pub(crate) fn bound(row: &Row, value: i64) -> i64 {
    // Not `clamp`, which panics if the bounds are the wrong way round.
    value.min(row.max).max(row.min)
}

/// A boolean word, as mimalloc reads it.
fn word(text: &[u8]) -> Option<i64> {
    if is_part(text, TRUE_WORDS) {
        Some(1)
    } else if is_part(text, FALSE_WORDS) {
        Some(0)
    } else {
        None
    }
}

/// Whether `text` occurs in `words` if case is ignored. Nothing occurs everywhere.
fn is_part(text: &[u8], words: &[u8]) -> bool {
    // `windows` wants a length; the empty text is part of anything.
    text.is_empty() || words.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
}

/// The name of a form of statistics.
fn form(text: &[u8]) -> Option<i64> {
    let place = FORMS.iter().position(|form| text.eq_ignore_ascii_case(form.as_bytes()))?;
    i64::try_from(place).ok()
}

/// A decimal integer with an optional sign.
fn integer(text: &[u8]) -> Option<i64> {
    let (number, rest) = leading_integer(text)?;
    if rest.is_empty() { Some(number) } else { None }
}

/// A size in bytes.
fn size(text: &[u8], dialect: Dialect) -> Option<i64> {
    let (number, suffix) = leading_integer(text)?;
    // mimalloc takes a negative size for none.
    let number = if dialect == Dialect::Mimalloc { number.max(0) } else { number };
    let (unit, rest) = match suffix.split_first() {
        Some((b'K' | b'k', rest)) => (KIB, rest),
        Some((b'M' | b'm', rest)) => (1 << 20, rest),
        Some((b'G' | b'g', rest)) => (1 << 30, rest),
        Some((b'T' | b't', rest)) => (1 << 40, rest),
        _ => (1, suffix),
    };
    let may_be_binary = unit != 1 && rest.eq_ignore_ascii_case(b"iB");
    if !(rest.is_empty() || rest.eq_ignore_ascii_case(b"B") || may_be_binary) {
        return None;
    }
    let bytes = number.saturating_mul(unit);
    Some(match dialect {
        Dialect::Ravelin => bytes,
        // Up to whole KiB: nothing to do for a multiple of them.
        Dialect::Mimalloc => bytes.saturating_add(KIB - 1) & !(KIB - 1),
    })
}

/// Splits a decimal integer with an optional sign off the front of the text.
fn leading_integer(text: &[u8]) -> Option<(i64, &[u8])> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let mut number = 0i64;
    let mut rest = digits;
    while let Some((digit @ b'0'..=b'9', behind)) = rest.split_first() {
        let value = i64::from(digit.wrapping_sub(b'0'));
        let shifted = number.saturating_mul(10);
        number = if negative { shifted.saturating_sub(value) } else { shifted.saturating_add(value) };
        rest = behind;
    }
    if rest.len() == digits.len() {
        return None;
    }
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::super::table::{Setting, TABLE};
    use super::*;
    use proptest::prelude::*;
    use std::format;
    use std::vec::Vec;

    use Dialect::{Mimalloc, Ravelin};
    use Parsed::{Clamped, Exact, Malformed};

    fn check(setting: Setting, dialect: Dialect, cases: &[(&str, Parsed)]) {
        for (text, expected) in cases {
            assert_eq!(parse(setting.row(), dialect, text.as_bytes()), *expected, "{setting:?} {dialect:?} {text:?}");
        }
    }

    #[test]
    fn a_switch_takes_mimallocs_words_in_either_dialect() {
        for dialect in [Ravelin, Mimalloc] {
            for yes in ["", "1", "true", "TRUE", "Yes", "on", "e", "y", "t", "1;TRUE", " yes "] {
                check(Setting::ShowStats, dialect, &[(yes, Exact(1))]);
            }
            for no in ["0", "false", "NO", "off", "f", "a", "0;FALSE", " off\t"] {
                check(Setting::ShowStats, dialect, &[(no, Exact(0))]);
            }
            check(
                Setting::ShowStats,
                dialect,
                &[
                    ("2", Clamped(1)),
                    ("-1", Clamped(0)),
                    ("+0", Exact(0)),
                    ("yess", Malformed),
                    ("yesno", Malformed),
                    ("1K", Malformed),
                    ("0x1", Malformed),
                    ("99999999999999999999", Clamped(1)),
                ],
            );
        }
    }

    #[test]
    fn a_form_is_given_by_its_name() {
        let cases = [("off", Exact(0)), ("TABLE", Exact(1)), ("mimalloc", Exact(2)), (" Json ", Exact(3))];
        check(Setting::Stats, Ravelin, &cases);
        check(Setting::Stats, Ravelin, &[("", Malformed), ("1", Malformed), ("jso", Malformed), ("xml", Malformed)]);
    }

    #[test]
    fn an_option_without_meaning_has_the_value_that_mimalloc_gives_it() {
        check(Setting::OsTag, Mimalloc, &[("7", Exact(7)), ("-7", Exact(-7)), ("yes", Exact(1)), ("x", Malformed)]);
        check(Setting::RetryOnOom, Mimalloc, &[("-5", Exact(-5)), ("off", Exact(0))]);
        check(Setting::ReserveOsMemory, Mimalloc, &[("1", Exact(1024)), ("1G", Exact(1 << 30)), ("1025", Exact(2048))]);
    }

    #[test]
    fn numbers_are_decimal_and_bounded() {
        check(
            Setting::PurgeDelay,
            Ravelin,
            &[
                ("0", Exact(0)),
                ("-1", Exact(-1)),
                ("+25", Exact(25)),
                ("0025", Exact(25)),
                ("2147483647", Exact(2_147_483_647)),
                ("2147483648", Clamped(2_147_483_647)),
                ("-2", Clamped(-1)),
                ("9223372036854775807", Clamped(2_147_483_647)),
                ("-9223372036854775808", Clamped(-1)),
                ("9223372036854775808", Clamped(2_147_483_647)),
                ("-9223372036854775809", Clamped(-1)),
                ("", Malformed),
                ("yes", Malformed),
                ("10ms", Malformed),
                ("10K", Malformed),
                ("1 0", Malformed),
                ("--1", Malformed),
                ("-", Malformed),
                ("1.5", Malformed),
                ("1e3", Malformed),
            ],
        );
        check(
            Setting::PurgeDelay,
            Mimalloc,
            &[("yes", Exact(1)), ("off", Exact(0)), ("", Exact(1)), ("12", Exact(12))],
        );
    }

    #[test]
    fn sizes_take_suffixes() {
        const MIB: i64 = 1 << 20;
        check(
            Setting::QuarantineBytes,
            Ravelin,
            &[
                ("0", Exact(0)),
                ("1", Exact(1)),
                ("1000", Exact(1000)),
                ("1000B", Exact(1000)),
                ("3K", Exact(3072)),
                ("3k", Exact(3072)),
                ("3KB", Exact(3072)),
                ("3kib", Exact(3072)),
                ("5M", Exact(5 * MIB)),
                ("5MiB", Exact(5 * MIB)),
                ("2G", Exact(2048 * MIB)),
                ("2gb", Exact(2048 * MIB)),
                ("1T", Exact(1 << 40)),
                ("2T", Clamped(1 << 40)),
                ("8388607T", Clamped(1 << 40)),
                ("8388608T", Clamped(1 << 40)),
                ("-1K", Clamped(0)),
                ("3KiBB", Malformed),
                ("3Ki", Malformed),
                ("3iB", Malformed),
                ("3 K", Malformed),
                ("K", Malformed),
                ("3P", Malformed),
                ("", Malformed),
                ("on", Malformed),
            ],
        );
    }

    #[test]
    fn mimallocs_sizes_are_whole_kib_and_its_words_count_kib() {
        let row = Row { min: 0, ..*Setting::ArenaReserve.row() };
        for (text, expected) in [
            ("1", 1024),
            ("yes", 1024),
            ("", 1024),
            ("0", 0),
            ("2", 1024),
            ("1024", 1024),
            ("1025", 2048),
            ("1025B", 2048),
            ("1K", 1024),
            ("7M", 7 << 20),
            ("-5", 0),
        ] {
            assert_eq!(parse(&row, Mimalloc, text.as_bytes()), Exact(expected), "{text:?}");
        }
        for text in ["9223372036854775807", "99999999999T", "99999999999999999999G"] {
            assert_eq!(parse(&row, Mimalloc, text.as_bytes()), Clamped(row.max), "{text:?}");
        }
        check(Setting::ArenaReserve, Mimalloc, &[("1", Clamped(64 << 20)), ("1GiB", Exact(1 << 30))]);
    }

    #[test]
    fn a_value_too_long_to_be_one_is_malformed() {
        let zeros = "0".repeat(LONGEST + 1);
        check(Setting::PurgeDelay, Ravelin, &[(&zeros[1..], Exact(0)), (&zeros, Malformed)]);
    }

    fn within(row: &Row, parsed: Parsed) -> bool {
        match parsed {
            Exact(value) | Clamped(value) => row.min <= value && value <= row.max,
            Malformed => true,
        }
    }

    proptest! {
        #![proptest_config(crate::testing::proptest_config())]

        #[test]
        fn any_bytes_yield_a_value_within_bounds_or_none(text in proptest::collection::vec(any::<u8>(), 0..80)) {
            for row in &TABLE {
                for dialect in [Ravelin, Mimalloc] {
                    prop_assert!(within(row, parse(row, dialect, &text)));
                }
            }
        }

        #[test]
        fn near_misses_yield_a_value_within_bounds_or_none(text in "[ ]?[-+]?[0-9]{0,20}[ kKmMgGtTiIbB]{0,4}") {
            for row in &TABLE {
                for dialect in [Ravelin, Mimalloc] {
                    prop_assert!(within(row, parse(row, dialect, text.as_bytes())));
                }
            }
        }

        #[test]
        fn a_number_within_bounds_is_read_exactly(number in 0i64..=i64::from(i32::MAX)) {
            let text: Vec<u8> = format!("{number}").into_bytes();
            prop_assert_eq!(parse(Setting::PurgeDelay.row(), Ravelin, &text), Exact(number));
            prop_assert_eq!(parse(Setting::QuarantineBytes.row(), Ravelin, &text), Exact(number));
        }
    }
}
