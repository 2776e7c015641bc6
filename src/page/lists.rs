//! The lists of free blocks: what malloc pops, what free pushes.
//!
//! What a forged link can do: with `encoded-links` it is found at pop, before it is followed. Whoever *owns the key*
//! can write a link that passes, but it holds a number, which is checked against the page's blocks; and the block with it
//! is handed out only if its state bit is clear. So he gets a free block of the same page, which malloc would have given
//! him anyway; a live block is never handed out twice, because the bits lie out of his reach. What he can lose is free
//! blocks: that is why every walk of a list is bounded by the page's capacity.

use super::block::wiped_part;
use super::hot::own;
use super::link::{Wild, encode};
use super::{Block, Page, Tables};
use crate::geometry::Granule;
use crate::mitigations::MITIGATIONS;
use crate::os::{self, valgrind};
use crate::remote::{self, All, NotLive, Out, Owned};
use crate::sync::{Relaxed, Release};
use core::ptr::NonNull;
use core::sync::atomic::fence;

/// The next free list begins with one of so many first blocks of the local one.
const CUT_WITHIN: u32 = 16;

/// Where a list is cut.
struct Cut {
    /// The last block before; 0 if there is none.
    last_kept: u32,
    /// The first block after.
    next: u32,
    /// Blocks before.
    kept: u32,
}

impl Cut {
    /// Before its first block.
    const fn none(first: u32) -> Cut {
        Cut { last_kept: 0, next: first, kept: 0 }
    }
}

/// Why pop gives no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The free list is empty.
    Empty,
    /// The block at this address carries a wrong link, or is not free: its word was written to after it was freed.
    Corrupt(usize),
    /// The block at this address was wiped when it was freed, and written to since.
    Written(usize),
}

impl Page {
    /// Takes a block off the free list and marks it live. Its first word is zero; with `zero-on-free` all of it.
    #[inline(always)]
    pub(crate) fn pop(&self, owned: &Owned) -> Result<Block, Refused> {
        let hot = &self.hot;
        let name = own(&hot.free, owned);
        if name == 0 {
            return Err(Refused::Empty);
        }
        let block = self.own_block_at(name, owned);
        let (link, key) = (Wild::new(block.first_word()), hot.key(owned));
        if MITIGATIONS.free_checks && link.decode(key, name) > own(&hot.capacity, owned) {
            return Err(Refused::Corrupt(block.address()));
        }
        // SAFETY: the block's size or less; free blocks of a page are wiped so far.
        if MITIGATIONS.zero_on_free && !unsafe { block.is_wiped(wiped_part(own(&hot.size, owned) as usize)) } {
            return Err(Refused::Written(block.address()));
        }
        if MITIGATIONS.free_checks {
            let spot = self.spot(Granule::of(block.address()));
            if let Err(NotLive) = spot.give::<All>(self.summary(), owned) {
                return Err(Refused::Corrupt(block.address()));
            }
        }
        block.set_first_word(0);
        let next = link.guess(key);
        hot.free.store(next, Relaxed);
        if MITIGATIONS.zero_on_free {
            // All of it will be read, and it was wiped long ago: measured, a fiftieth of the time over the benches, and a twentieth to a
            // tenth where blocks are many. Without the wiping it is as often a loss as a gain.
            os::fetch_ahead(self.own_place(next, owned));
        }
        hot.used.store(hot.used.load(Relaxed).wrapping_add(1), Relaxed);
        Ok(block)
    }

    /// Takes a block of `size` bytes that was handed out back from the program. Until it is pushed on a list it counts as used.
    ///
    /// # Errors
    /// [`NotLive`] if another thread has freed the block already; nothing is changed then.
    #[inline(always)]
    pub(crate) fn take_back(
        &self,
        tables: &Tables,
        address: usize,
        size: usize,
        out: &Out<'_>,
        owned: &Owned,
    ) -> Result<(), NotLive> {
        out.take::<All>(self.summary(), owned)?;
        self.clean(tables, address, size, owned);
        Ok(())
    }

