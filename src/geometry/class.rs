//! Size classes: the block sizes there are, and which of them serves a request.
//!
//! ```text
//! 16 32 48 64 80 96 112 128 | 160 192 224 256 | 320 384 448 512 | ... | 80Ki 96Ki 112Ki 128Ki
//!    every 16 bytes         |  then four to a doubling, so that at most a fifth is lost
//! ```
//!
//! The spacing is that of mimalloc and jemalloc. All sizes are multiples of a granule, and a page starts at a slice,
//! so a block is aligned to every power of two that divides its size: an aligned request is served by choosing a class.

use super::{GRANULE, SLICE, SLICES};

/// How many classes there are.
pub(crate) const CLASSES: usize = 48;
/// Requests up to this many bytes find their page through a table (one entry a granule).
pub(crate) const SMALL_MAX: usize = 1024;
/// Entries of that table.
pub(crate) const SMALL_STEPS: usize = SMALL_MAX / GRANULE + 1;
/// The largest request that shares a page with others.
pub(crate) const MEDIUM_MAX: usize = 128 * 1024;

/// Classes up to 128 bytes are 16 bytes apart: this many of them.
const FINE: usize = 8;

/// A size class, below [`CLASSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(u8);

impl Class {
    /// The class whose blocks are the smallest that hold `size` bytes aligned to 16; none above [`MEDIUM_MAX`].
    #[inline]
    pub(crate) const fn of(size: usize) -> Option<Class> {
        if size > MEDIUM_MAX {
            return None;
        }
        Some(Class(Self::index_of(size) as u8))
    }

    #[inline]
    const fn index_of(size: usize) -> usize {
        let last = size.saturating_sub(1);
        if last < FINE * GRANULE {
            return last / GRANULE;
        }
        // The two bits below the leading one say which quarter of the doubling.
        let log = last.ilog2();
        FINE + (log as usize).wrapping_sub(7) * 4 + ((last >> (log.wrapping_sub(2))) & 3)
    }

    /// The class for `size` bytes aligned to `align`, a power of two; none if that takes a page of its own.
    #[inline]
    pub(crate) const fn of_aligned(size: usize, align: usize) -> Option<Class> {
        if align <= GRANULE {
            return Self::of(size);
        }
        if align > SLICE || size > MEDIUM_MAX {
            return None;
        }
        // At least one whole alignment; both are at most 128 KiB, so that nothing overflows.
        let size = if size == 0 { 1 } else { size };
        let mut index = Self::index_of(size.next_multiple_of(align));
        while index < CLASSES {
            let class = Class(index as u8);
            if class.block_size() & (align.wrapping_sub(1)) == 0 {
                return Some(class);
            }
            index = index.wrapping_add(1);
        }
        None
    }

    /// The class with this index.
    #[inline]
    pub(crate) const fn new(index: usize) -> Option<Class> {
        if index < CLASSES { Some(Class(index as u8)) } else { None }
    }

    /// Below [`CLASSES`].
    #[inline]
    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    /// Bytes of a block.
    #[inline]
    pub(crate) const fn block_size(self) -> usize {
        let index = self.0 as usize;
        if index < FINE {
            return (index + 1) * GRANULE;
        }
        let step = index.wrapping_sub(FINE);
        (5 + (step & 3)) << (5 + (step >> 2))
    }

    /// The smallest request that this class serves, not counting 0: one more than the class before it holds.
    pub(crate) const fn least(self) -> usize {
        if self.0 == 0 { 0 } else { Class(self.0.wrapping_sub(1)).block_size() + 1 }
    }

    /// Slices of a page of this class: at least eight blocks, if a segment has the room.
    pub(crate) const fn page_slices(self) -> usize {
        let wanted = (8 * self.block_size()).div_ceil(SLICE);
        if wanted > SLICES / 2 { SLICES / 2 } else { wanted }
    }

    /// All classes, smallest first.
    pub(crate) fn all() -> impl Iterator<Item = Class> {
        (0..CLASSES as u8).map(Class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for size in 0..=MEDIUM_MAX {
            let class = Class::of(size).expect("within MEDIUM_MAX");
            assert!(class.block_size() >= size);
            assert!(class.least() <= size.max(1) || size == 0, "{size} lies below {class:?}");
        }
        assert_eq!(Class::of(MEDIUM_MAX).map(Class::index), Some(CLASSES - 1));
        assert_eq!(Class::of(MEDIUM_MAX + 1), None);
    }

    #[test]
    fn block_sizes_grow_and_are_whole_granules() {
        let sizes: std::vec::Vec<_> = Class::all().map(Class::block_size).collect();
        assert!(sizes.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(sizes.iter().all(|size| size % GRANULE == 0));
        assert_eq!(&sizes[..12], &[16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256]);
    }

    #[test]
    fn an_aligned_request_gets_a_multiple_of_its_alignment() {
        for shift in 0..=16 {
            let align = 1 << shift;
            for size in [0, 1, 15, 16, 17, 100, 1000, 4095, 4096, 4097, 20_000, 65_536, 65_537, 100_000, MEDIUM_MAX] {
                let class = Class::of_aligned(size, align).expect("fits a page");
                assert!(class.block_size() >= size);
                assert!(class.block_size() % align.max(GRANULE) == 0, "{size} at {align}: {class:?}");
            }
        }
        assert_eq!(Class::of_aligned(1, 2 * SLICE), None);
    }

    #[test]
    fn a_page_wastes_little_of_its_slices() {
        for class in Class::all() {
            let bytes = class.page_slices() * SLICE;
            let waste = bytes % class.block_size();
            assert!(waste * 8 <= bytes || class.page_slices() == SLICES / 2, "{class:?} wastes {waste} of {bytes}");
        }
    }
}
