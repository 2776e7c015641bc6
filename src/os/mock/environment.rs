//! What the process was started with, as a test says.

use super::controls;
use std::sync::{Mutex, PoisonError};

static ENVIRONMENT: Mutex<&'static [&'static [u8]]> = Mutex::new(&[]);

/// The environment, "NAME=value" each: empty unless a test has set it.
pub(crate) fn environment() -> impl Iterator<Item = &'static [u8]> {
    ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner).iter().copied()
}

/// Sets the environment, for the whole process: a test that sets it runs alone.
pub(crate) fn set_environment(entries: &'static [&'static [u8]]) {
    *ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner) = entries;
}

/// None.
pub(crate) fn address_space_limit() -> Option<usize> {
    None
}

/// How many maps the process may have; see [`set_map_limit`](super::set_map_limit).
pub(crate) fn map_limit() -> usize {
    controls::map_limit()
}