    /// A block that was taken back is to wait before it comes to a list.
    #[inline(always)]
    pub(crate) fn enter_quarantine(&self, _owned: &Owned) {
        self.count_quarantined(1);
    }

    /// The same for one that another thread has freed, and wiped.
    ///
    /// # Errors
    /// As `push_posted`.
    pub(crate) fn post_to_quarantine(&self, address: usize, _owned: &Owned) -> Result<(), Refused> {
        let block = self.face.block(address);
        if MITIGATIONS.zero_on_free && block.first_word() != 0 {
            return Err(Refused::Written(address));
        }
        self.count_quarantined(1);
        Ok(())
    }

    /// A block that has waited is about to come to a list.
    #[inline]
    pub(crate) fn leave_quarantine(&self, _owned: &Owned) {
        self.count_quarantined(u32::MAX);
    }

    #[inline(always)]
    fn count_quarantined(&self, change: u32) {
        let count = &self.hot.quarantined;
        count.store(count.load(Relaxed).wrapping_add(change), Relaxed);
    }

    /// Takes a block back that another thread has freed, and wiped.
    ///
    /// # Errors
    /// [`Refused::Written`] if it was written to since: the link would hide it.
    pub(crate) fn push_posted(&self, address: usize, owned: &Owned) -> Result<bool, Refused> {
        if MITIGATIONS.zero_on_free && self.own_block(address, owned).first_word() != 0 {
            return Err(Refused::Written(address));
        }
        Ok(self.push(address, owned))
    }

    /// Leaves nothing in a block that the owner takes back: first nobody may look at its canary, then it goes with the rest.
    #[inline(always)]
    fn clean(&self, tables: &Tables, address: usize, size: usize, owned: &Owned) {
        if !MITIGATIONS.canaries && !MITIGATIONS.zero_on_free {
            return;
        }
        let block = self.own_block(address, owned);
        if MITIGATIONS.canaries {
            self.clear_slack(tables, block);
            // A fork of another thread may come between any two stores.
            fence(Release);
        }
        if MITIGATIONS.zero_on_free {
            // SAFETY: the callers' size is that of the page's blocks; the block is the owner's.
            unsafe { block.wipe(wiped_part(size)) }
        }
    }

    /// Wipes a block that is being freed.
    #[inline(always)]
    pub(crate) fn wipe(&self, block: Block) {
        // SAFETY: the block's size; it is the caller's.
        unsafe { block.wipe(wiped_part(self.face.block_size())) }
    }

    /// Whether a free block is still wiped, as far as blocks are, but for its link.
    #[inline(always)]
    pub(super) fn is_wiped(&self, block: Block) -> bool {
        // SAFETY: the block's size; free blocks of a page are wiped.
        unsafe { block.is_wiped(wiped_part(self.face.block_size())) }
    }

    /// Whether a free block is still wiped, and has no link yet.
    pub(crate) fn is_wiped_wholly(&self, address: usize) -> bool {
        let block = self.face.block(address);
        block.first_word() == 0 && self.is_wiped(block)
    }

    /// Where the first byte of a free block lies that is not wiped any more; 0 if there is none.
    ///
    /// A block that waits has no link yet, and then the first word is wiped like the others.
    #[cold]
    pub(crate) fn first_unwiped(&self, address: usize) -> usize {
        let block = self.face.block(address);
        let has_link = self.next_of(block, self.name(self.number_of(block))).is_some();
        let from = if has_link { size_of::<u64>() } else { 0 };
        // SAFETY: free blocks of a page are wiped, and no longer than this.
        unsafe { block.first_unwiped(from..wiped_part(self.face.block_size())) }.unwrap_or(0)
    }

