//! Addresses: what came from outside, and where in its segment it lies.

use super::{GRANULE_SHIFT, GRANULES, SEGMENT_NUMBERS, SEGMENT_SHIFT, SLICE_SHIFT, SLICES};

/// A pointer that came from outside: nothing is known of it. It becomes a block only by the checks of `heap::free`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UserPtr(*mut u8);

impl UserPtr {
    /// Takes a pointer from the program.
    #[inline]
    pub(crate) const fn new(pointer: *mut u8) -> Self {
        Self(pointer)
    }

    /// Its address.
    #[inline]
    pub(crate) fn address(self) -> usize {
        self.0.addr()
    }

    /// The number of the segment it would lie in; none above the user's half of the address space.
    #[inline]
    pub(crate) fn segment_number(self) -> Option<usize> {
        let number = self.address() >> SEGMENT_SHIFT;
        if number < SEGMENT_NUMBERS { Some(number) } else { None }
    }

    /// The number of its granule in the whole address space; larger than any such number if it does not lie at a granule's
    /// start, for then the low bits of the address come out on top. So one comparison refuses both what is too high and what
    /// is not aligned.
    #[inline(always)]
    pub(crate) fn granule_number(self) -> usize {
        self.address().rotate_right(GRANULE_SHIFT)
    }
}

/// A granule's index in its segment, below [`GRANULES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granule(usize);

impl Granule {
    /// The granule at `address`, whatever its segment.
    #[inline]
    pub(crate) const fn of(address: usize) -> Self {
        Self((address >> GRANULE_SHIFT) & (GRANULES - 1))
    }

    /// The granule with this number in the whole address space.
    #[inline(always)]
    pub(crate) const fn numbered(number: usize) -> Self {
        Self(number & (GRANULES - 1))
    }

    /// Below [`GRANULES`].
    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        self.0
    }

    /// The word that holds this granule's bit, below [`super::WORDS`].
    #[inline]
    pub(crate) const fn word(self) -> usize {
        self.0 >> 6
    }

    /// Which bit of that word it is; only the lower six bits of the number count.
    #[inline]
    pub(crate) const fn bit(self) -> u32 {
        self.0 as u32
    }

    /// The slice that it lies in, below [`SLICES`].
    #[inline]
    pub(crate) const fn slice(self) -> usize {
        (self.0 >> (SLICE_SHIFT - GRANULE_SHIFT)) & (SLICES - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{GRANULE, SEGMENT, SLICE, WORDS};

    #[test]
    fn an_address_falls_into_its_granule_word_and_slice() {
        let address = 7 * SEGMENT + 3 * SLICE + 65 * GRANULE + 5;
        let granule = Granule::of(address);
        assert_eq!((granule.word(), granule.bit() & 63), (3 * 64 + 1, 1));
        assert_eq!(granule.slice(), 3);
        assert!(Granule::of(usize::MAX).word() < WORDS);
    }

    #[test]
    fn kernel_addresses_have_no_segment() {
        assert_eq!(UserPtr::new(core::ptr::without_provenance_mut(usize::MAX)).segment_number(), None);
        assert_eq!(UserPtr::new(core::ptr::without_provenance_mut(SEGMENT)).segment_number(), Some(1));
    }

    #[test]
    fn a_pointer_off_its_granule_has_a_number_beyond_all() {
        let number = |address| UserPtr::new(core::ptr::without_provenance_mut(address)).granule_number();
        assert_eq!(number(0x120), 0x12);
        assert!((1..16).all(|off| number(0x120 + off) > usize::MAX >> 4));
    }
}
