//! The canary: secret bytes behind what was requested, and at the end of the block.
//!
//! ```text
//! | requested (40 bytes) .................. | 0 s s s s s s s | 0 s s s s s s s |       a block of 64 bytes
//!                                           ^ the trailer: one word, again and again
//! slack table, out of line, at the block's granule: 24
//! ```
//!
//! Every block has at least [`TRAILER`] bytes of it, so its class is chosen for that much more. The word is a mix of two keys
//! of the page (which have nothing to do with that of its links) with the block's address, the requested size, and by what
//! the block was asked for ([`Origin`]): a trailer copied from another block, or left over from another size, is none. Its first byte
//! is zero, so that a string that fills the block ends there and shows no secret.
//!
//! How much was requested stands in a table of the segment's metadata, where no overflow of user memory can change it: one byte at
//! the granule that the block starts on; if the slack is more than that can say, in four bytes behind it, where the block has granules
//! to itself.
//! Whoever brings the size with the block (a `Layout`, a sized `delete`) needs no look there: the trailer is at that distance
//! and of that size, or it is not the block's size.
//!
//! Where much of a block is slack, its first 32 bytes are covered, and its last 32: so a write before the *next* block is found as
//! well. What lies between them harms nobody, and to cover it would cost more the larger the block.
//!
//! # Who may write
//!
//! The trailer is planted by the owner who hands the block out, and again by whoever resizes it in place; both have the block to
//! themselves. But the owner's [`check_heap`](crate::check_heap) may look at it at any time, and a fork may come at any time;
//! so the slack is 0 in the table while the block is free, and while its trailer is being written or wiped.
//!
//! # fork
//!
//! A child draws new keys. Blocks that it has inherited keep the trailers of its parent, so the keys of earlier generations are
//! kept, and [`Page::examine`] tries them, from that in which the page was born on, when the word of today does not fit.

use super::{Block, Kind, Page, Tables};
use crate::entropy;
use crate::geometry::Granule;
use crate::mitigations::MITIGATIONS;
use crate::sync::{AcqRel, Acquire, Release};
use core::ptr;
use core::sync::atomic::fence;

/// Bytes that a block has beyond what was requested, at least.
pub(crate) const TRAILER: usize = if MITIGATIONS.canaries { size_of::<u64>() } else { 0 };

/// Bytes that a block for a request of `size` bytes must have. Saturates: more than that nobody gets anyway.
#[inline(always)]
pub(crate) const fn padded(size: usize) -> usize {
    size.saturating_add(TRAILER)
}

/// Whether there is a place in the table for it.
pub(crate) const fn is_possible_slack(slack: usize) -> bool {
    !MITIGATIONS.canaries || slack >> u32::BITS == 0
}

/// By what a block was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin(pub(super) u8);

/// Added to the logarithm of a Layout's alignment.
const LAYOUTS: u8 = 64;

impl Origin {
    /// C's allocation functions.
    pub(crate) const MALLOC: Origin = Origin(0);

    /// C++'s `operator new`.
    pub(crate) const NEW: Origin = if MITIGATIONS.origin_checks { Origin(1) } else { Origin::MALLOC };
    /// C++'s `operator new[]`.
    pub(crate) const NEW_ARRAY: Origin = if MITIGATIONS.origin_checks { Origin(2) } else { Origin::MALLOC };

    /// Rust's, for blocks of this alignment, a power of two.
    #[inline(always)]
    pub(crate) const fn layout(align: usize) -> Origin {
        Origin(LAYOUTS | align.trailing_zeros() as u8)
    }

    /// The alignment of the Layout that the block was asked for with.
    pub(crate) const fn alignment(self) -> Option<usize> {
        if self.0 < LAYOUTS { None } else { Some(1_usize.wrapping_shl((self.0 ^ LAYOUTS) as u32)) }
    }

    /// Whether a block from here must not be given back to `other`: in no correct program does one of C++'s operators for one
    /// object meet one for many. All else may be right: a C++ library linked into a program may have its own `new` over our malloc.
    pub(crate) fn clashes_with(self, other: Origin) -> bool {
        let operators = [Origin::NEW, Origin::NEW_ARRAY];
        MITIGATIONS.origin_checks && self != other && operators.contains(&self) && operators.contains(&other)
    }

