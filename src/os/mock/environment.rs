//! What the process was started with: nothing.

use super::controls;

/// The environment, "NAME=value" each: empty.
pub(crate) fn environment() -> impl Iterator<Item = &'static [u8]> {
    core::iter::empty()
}

/// None.
pub(crate) fn address_space_limit() -> Option<usize> {
    None
}

/// How many maps the process may have; see [`set_map_limit`](super::set_map_limit).
pub(crate) fn map_limit() -> usize {
    controls::map_limit()
}
