//! The bits of a segment: state, remote and pending. Out of line, never unmapped, zero where nothing happened.

use crate::geometry::{Granule, SLICE_WORDS, SLICES, WORDS};
use crate::remote::{Bits, Spot};
use crate::sync::AtomicU64;

/// Words that hold one bit for each slice.
const SLICE_MAP: usize = SLICES.div_ceil(64);

/// The tables of one segment. Valid when all its bytes are zero.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Tables {
    state: [AtomicU64; WORDS],
    remote: [AtomicU64; WORDS],
    pending: [AtomicU64; SLICE_MAP],
}

impl Tables {
    /// The two bits of the block at `granule`.
    #[inline(always)]
    pub(crate) fn spot(&self, granule: Granule) -> Spot<'_> {
        let word = granule.word();
        Spot {
            // SAFETY: a granule's word is below WORDS by construction.
            state: unsafe { self.state.get_unchecked(word) },
            // SAFETY: as above.
            remote: unsafe { self.remote.get_unchecked(word) },
            bit: granule.bit(),
        }
    }

    /// The bits of the page of `slices` slices from `first` on.
    pub(crate) fn bits(&self, first: usize, slices: usize, group_shift: u32) -> Bits<'_> {
        let (start, end) = (first.wrapping_mul(SLICE_WORDS), first.wrapping_add(slices).wrapping_mul(SLICE_WORDS));
        Bits {
            state: self.state.get(start..end).unwrap_or(&[]),
            remote: self.remote.get(start..end).unwrap_or(&[]),
            group_shift,
        }
    }

    /// The word that has the pending mark of the page that starts at `slice`.
    #[inline]
    pub(crate) fn pending(&self, slice: usize) -> &AtomicU64 {
        // SAFETY: a slice number is below SLICES; the remainder keeps that true whatever the caller brings.
        unsafe { self.pending.get_unchecked((slice % SLICES) >> 6) }
    }

    /// That mark.
    #[inline]
    pub(crate) const fn pending_mark(slice: usize) -> u64 {
        1_u64.wrapping_shl(slice as u32 & 63)
    }

    /// All words of pending marks.
    pub(crate) fn all_pending(&self) -> &[AtomicU64] {
        &self.pending
    }
}
