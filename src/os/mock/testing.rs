//! What tests may ask: here the books answer, and there are no children.

use super::memory::protection_of;
use super::pages::Protection;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(i32),
}

/// How a child is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Birth {
    Fork,
    RawClone,
}

/// There are no children here.
pub(crate) fn in_child(_: Birth, _: impl FnOnce() -> i32) -> Option<Ending> {
    None
}

/// Whether a byte can be read.
pub(crate) fn is_readable(place: *mut u8) -> bool {
    matches!(protection_of(place.addr()), Some(Protection::Readable | Protection::Open))
}

/// Whether a byte can be written.
pub(crate) fn is_writable(place: *mut u8) -> bool {
    protection_of(place.addr()) == Some(Protection::Open)
}

/// There is no kernel to ask.
pub(crate) fn has_map_flag(_: *mut u8, _: &str) -> Option<bool> {
    None
}