    /// Puts a block that is not live any more on a local list. True: the page wants to be looked at, because it became empty, or is in the
    /// list of full pages and has room again.
    #[inline(always)]
    pub(crate) fn push(&self, address: usize, owned: &Owned) -> bool {
        let hot = &self.hot;
        let base = own(&hot.base, owned);
        let name = self.name_at(address.wrapping_sub(base.addr()), owned);
        // SAFETY: the address is that of a block of this page, so not null.
        let start = unsafe { NonNull::new_unchecked(base.with_addr(address)) };
        // SAFETY: the caller holds the token, and the block is not live any more.
        let block = unsafe { Block::new(start) };
        block.set_first_word(encode(hot.key(owned), name, own(&hot.local, owned)));
        hot.local.store(name, Relaxed);
        let used = own(&hot.used, owned).wrapping_sub(1);
        hot.used.store(used, Relaxed);
        used as i32 <= own(&hot.trigger, owned)
    }

    /// All blocks are free from now on, whoever holds them, and on no list: the page is about to be given up.
    pub(crate) fn free_all(&self, owned: &Owned) {
        if MITIGATIONS.zero_on_free || MITIGATIONS.canaries {
            let out = (1..=self.capacity()).filter(|&number| self.is_out(number));
            out.map(|number| self.nth(number).address()).for_each(|address| {
                valgrind::block_ends(address);
                self.clean(self.tables(), address, self.face.block_size(), owned);
            });
        }
        remote::release(&self.bits(), self.summary(), owned);
        self.hot.used.store(0, Relaxed);
    }

    /// When the free list is empty, the local list takes its place; with `random-order` from a block on that is drawn among the
    /// first sixteen, and those before it wait. False: it is empty too.
    ///
    /// Not all of the list is drawn anew: every turn would then spread what lies side by side further, until a program that goes
    /// through its blocks meets the caches of the processor at no step.
    pub(crate) fn refill(&self, _owned: &Owned) -> bool {
        let hot = &self.hot;
        let first = hot.local.load(Relaxed);
        if first == 0 {
            return false;
        }
        let Cut { last_kept, next, kept } = if MITIGATIONS.random_order { self.cut(first) } else { Cut::none(first) };
        if last_kept != 0 {
            self.block_at(last_kept).set_first_word(encode(hot.key.load(Relaxed), last_kept, 0));
        }
        hot.local.store(if kept == 0 { 0 } else { first }, Relaxed);
        hot.kept.store(kept as u8, Relaxed);
        hot.free.store(next, Relaxed);
        hot.untouched.store(false, Relaxed);
        hot.zeroed.store(false, Relaxed);
        true
    }

    /// Draws where the list that begins with `first` is cut.
    fn cut(&self, first: u32) -> Cut {
        let hot = &self.hot;
        // Blocks on the list, and some that wait elsewhere.
        let free = self.capacity().wrapping_sub(hot.used.load(Relaxed));
        // Of a short list little is kept, or it would soon run out again.
        let within = (free / 4).wrapping_add(1).min(CUT_WITHIN);
        // A linear congruential generator, drawn at birth; its high bits are the good ones.
        let coins = hot.coins.load(Relaxed).wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(hot.key.load(Relaxed) | 1);
        hot.coins.store(coins, Relaxed);
        let wanted = ((coins >> 32).wrapping_mul(u64::from(within)) >> 32) as u32;
        let mut cut = Cut::none(first);
        while cut.kept < wanted {
            // What is wrong with a link is found, and told, when its block is popped.
            match self.next_of(self.block_at(cut.next), cut.next) {
                Some(next) if next != 0 => cut = Cut { last_kept: cut.next, next, kept: cut.kept.wrapping_add(1) },
                _ => break,
            }
        }
        cut
    }

    /// The first block of a new free list was popped: notes how many the list had, for who counts what is handed out.
    #[cold]
    #[inline(never)]
    pub(crate) fn note_dealt(&self) {
        let hot = &self.hot;
        let free = self.capacity().wrapping_sub(hot.used.load(Relaxed)).wrapping_add(1);
        let kept = if hot.local.load(Relaxed) == 0 { 0 } else { u32::from(hot.kept.load(Relaxed)) };
        hot.dealt.store(free.saturating_sub(kept), Relaxed);
    }

