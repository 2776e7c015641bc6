//! The tables of a segment: state, remote and pending bits, and the slack of blocks. Out of line, never unmapped, zero where
//! nothing happened.

use crate::geometry::{GRANULES, Granule, SLICE_WORDS, SLICES, WORDS};
use crate::mitigations::MITIGATIONS;
use crate::remote::{Bits, Spot};
use crate::sync::{Acquire, AtomicU8, AtomicU32, AtomicU64, Relaxed, Release};
use core::sync::atomic::fence;

/// Words that hold one bit for each slice.
const SLICE_MAP: usize = SLICES.div_ceil(64);

/// Entries of the slack table. It lies last, and only what is written to takes memory: 4 KiB for a slice in use.
const SLACKS: usize = if MITIGATIONS.canaries { GRANULES } else { 0 };
/// An entry for a slack of this much or more, which stands four entries further on.
const WIDE: u8 = u8::MAX;
const WIDE_AT: usize = 4;

/// The tables of one segment. Valid when all its bytes are zero.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Tables {
    state: [AtomicU64; WORDS],
    remote: [AtomicU64; WORDS],
    pending: [AtomicU64; SLICE_MAP],
    slack: [AtomicU8; SLACKS],
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

    /// The slack of the block at `granule`: what it has beyond the requested bytes. 0 while nobody may say.
    #[inline(always)]
    pub(crate) fn slack(&self, granule: Granule) -> usize {
        match self.narrow(granule).load(Relaxed) {
            WIDE => self.wide_slack(granule),
            slack => slack as usize,
        }
    }

    #[cold]
    fn wide_slack(&self, granule: Granule) -> usize {
        fence(Acquire);
        self.wide(granule).load(Relaxed) as usize
    }

    /// Sets it.
    #[inline(always)]
    pub(crate) fn set_slack(&self, granule: Granule, slack: usize) {
        if slack < WIDE as usize {
            self.narrow(granule).store(slack as u8, Relaxed);
        } else {
            self.set_wide_slack(granule, slack);
        }
    }

    #[cold]
    fn set_wide_slack(&self, granule: Granule, slack: usize) {
        self.wide(granule).store(slack as u32, Relaxed);
        // Whoever sees that it is wide sees how wide.
        fence(Release);
        self.narrow(granule).store(WIDE, Relaxed);
    }

    #[inline(always)]
    fn narrow(&self, granule: Granule) -> &AtomicU8 {
        // SAFETY: a granule's index is below GRANULES by construction, and without canaries nobody asks.
        unsafe { self.slack.get_unchecked(granule.index()) }
    }

    fn wide(&self, granule: Granule) -> &AtomicU32 {
        let first = self.slack.as_ptr().wrapping_add(granule.index().wrapping_add(WIDE_AT)).cast::<AtomicU32>();
        // SAFETY: a block with so much slack is larger, starts at a multiple of four granules, and has these eight to itself; the entries
        // behind its first four are not used otherwise.
        unsafe { &*first }
    }

    /// All words of pending marks.
    pub(crate) fn all_pending(&self) -> &[AtomicU64] {
        &self.pending
    }
}
