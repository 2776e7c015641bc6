//! The lists of free blocks: what malloc pops, what free pushes.
//!
//! What a forged link can do: with `encoded-links` it is found at pop, before it is followed. Whoever *owns the key*
//! can write a link that passes, but it holds a position, which is checked against the page's blocks; and the block there
//! is handed out only if its state bit is clear. So he gets a free block of the same page, which malloc would have given
//! him anyway; a live block is never handed out twice, because the bits lie out of his reach. What he can lose is free
//! blocks: that is why every walk of a list is bounded by the page's capacity.

use super::link::{Wild, encode_at};
use super::{Block, Page};
use crate::geometry::{GRANULE_SHIFT, Granule};
use crate::mitigations::MITIGATIONS;
use crate::remote::{All, NotLive, Out, Owned};
use crate::sync::{AtomicU32, Relaxed};
use core::ptr::NonNull;

/// Why pop gives no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The free list is empty.
    Empty,
    /// The block at this address carries a wrong link, or is not free: its word was written to after it was freed.
    Corrupt(usize),
}

impl Page {
    /// Takes a block off the free list and marks it live. Its first word is zero.
    #[inline(always)]
    pub(crate) fn pop(&self, owned: &Owned) -> Result<Block, Refused> {
        let hot = &self.hot;
        let position = hot.free.load(Relaxed);
        if position == 0 {
            return Err(Refused::Empty);
        }
        let block = self.block_at(position);
        let (next, sound) = Wild::new(block.first_word()).decode(hot.key.load(Relaxed), position);
        if MITIGATIONS.encoded_links && !(sound && self.is_position(next)) {
            return Err(Refused::Corrupt(block.address()));
        }
        let spot = self.spot(Granule::of(block.address()));
        if let Err(NotLive) = spot.give::<All>(self.summary(), owned) {
            return Err(Refused::Corrupt(block.address()));
        }
        block.set_first_word(0);
        hot.free.store(next, Relaxed);
        hot.used.store(hot.used.load(Relaxed).wrapping_add(1), Relaxed);
        Ok(block)
    }

    /// Takes a block that was handed out back from the program. True: the page wants to be looked at, because it became
    /// empty, or is in the list of full pages and has room again.
    ///
    /// # Errors
    /// [`NotLive`] if another thread has freed the block already; nothing is changed then.
    #[inline(always)]
    pub(crate) fn take_back(&self, address: usize, out: &Out<'_>, owned: &Owned) -> Result<bool, NotLive> {
        out.take::<All>(self.summary(), owned)?;
        Ok(self.push(address, owned))
    }

    /// Puts a block that is not live any more on a local list. Result as `take_back`.
    #[inline(always)]
    pub(crate) fn push(&self, address: usize, _owned: &Owned) -> bool {
        let hot = &self.hot;
        let base = hot.base.load(Relaxed);
        let offset = address.wrapping_sub(base.addr());
        let position = (offset >> GRANULE_SHIFT) as u32;
        let used = hot.used.load(Relaxed);
        let list = self.local_list(used);
        // SAFETY: the address is that of a block of this page, so not null.
        let start = unsafe { NonNull::new_unchecked(base.with_addr(address)) };
        // SAFETY: the caller holds the token, and the block is not live any more.
        let block = unsafe { Block::new(start) };
        block.set_first_word(encode_at(hot.key.load(Relaxed), offset as u64, list.load(Relaxed)));
        list.store(position, Relaxed);
        let used = used.wrapping_sub(1);
        hot.used.store(used, Relaxed);
        used as i32 <= hot.trigger.load(Relaxed)
    }

    /// The local list for the next push: tossed by one of the page's secret coins.
    #[inline(always)]
    fn local_list(&self, toss: u32) -> &AtomicU32 {
        let [heads, tails] = &self.hot.local;
        if MITIGATIONS.random_order && self.hot.coins.load(Relaxed) & (1_u64.wrapping_shl(toss)) != 0 { tails } else { heads }
    }

    /// When the free list is empty, one of the local lists takes its place. False: all are empty.
    pub(crate) fn refill(&self, _owned: &Owned) -> bool {
        let hot = &self.hot;
        let toss = hot.coins.load(Relaxed);
        hot.coins.store(toss.rotate_left(7), Relaxed);
        let [heads, tails] = &hot.local;
        let (first, second) = if toss & 1 == 0 { (heads, tails) } else { (tails, heads) };
        for list in [first, second] {
            let position = list.load(Relaxed);
            if position != 0 {
                list.store(0, Relaxed);
                hot.free.store(position, Relaxed);
                hot.untouched.store(false, Relaxed);
                hot.zeroed.store(false, Relaxed);
                return true;
            }
        }
        false
    }

    /// Whether `position` is that of a block that was made, or 0.
    #[inline(always)]
    pub(super) fn is_position(&self, position: u32) -> bool {
        let hot = &self.hot;
        let divisor = hot.divisor.load(Relaxed);
        // Lemire, Kaser, Kurz, "Faster remainder by direct computation" (2019): n is a multiple of d iff
        // n * ceil(2^64 / d) modulo 2^64 is below that factor, for n and d below 2^32.
        u64::from(position).wrapping_mul(divisor) <= divisor.wrapping_sub(1) && position < hot.bound.load(Relaxed)
    }

    /// The block at a position of this page.
    #[inline(always)]
    pub(super) fn block_at(&self, position: u32) -> Block {
        let start = self.hot.base.load(Relaxed).wrapping_byte_add((position as usize) << GRANULE_SHIFT);
        // SAFETY: `base` lies one block before the first; a position is not 0 and below the page's end, so the sum is
        // the start of a block of the page, and not null.
        let start = unsafe { NonNull::new_unchecked(start) };
        // SAFETY: the callers hold the token, and the position is that of a free block, or of one on its way in or out.
        unsafe { Block::new(start) }
    }
}
