//! Which blocks are live: two bits for each granule, out of reach of the program.
//!
//! ```text
//! granules  | 0 | 1 | 2 | 3 | 4 | 5 |        a page of 32-byte blocks
//! blocks    |   A   |   B   |   C   |
//! state       1   0   0   0   1   0          A and C were handed out, B is free
//! remote      0   0   0   0   1   0          another thread has freed C: only A is live
//! ```
//!
//! A state bit can be set only where a live block *starts*. So one test answers every question that `free` must ask: a
//! block freed twice, the inside of a block, and memory that was never handed out all read 0. Which of them it was is for
//! the report to find out.
//!
//! State words are written by the page's owner alone, by plain loads and stores: no two pages share a word. Without
//! `free-checks` the state bits are left alone, and every block that arrives is believed.

use super::{All, Owned, Rules};
use crate::mitigations::MITIGATIONS;
use crate::sync::{AcqRel, Acquire, AtomicU64, Relaxed};

/// The block is not live: it was freed before, or never handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotLive;

/// The two bits of one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spot<'a> {
    pub(crate) state: &'a AtomicU64,
    pub(crate) remote: &'a AtomicU64,
    /// Which bit of both words: the granule modulo 64.
    pub(crate) bit: u32,
}

impl<'a> Spot<'a> {
    /// The granule's bit in both words.
    #[inline(always)]
    pub(crate) const fn mask(&self) -> u64 {
        1_u64.wrapping_shl(self.bit)
    }

    /// Whether the block was handed out and its owner has not taken it back.
    #[inline(always)]
    pub(crate) fn is_out(&self) -> bool {
        self.state.load(Relaxed).wrapping_shr(self.bit) & 1 != 0
    }

    /// Whether another thread has freed it and the owner has not taken it back.
    #[inline(always)]
    pub(crate) fn is_posted(&self) -> bool {
        // Turned, not masked: this is asked rarely, and the mask would be made before it is known whether.
        self.remote.load(Acquire).rotate_right(self.bit) & 1 != 0
    }

    /// Whether a live block starts here.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.is_out() && !self.is_posted()
    }

    /// Looks whether the block was handed out, before it is known who owns its page.
    ///
    /// # Errors
    /// [`NotLive`] if no block that was handed out starts here.
    #[inline(always)]
    pub(crate) fn look(self) -> Result<Out<'a>, NotLive> {
        if !MITIGATIONS.free_checks {
            return Ok(Out { spot: self, taken: 0 });
        }
        let word = self.state.load(Relaxed);
        let taken = word & !self.mask();
        if taken == word { Err(NotLive) } else { Ok(Out { spot: self, taken }) }
    }

    /// The owner hands the block out.
    ///
    /// # Errors
    /// [`NotLive`] if it is not free: its state bit is set, or its remote bit.
    #[inline(always)]
    pub(crate) fn give<R: Rules>(&self, summary: &AtomicU64, _owned: &Owned) -> Result<(), NotLive> {
        if !MITIGATIONS.free_checks {
            return Ok(());
        }
        let word = self.state.load(Relaxed);
        let given = word | self.mask();
        if given == word {
            return Err(NotLive);
        }
        if R::POP_TESTS_REMOTE && summary.load(Acquire) != 0 && self.is_posted() {
            return Err(NotLive);
        }
        self.state.store(given, Relaxed);
        Ok(())
    }
}

/// A block that was handed out, and the state word that said so, without its bit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out<'a> {
    pub(crate) spot: Spot<'a>,
    taken: u64,
}

impl Out<'_> {
    /// The owner takes the block back. The word that was read was the state word still: only the owner writes it.
    ///
    /// # Errors
    /// [`NotLive`] if another thread has freed the block already; nothing is changed then.
    #[inline(always)]
    pub(crate) fn take<R: Rules>(&self, summary: &AtomicU64, _owned: &Owned) -> Result<(), NotLive> {
        if !MITIGATIONS.free_checks {
            return Ok(());
        }
        if R::FREE_TESTS_REMOTE && summary.load(Acquire) != 0 && self.spot.is_posted() {
            return Err(NotLive);
        }
        self.spot.state.store(self.taken, Relaxed);
        Ok(())
    }
}

/// The bits of one page, and the group of words that one bit of its summary stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    pub(crate) state: &'a [AtomicU64],
    pub(crate) remote: &'a [AtomicU64],
    /// log2 of the words that one summary bit stands for.
    pub(crate) group_shift: u32,
}