    /// What was noted last.
    pub(crate) fn dealt(&self) -> u32 {
        self.hot.dealt.load(Relaxed)
    }

    /// The same, once: for who counts what was handed out when the list has run out.
    pub(crate) fn take_dealt(&self) -> u32 {
        let dealt = self.dealt();
        // The empty page is nobody's: all threads share it, and none writes to it.
        if dealt != 0 {
            self.hot.dealt.store(0, Relaxed);
        }
        dealt
    }

    /// The key of this life, for tests.
    #[cfg(test)]
    pub(crate) fn key(&self) -> u64 {
        self.hot.key.load(Relaxed)
    }

    /// What lists and links call the block with this number: without `free-checks` how many bytes it lies from `base`, which
    /// saves two multiplications; nothing is asked of a link then.
    #[inline(always)]
    pub(super) fn name(&self, number: u32) -> u32 {
        if MITIGATIONS.free_checks { number } else { number.wrapping_mul(self.hot.size.load(Relaxed)) }
    }

    /// The block with this number.
    pub(super) fn nth(&self, number: u32) -> Block {
        self.block_at(self.name(number))
    }

    /// Its number.
    pub(super) fn number_of(&self, block: Block) -> u32 {
        let offset = block.address().wrapping_sub(self.hot.base.load(Relaxed).addr());
        offset.checked_div(self.face.block_size()).unwrap_or(0) as u32
    }

    /// What they call the block that starts so many bytes after `base`.
    ///
    /// That is number * size, and the reciprocal is (2^32 + e) / size with e < size: so the product is
    /// number * 2^32 + number * e, whose last part is less than the bytes of a page and one block, hence than 2^32.
    #[inline(always)]
    fn name_at(&self, offset: usize, owned: &Owned) -> u32 {
        if !MITIGATIONS.free_checks {
            return offset as u32;
        }
        ((offset as u64).wrapping_mul(own(&self.hot.reciprocal, owned)) >> 32) as u32
    }

    /// The block with this name, for the owner.
    #[inline(always)]
    fn own_block_at(&self, name: u32, owned: &Owned) -> Block {
        // SAFETY: as in `block_at`.
        let start = unsafe { NonNull::new_unchecked(self.own_place(name, owned)) };
        // SAFETY: as in `block_at`.
        unsafe { Block::new(start) }
    }

    /// Where it is, if it is one.
    #[inline(always)]
    fn own_place(&self, name: u32, owned: &Owned) -> *mut u8 {
        let hot = &self.hot;
        let offset = if MITIGATIONS.free_checks { name.wrapping_mul(own(&hot.size, owned)) } else { name };
        own(&hot.base, owned).wrapping_byte_add(offset as usize)
    }

    /// The block at `address`, one of this page's, without a look at the face: for the owner alone.
    #[inline(always)]
    pub(crate) fn own_block(&self, address: usize, owned: &Owned) -> Block {
        // SAFETY: the address is that of a block of this page, so not null.
        let start = unsafe { NonNull::new_unchecked(own(&self.hot.base, owned).with_addr(address)) };
        // SAFETY: the caller holds the token, and takes the block back, or looks whether it may.
        unsafe { Block::new(start) }
    }

    /// The block with this name.
    #[inline(always)]
    pub(super) fn block_at(&self, name: u32) -> Block {
        let hot = &self.hot;
        let size = if MITIGATIONS.free_checks { hot.size.load(Relaxed) as usize } else { 1 };
        let offset = (name as usize).wrapping_mul(size);
        let start = hot.base.load(Relaxed).wrapping_byte_add(offset);
        // SAFETY: `base` lies one block before the first; a name is not 0 and no larger than that of the last block, so the
        // sum is the start of a block of the page, and not null.
        let start = unsafe { NonNull::new_unchecked(start) };
        // SAFETY: the callers hold the token, and the name is that of a free block, or of one on its way in or out.
        unsafe { Block::new(start) }
    }
}
