//! A page: a run of slices that holds blocks of one size class.
//!
//! ```text
//!  slice          slice          slice
//! |--------------|--------------|--------------|      a page of three slices
//! | 0 | 1 | 2 | 3 | 4 | 5 |  :   :   :   :   : |      its blocks; up to `capacity` they have been made
//!       |   ^           ^
//!       |   +-- free <--+-------- local            in free blocks, and only there, an encoded link
//!       live
//! ```
//!
//! The page's description is not here but in its segment's metadata, out of reach of the program, in two parts, 128 bytes
//! apart: the *owner's* ([`Hot`]), and the *face* that it shows to all threads ([`Face`]): owner, class, and the remote
//! summary. A free by another thread does not pull the owner's line. The summary lies beside the owner because whoever reads
//! the one reads the other, and writes are rare: only the first free of a group of words since the last collect.
//!
//! # The invariant
//!
//! ```text
//! used + |free list| + |local list| = capacity
//! ```
//!
//! `capacity` counts the blocks made so far; a block that another thread has freed counts as used until its owner has
//! collected it. [`census`] checks this against the state bits.
//!
//! Malloc pops from the free list, the owner's free pushes to the local list. When the free list has run out, the local one takes
//! its place, with `random-order` but for some of its first blocks. So a block is not reused while others are free, and the
//! regular emptiness of the free list is what brings the slow path about.
//!
//! With `random-order` blocks are made in windows of 4, 8 or 16, of about 640 bytes where they are small, each in an order drawn
//! for it; the windows lie in the order of their addresses, so that the processor can fetch ahead of a program that walks through
//! its blocks.
//!
//! # Numbers
//!
//! A block is named by its *number*: the page's first block is 1, so that 0 can mean "none". That is what a link holds, not an
//! address: a number that is no larger than the capacity is that of a block of the page, whoever wrote it. (Without `free-checks`,
//! where nobody looks, it is the block's distance from where number 0 would be. The word for either is *name*.)
//!
//! Reading order: [`tables`], [`link`], [`face`], [`hot`], [`lists`], [`grow`], [`canary`], [`census`], [`live`], [`voids`].

mod block;
mod canary;
mod census;
mod face;
mod grow;
mod hot;
mod link;
mod lists;
mod live;
mod tables;
#[cfg(test)]
mod tests;
mod voids;

pub(crate) use block::{Block, limit_wiping};
pub(crate) use canary::{Found, Origin, TRAILER, is_possible_slack, padded};
pub(crate) use census::PageFault;
pub(crate) use face::{Extent, Face, Kind, Room, end_guard, least_of_single};
#[cfg(test)]
pub(crate) use grow::roomy;
pub(crate) use grow::{Attention, Contents};
pub(crate) use hot::Hot;
pub(crate) use lists::Refused;
pub(crate) use tables::Tables;
pub(crate) use voids::{VOID_PLACES, VOIDS};

use crate::geometry::Granule;
use crate::remote::{Bits, Line, Mailbox, Owned, OwnerWord, Spot};
use crate::sync::{AtomicPtr, AtomicU64, Relaxed};
use core::ptr;

/// A page's description, in the metadata of its segment; one for each slice, in use for the first slice of a page.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Page {
    pub(crate) hot: Hot,
    pub(crate) face: Face,
}

/// A page with nothing to give: what a heap's table holds where it has no page, so that malloc need not test for one.
pub(crate) static EMPTY: Page =
    Page { hot: Hot::EMPTY, face: Face::empty(OwnerWord::from(AtomicPtr::new(ptr::null_mut()))) };

impl Page {
    /// The tables of the page's segment.
    #[inline(always)]
    pub(crate) fn tables(&self) -> &'static Tables {
        let tables = self.hot.tables.load(Relaxed);
        // SAFETY: set at the page's first birth to its segment's tables, which are never unmapped; the empty page has no
        // block, and nobody asks for the tables of a page without blocks.
        unsafe { &*tables }
    }

    /// The remote summary.
    #[inline(always)]
    pub(crate) fn summary(&self) -> &AtomicU64 {
        &self.face.summary
    }

    /// The token, if the thread with this mailbox owns the page.
    #[inline(always)]
    pub(crate) fn owned_by(&self, me: *mut Mailbox) -> Option<Owned> {
        self.face.owner.owned_by(me)
    }

    /// What threads share of this page.
    #[inline]
    pub(crate) fn line(&self) -> Line<'_> {
        let slice = self.face.first_slice();
        Line {
            owner: &self.face.owner,
            summary: self.summary(),
            pending: self.tables().pending(slice),
            mark: Tables::pending_mark(slice),
            flag: self.face.mail_flag(),
        }
    }

    /// The two bits of the block at `granule`.
    #[inline(always)]
    pub(crate) fn spot(&self, granule: Granule) -> Spot<'static> {
        self.tables().spot(granule)
    }

    /// All bits of this page.
    pub(crate) fn bits(&self) -> Bits<'static> {
        self.tables().bits(self.face.first_slice(), self.face.slices(), self.face.group_shift())
    }

    /// The summary bit for the word of `granule`.
    #[inline]
    pub(crate) fn group(&self, granule: Granule) -> u64 {
        let first = self.face.first_slice() << 6;
        1_u64.wrapping_shl((granule.word().wrapping_sub(first) >> self.face.group_shift()) as u32)
    }
}
