//! The options as mimalloc's interface in C knows them: by number, with sizes in KiB.

use super::store;
use super::table::{BY_NUMBER, Setting, Unit};

const KIB: i64 = 1024;

fn by_number(number: i32) -> Option<Setting> {
    BY_NUMBER.get(usize::try_from(number).ok()?).copied()
}

fn unit_of(setting: Setting) -> i64 {
    if setting.row().unit == Unit::Bytes { KIB } else { 1 }
}

/// The value of an option; 0 if there is no such number.
pub(crate) fn get_number(number: i32) -> i64 {
    by_number(number).map_or(0, |setting| store::get(setting).checked_div(unit_of(setting)).unwrap_or(0))
}

/// The value of a size in bytes, and of any other option as it is.
pub(crate) fn get_bytes(number: i32) -> i64 {
    by_number(number).map_or(0, store::get)
}

/// How `set_number` treats an option that has been given a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setter {
    /// The new value counts.
    Always,
    /// The new value only takes the place of the default.
    Default,
}

/// Sets an option, to the nearest value within its bounds. Nothing happens if there is no such number.
pub(crate) fn set_number(number: i32, value: i64, setter: Setter) {
    let Some(setting) = by_number(number) else { return };
    let value = value.saturating_mul(unit_of(setting));
    match setter {
        Setter::Always => store::set(setting, value),
        Setter::Default => store::set_default(setting, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_mimalloc_but_for_the_purge_delay() {
        let expected = [
            (3, 1),
            (4, 2),
            (5, 1),
            (8, -1),
            (14, 1),
            (15, 100),
            (18, 100),
            (19, 32),
            (20, 32),
            (21, 10),
            (23, 1_048_576),
            (24, 10),
            (25, 1),
            (26, 1),
            (28, 400),
        ];
        for number in -1..31 {
            let value = expected.iter().find(|(known, _)| *known == number).map_or(0, |(_, value)| *value);
            assert_eq!(get_number(number), value, "{number}");
        }
        assert_eq!(get_bytes(23), 1 << 30);
        assert_eq!(get_bytes(15), 100);
        set_number(-1, 1, Setter::Always);
        set_number(29, 1, Setter::Default);
    }
}