/// The owner takes back what other threads have freed: `back` is called with the granule's index in the page, once for
/// each block.
///
/// # Errors
/// The granule's index of a block that was freed although the owner had taken it back already.
pub(crate) fn collect<R: Rules>(
    bits: &Bits<'_>,
    summary: &AtomicU64,
    owned: &Owned,
    mut back: impl FnMut(usize),
) -> Result<(), usize> {
    // Top down: had the words been emptied first, a bit set in between would lose its summary bit.
    let mut groups = if R::SUMMARY_CLEARED_FIRST { summary.swap(0, AcqRel) } else { summary.load(Acquire) };
    while groups != 0 {
        let group = groups.trailing_zeros() as usize;
        groups &= groups.wrapping_sub(1);
        let first = group << bits.group_shift;
        let words = bits.state.iter().zip(bits.remote).enumerate().skip(first).take(1 << bits.group_shift);
        for (index, (state, remote)) in words {
            let Emptied { mut freed, out } = empty::<R>(state, remote, owned);
            if R::STATE_BEHIND_REMOTE && freed & !out != 0 {
                return Err((index << 6) | (freed & !out).trailing_zeros() as usize);
            }
            while freed != 0 {
                back((index << 6) | freed.trailing_zeros() as usize);
                freed &= freed.wrapping_sub(1);
            }
        }
    }
    if !R::SUMMARY_CLEARED_FIRST {
        summary.store(0, Relaxed);
    }
    Ok(())
}

/// A page is born: marks of its earlier life are cleared, and no block of it may be freed.
///
/// # Errors
/// The granule's index of a block that was freed after all blocks of the earlier life had come back, or of a page that had
/// some of these slices.
pub(super) fn start<R: Rules>(bits: &Bits<'_>, summary: &AtomicU64, owned: &Owned) -> Result<(), usize> {
    collect::<R>(bits, summary, owned, |_| {})?;
    if MITIGATIONS.free_checks {
        // Words that the summary did not name: the page that had them may have had another one.
        for (index, remote) in bits.remote.iter().enumerate() {
            let freed = remote.load(Relaxed);
            if freed != 0 {
                return Err((index << 6) | freed.trailing_zeros() as usize);
            }
        }
    }
    Ok(())
}

/// The owner takes back what other threads have freed, whatever the summary says, and judges nobody: for the child of a
/// fork, where a thread that is not in this process may have been between any two of its stores.
pub(crate) fn settle<R: Rules>(bits: &Bits<'_>, summary: &AtomicU64, owned: &Owned) {
    let named = if R::CHILD_EMPTIES_ALL { u64::MAX } else { summary.load(Acquire) };
    summary.swap(0, AcqRel);
    for (index, (state, remote)) in bits.state.iter().zip(bits.remote).enumerate() {
        if R::CHILD_EMPTIES_ALL || named >> (index >> bits.group_shift) & 1 != 0 {
            empty::<R>(state, remote, owned);
        }
    }
}

/// The owner takes all blocks back at once, those that nobody has freed too, and judges nobody: the page is about to be given up.
/// The state bits go first, so that whoever looks from then on finds no live block.
pub(crate) fn release(bits: &Bits<'_>, summary: &AtomicU64, owned: &Owned) {
    if MITIGATIONS.free_checks {
        for state in bits.state {
            state.store(0, Relaxed);
        }
    }
    settle::<All>(bits, summary, owned);
}

/// What a word of remote bits held, and the state bits of before.
struct Emptied {
    freed: u64,
    out: u64,
}

/// Empties a word of remote bits, and clears the state bits of the same blocks.
fn empty<R: Rules>(state: &AtomicU64, remote: &AtomicU64, _owned: &Owned) -> Emptied {
    // A read-modify-write even of a zero: whoever posts after it reads it, and so sees that the summary was cleared.
    let mut freed = if R::ZEROS_WRITTEN { remote.fetch_or(0, AcqRel) } else { remote.load(Acquire) };
    let out = if MITIGATIONS.free_checks { state.load(Relaxed) } else { u64::MAX };
    while freed != 0 {
        // A remote bit over a clear state bit is what the child of a fork may find; a state bit alone would be a live block.
        if MITIGATIONS.free_checks && R::STATE_CLEARED_FIRST {
            state.store(out & !freed, Relaxed);
        }
        match remote.compare_exchange(freed, 0, AcqRel, Relaxed) {
            Ok(_) => break,
            Err(more) => freed = more,
        }
    }
    if MITIGATIONS.free_checks && !R::STATE_CLEARED_FIRST {
        state.store(out & !freed, Relaxed);
    }
    Emptied { freed, out }
}
