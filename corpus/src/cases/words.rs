//! What reports begin with.

pub(super) const DOUBLE_FREE: &[&str] = &["double free of "];
pub(super) const AFTER_FREE_IN_REALLOC: &[&str] = &["use after free in realloc of "];
pub(super) const FOREIGN: &[&str] = &["invalid free (foreign pointer) of "];
pub(super) const INTERIOR: &[&str] = &["invalid free (interior pointer) of "];
/// A trailer has changed.
pub(super) const OVERFLOW: &[&str] = &["buffer overflow"];
/// A neighbour's trailer or a free neighbour has changed.
pub(super) const DAMAGE: &[&str] = &["buffer overflow", "buffer underflow", "corrupted free list", "write after free"];
/// A free block has changed: its link, or what was wiped.
pub(super) const WRITTEN_AFTER_FREE: &[&str] = &["corrupted free list in malloc at ", "write after free"];
