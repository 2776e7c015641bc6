//! The measures of memory: how an address falls into segment, slice and granule, and a size into its class.
//!
//! ```text
//! address   | segment number | slice | granule of the slice | byte |
//!   bits     46           25  24   16  15                  4  3    0
//! ```
//!
//! | word | bytes | what it is the unit of |
//! |---|---|---|
//! | granule | 16 | blocks: each starts on one and is a multiple of it; one state bit and one remote bit stand for it |
//! | slice | 64 KiB | pages: each is a run of slices |
//! | segment | 32 MiB | look-up, metadata and guards |
//!
//! The slice is not the kernel's page: that one is called "OS page" and asked at run time.
//!
//! Reading order: [`class`] (sizes), [`place`] (addresses).

mod class;
mod place;

pub(crate) use class::{CLASSES, Class, MEDIUM_MAX, SMALL_MAX, SMALL_STEPS};
pub(crate) use place::{Granule, UserPtr};

use crate::os;

pub(crate) use os::SEGMENT_SHIFT;

/// log2 of [`GRANULE`].
pub(crate) const GRANULE_SHIFT: u32 = 4;
/// Bytes of a granule.
pub(crate) const GRANULE: usize = 1 << GRANULE_SHIFT;
/// log2 of [`SLICE`].
pub(crate) const SLICE_SHIFT: u32 = 16;
/// Bytes of a slice.
pub(crate) const SLICE: usize = 1 << SLICE_SHIFT;
/// Bytes of a segment, and its alignment.
pub(crate) const SEGMENT: usize = 1 << SEGMENT_SHIFT;
/// Slices of a segment.
pub(crate) const SLICES: usize = SEGMENT / SLICE;
/// Granules of a segment.
pub(crate) const GRANULES: usize = SEGMENT / GRANULE;
/// Bytes that one 64-bit word of bits stands for.
pub(crate) const WORD_SHIFT: u32 = GRANULE_SHIFT + 6;
/// Words of 64 bits that hold one bit for each granule of a segment.
pub(crate) const WORDS: usize = GRANULES / 64;
/// The same for a slice.
pub(crate) const SLICE_WORDS: usize = SLICE >> WORD_SHIFT;
/// Segments that the address space can hold.
pub(crate) const SEGMENT_NUMBERS: usize = 1 << (os::ADDRESS_BITS - SEGMENT_SHIFT);
/// The largest block that shares a segment with others; a larger one has a mapping of its own.
pub(crate) const LARGE_MAX: usize = SEGMENT / 2;

const _: () = assert!(SLICE_WORDS == 64, "a page of one slice has one summary bit for each word");
