//! Options by mimalloc's numbers. Those that mean nothing here keep what they are given.

use core::ffi::{c_int, c_long};

use engine::raw::{self, Setter};

/// A switch as a number.
fn number(on: bool) -> i64 {
    i64::from(on)
}

export! {
    /// Whether an option is not 0.
    fn option_is_enabled(option: c_int) -> bool {
        raw::option(option) != 0
    }

    /// Sets an option to 1.
    fn option_enable(option: c_int) {
        raw::set_option(option, number(true), Setter::Always);
    }

    /// Sets an option to 0.
    fn option_disable(option: c_int) {
        raw::set_option(option, number(false), Setter::Always);
    }

    /// Sets an option to 1 or 0.
    fn option_set_enabled(option: c_int, on: bool) {
        raw::set_option(option, number(on), Setter::Always);
    }

    /// Sets an option to 1 or 0, unless it was given a value.
    fn option_set_enabled_default(option: c_int, on: bool) {
        raw::set_option(option, number(on), Setter::Default);
    }

    /// The value of an option; 0 if there is no such number.
    fn option_get(option: c_int) -> c_long {
        raw::option(option)
    }

    /// The value of an option, moved to the nearer bound.
    fn option_get_clamp(option: c_int, least: c_long, most: c_long) -> c_long {
        let value = raw::option(option);
        if value < least { least } else { value.min(most) }
    }

    /// The value of an option that is a size, in bytes; 0 if it is negative.
    fn option_get_size(option: c_int) -> usize {
        usize::try_from(raw::option_in_bytes(option)).unwrap_or(0)
    }

    /// Sets an option, to the nearest value within its bounds.
    fn option_set(option: c_int, value: c_long) {
        raw::set_option(option, value, Setter::Always);
    }

    /// Sets an option, unless it was given a value.
    fn option_set_default(option: c_int, value: c_long) {
        raw::set_option(option, value, Setter::Default);
    }
}