    /// C's for what will hold no pointer. Only blocks of no bytes are said to be of it, whose segment does not tell.
    pub(crate) const DATA: Origin = if MITIGATIONS.partition { Origin(3) } else { Origin::MALLOC };

    /// All that there are.
    fn all() -> impl Iterator<Item = Origin> {
        [Origin::MALLOC, Origin::NEW, Origin::NEW_ARRAY]
            .into_iter()
            .chain((0..usize::BITS).map(|log| Origin(LAYOUTS | log as u8)))
    }
}

/// What was planted in a live block, and whether it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// All of it.
    Whole { requested: usize, origin: Origin },
    /// Not all: the first byte that is wrong lies at this offset in the block.
    Damaged { requested: usize, offset: usize },
    /// The keys under which it was planted are forgotten, after so many forks.
    Forgotten { requested: usize },
    /// Another thread is changing it, or has freed the block.
    Busy,
}

/// The word that is planted.
#[inline(always)]
fn word([first, second]: [u64; 2], address: usize, requested: usize, origin: Origin) -> u64 {
    let place = first ^ address as u64;
    let what = second ^ ((requested as u64) << 8 | u64::from(origin.0));
    let product = u128::from(place).wrapping_mul(u128::from(what));
    // The low byte comes first in memory.
    ((product >> 64) as u64 ^ product as u64) & !0xff
}

/// The slack is known from now on: whoever sees it sees the trailer.
#[inline(always)]
fn show(tables: &Tables, block: Block, slack: usize) {
    fence(Release);
    tables.set_slack(Granule::of(block.address()), slack);
}

impl Page {
    /// Plants the trailer of a block that is handed out.
    ///
    /// Its slack is 0 until then: in the child of a fork in between, the block is live, and nobody's, and not looked at.
    #[inline(always)]
    pub(crate) fn plant(&self, tables: &Tables, block: Block, size: usize, requested: usize, origin: Origin) {
        let word = word(self.face.canary_keys(), block.address(), requested, origin);
        // SAFETY: the callers have chosen the block for `padded(requested)` bytes, and it is theirs.
        unsafe { block.plant(requested, size, word) }
        show(tables, block, size.wrapping_sub(requested));
    }

    /// The same for a block that is live already and changes its size or its origin.
    pub(crate) fn replant(&self, tables: &Tables, block: Block, requested: usize, origin: Origin) {
        self.clear_slack(tables, block);
        // Whoever has seen anything of what follows sees that the slack was unknown before.
        fence(Release);
        self.plant(tables, block, self.face.block_size(), requested, origin);
    }

    /// What stands alone has margins instead, and starts at any granule: no place for it in the table. What has no bytes has none behind
    /// them.
    #[inline(always)]
    fn has_no_canary(&self) -> bool {
        self.face.is_without_canary()
    }

    /// From now on nobody looks at the trailer: the block is being changed, or freed by a thread that does not own it.
    #[inline(always)]
    pub(crate) fn clear_slack(&self, tables: &Tables, block: Block) {
        tables.set_slack(Granule::of(block.address()), 0);
    }

    /// The block is about to change its size, by which its slack is measured: nobody looks at it until then, or until `show_slack`.
    pub(crate) fn hide_slack(&self, tables: &Tables, address: usize) -> usize {
        let slack = tables.slack(Granule::of(address));
        self.clear_slack(tables, self.face.block(address));
        slack
    }

    /// It has not.
    pub(crate) fn show_slack(&self, tables: &Tables, address: usize, slack: usize) {
        tables.set_slack(Granule::of(address), slack);
    }

    /// What the program may use of a live block: with `canaries` what it has requested, else all of it.
    #[inline]
    pub(crate) fn usable(&self, tables: &Tables, address: usize) -> usize {
        let size = self.face.block_size();
        if !MITIGATIONS.canaries || self.has_no_canary() {
            return size;
        }
        size.wrapping_sub(tables.slack(Granule::of(address)))
    }

    /// Whether the trailer of the live block is whole, given its origin, and its size if the caller knows it. If not, it may still be
    /// that the block is another than the caller thinks, or stands alone and has none: `examine` tells.
    #[inline(always)]
    pub(crate) fn is_whole(&self, tables: &Tables, address: usize, origin: Origin, requested: Option<usize>) -> bool {
        !self.has_no_canary()
            && self.is_block_whole(tables, self.face.block(address), self.face.block_size(), origin, requested)
    }

    /// The same for a block of `size` bytes that does not stand alone.
    #[inline(always)]
    pub(crate) fn is_block_whole(
        &self,
        tables: &Tables,
        block: Block,
        size: usize,
        origin: Origin,
        requested: Option<usize>,
    ) -> bool {
        let slack = match requested {
            Some(requested) => size.wrapping_sub(requested),
            None => tables.slack(Granule::of(block.address())),
        };
        if slack.wrapping_sub(TRAILER) > size.wrapping_sub(TRAILER) {
            return false;
        }
        let requested = size.wrapping_sub(slack);
        let word = word(self.face.canary_keys(), block.address(), requested, origin);
        // SAFETY: the slack is at least that of a trailer, and at most the block.
        unsafe { block.is_planted(requested, size, word) }
    }

    /// What is found behind what was requested of the live block. Slow; reads again until what it says was so at one moment.
    #[cold]
    pub(crate) fn examine(&self, tables: &Tables, address: usize) -> Found {
        if self.has_no_canary() {
            // Whoever has it for certain looks at its margins.
            let origin = match self.face.kind() {
                Kind::Voids => self.void_origin(tables, address),
                _ => self.face.sampled_origin(),
            };
            return Found::Whole { requested: self.face.block_size(), origin };
        }
        let mut found = self.examine_once(tables, address);
        for _ in 0..64 {
            if !matches!(found, Found::Damaged { .. }) {
                break;
            }
            // Behind a barrier: on weakly ordered machines the block may have reached this thread before its trailer.
            fence(AcqRel);
            found = self.examine_once(tables, address);
        }
        match found {
            Found::Damaged { requested, .. } => {
                Found::Damaged { requested, offset: self.first_written(address, requested) }
            }
            found => found,
        }
    }

    /// Where the first byte behind `requested` ones lies that is not what was planted, by the word of all that may have been which most of
    /// the bytes speak for: a single one is often that of some other word.
    #[cold]
    fn first_written(&self, address: usize, requested: usize) -> usize {
        let (block, size) = (self.face.block(address), self.face.block_size());
        let (page, now) = (ptr::from_ref(self).addr(), entropy::generation());
        let ages = 0..=now.wrapping_sub(self.face.born());
        let keys = ages.filter_map(|age| entropy::canary_keys(page, now.wrapping_sub(age)));
        let words = keys.flat_map(|keys| Origin::all().map(move |origin| word(keys, address, requested, origin)));
        // SAFETY: as in `is_whole`.
        let likeliest = words.min_by_key(|&word| unsafe { block.count_unplanted(requested, size, word) });
        // SAFETY: as in `is_whole`.
        likeliest.and_then(|word| unsafe { block.first_unplanted(requested, size, word) }).unwrap_or(requested)
    }

    fn examine_once(&self, tables: &Tables, address: usize) -> Found {
        let (size, granule) = (self.face.block_size(), Granule::of(address));
        let slack = tables.slack(granule);
        if slack.wrapping_sub(TRAILER) > size.wrapping_sub(TRAILER) {
            return Found::Busy;
        }
        fence(Acquire);
        let requested = size.wrapping_sub(slack);
        let page = ptr::from_ref(self).addr();
        let now = entropy::generation();
        let mut age = now.wrapping_sub(self.face.born());
        loop {
            let Some(keys) = entropy::canary_keys(page, now.wrapping_sub(age)) else {
                return Found::Forgotten { requested };
            };
            for origin in Origin::all() {
                let word = word(keys, address, requested, origin);
                // SAFETY: as in `is_whole`.
                if unsafe { self.face.block(address).first_unplanted(requested, size, word) }.is_none() {
                    return Found::Whole { requested, origin };
                }
            }
            match age {
                0 => break,
                _ => age = age.wrapping_sub(1),
            }
        }
        fence(Acquire);
        if tables.slack(granule) != slack {
            return Found::Busy;
        }
        Found::Damaged { requested, offset: requested }
    }
}
