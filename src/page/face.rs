//! The part of a page's description that every thread reads and few write: owner, summary, class, extent.

use super::Block;
use super::Origin;
use super::VOIDS;
use crate::geometry::{CLASSES, Class, GRANULE, SLICE, SLICE_WORDS};
use crate::mitigations::MITIGATIONS;
use crate::os;
use crate::remote::OwnerWord;
use crate::sync::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Relaxed};
use core::ptr;

/// What a page holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Blocks of a class.
    Blocks(Class),
    /// One block.
    Single,
    /// Blocks of no bytes.
    Voids,
}

const SINGLE: u8 = u8::MAX - 2;
/// A page of blocks of no bytes. From here on blocks have no canary.
const OF_VOIDS: u8 = u8::MAX - 1;
/// A page of one block that stands alone between guards.
const SAMPLED: u8 = u8::MAX;

/// Of a page of one block that is neither live nor waits.
const SINGLE_IN_HAND: usize = 1;
/// Of a page of blocks that is about to be born, or was given up, and still has its slices.
const BLOCKS_IN_HAND: usize = 2;

/// Owner, class and extent of a page. Written at birth, when no block of the page exists.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Face {
    pub(crate) owner: OwnerWord,
    /// One bit for a group of words of remote bits: there may be something to collect.
    pub(super) summary: AtomicU64,
    /// The smallest size whose Layout this page's blocks have.
    least: AtomicUsize,
    /// How many sizes there are; none if only the slow check can tell.
    span: AtomicUsize,
    /// Bytes that a block has room for.
    block_size: AtomicUsize,
    /// What the canaries that are planted now are mixed with.
    canary: [AtomicU64; 2],
    first_slice: AtomicU16,
    slices: AtomicU16,
    class: AtomicU8,
    group_shift: AtomicU8,
    mail_bit: AtomicU8,

    // A line that frees and mallocs do without.
    /// log2 of the alignment that the block was asked for, if it stands alone.
    align_shift: AtomicU8,
    /// And by what.
    origin: AtomicU8,
    segment_number: AtomicU32,
    /// How far behind the start of a page's one block the pointer lies that the program has.
    skew: AtomicU32,
    /// The process's generation at the page's birth: no older canary can be in it.
    born: AtomicU32,
    /// Of a page that is being made or ended: the thread that does so, and [`SINGLE_IN_HAND`] or [`BLOCKS_IN_HAND`]; else 0.
    hand: AtomicUsize,
    /// What a page's one block was asked for with, in whole OS pages.
    asked: AtomicUsize,
    /// So many bytes from the start of a page's one block on, or of an earlier one's there, had memory when the kernel was asked last.
    filled: AtomicUsize,
    /// The first block.
    start: AtomicPtr<u8>,
}

/// What `Face::describe` is told of a page about to be born.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) first_slice: usize,
    pub(crate) slices: usize,
    pub(crate) segment_number: u32,
    /// The first block, with the provenance of the whole page.
    pub(crate) start: ptr::NonNull<u8>,
}

/// The size of a page's one block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes that the program may use.
    pub(crate) size: usize,
    /// Bytes that it was asked for with, in whole OS pages.
    pub(crate) asked: usize,
    /// The smallest size whose Layout is this block's; none if only the slow check can tell.
    pub(crate) least: Option<usize>,
}

impl Face {
    pub(crate) const fn empty(owner: OwnerWord) -> Self {
        Self {
            owner,
            summary: AtomicU64::new(0),
            least: AtomicUsize::new(0),
            span: AtomicUsize::new(0),
            block_size: AtomicUsize::new(0),
            start: AtomicPtr::new(ptr::null_mut()),
            first_slice: AtomicU16::new(0),
            slices: AtomicU16::new(0),
            class: AtomicU8::new(0),
            group_shift: AtomicU8::new(0),
            mail_bit: AtomicU8::new(0),
            align_shift: AtomicU8::new(0),
            origin: AtomicU8::new(0),
            segment_number: AtomicU32::new(0),
            skew: AtomicU32::new(0),
            born: AtomicU32::new(0),
            hand: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            filled: AtomicUsize::new(0),
            canary: [AtomicU64::new(0), AtomicU64::new(0)],
        }
    }

    /// Describes a page of blocks of `class`.
    pub(crate) fn describe_blocks(&self, class: Class, extent: &Extent) {
        self.class.store(class.index() as u8, Relaxed);
        self.block_size.store(class.block_size(), Relaxed);
        self.least.store(class.least(), Relaxed);
        self.span.store(class.block_size().wrapping_sub(class.least()).wrapping_add(1), Relaxed);
        self.describe(extent);
    }

    /// Describes a page of one block.
    pub(crate) fn describe_single(&self, room: &Room, extent: &Extent) {
        self.class.store(SINGLE, Relaxed);
        self.skew.store(0, Relaxed);
        self.set_single_size(room);
        self.describe(extent);
    }

    /// Describes a page of one block that stands alone: it is of the very Layout that it was asked for with.
    pub(crate) fn describe_sampled(&self, size: usize, align: usize, origin: Origin, extent: &Extent) {
        self.origin.store(origin.0, Relaxed);
        self.class.store(SAMPLED, Relaxed);
        self.skew.store(0, Relaxed);
        self.block_size.store(size, Relaxed);
        // Of wider alignments only the slow check can tell.
        self.least.store(size, Relaxed);
        self.span.store(usize::from(align <= GRANULE), Relaxed);
        self.align_shift.store(align.trailing_zeros() as u8, Relaxed);
        self.describe(extent);
    }

    /// Describes a page of blocks of no bytes.
    pub(crate) fn describe_voids(&self, extent: &Extent) {
        self.class.store(OF_VOIDS, Relaxed);
        self.block_size.store(0, Relaxed);
        self.least.store(0, Relaxed);
        self.span.store(1, Relaxed);
        self.describe(extent);
    }

    /// Whether the page's blocks have no canary.
    #[inline(always)]
    pub(super) fn is_without_canary(&self) -> bool {
        (MITIGATIONS.sampled_guards || VOIDS) && self.class.load(Relaxed) >= OF_VOIDS
    }

    /// By what such a block was asked for.
    pub(crate) fn sampled_origin(&self) -> Origin {
        Origin(self.origin.load(Relaxed))
    }

    /// Whether the page's one block stands alone between guards.
    #[inline]
    pub(crate) fn is_sampled(&self) -> bool {
        self.class.load(Relaxed) == SAMPLED
    }

    /// The alignment that such a block was asked for, a granule at least.
    pub(crate) fn sampled_align(&self) -> usize {
        1_usize.wrapping_shl(u32::from(self.align_shift.load(Relaxed)))
    }

    /// The program is given a pointer that lies so far behind the start of the page's one block, which nobody knows of yet.
    pub(crate) fn set_skew(&self, bytes: usize) {
        self.skew.store(bytes as u32, Relaxed);
    }

    /// How far behind the block's start the pointer lies that the program has; 0 but in some pages of one block.
    #[inline]
    pub(crate) fn skew(&self) -> usize {
        match self.kind() {
            Kind::Single => self.skew.load(Relaxed) as usize,
            Kind::Blocks(_) | Kind::Voids => 0,
        }
    }

    /// A page of one block changes its size in place.
    pub(crate) fn set_single_size(&self, room: &Room) {
        self.block_size.store(room.size, Relaxed);
        self.asked.store(room.asked, Relaxed);
        self.least.store(room.least.unwrap_or(0), Relaxed);
        self.span.store(room.least.map_or(0, |least| room.asked.wrapping_sub(least).wrapping_add(1)), Relaxed);
    }

    /// What a page's one block was asked for with, in whole OS pages.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }

    /// So many bytes from the start on have memory, as far as is known. It outlives the block.
    pub(crate) fn filled(&self) -> usize {
        self.filled.load(Relaxed)
    }

    /// Changes what is known.
    pub(crate) fn set_filled(&self, bytes: usize) {
        self.filled.store(bytes, Relaxed);
    }

    fn describe(&self, extent: &Extent) {
        let words = extent.slices.wrapping_mul(SLICE_WORDS);
        self.first_slice.store(extent.first_slice as u16, Relaxed);
        self.slices.store(extent.slices as u16, Relaxed);
        self.start.store(extent.start.as_ptr(), Relaxed);
        self.group_shift.store(words.div_ceil(64).next_power_of_two().trailing_zeros() as u8, Relaxed);
        self.segment_number.store(extent.segment_number, Relaxed);
        self.mail_bit.store((extent.segment_number & 63) as u8, Relaxed);
    }

    /// The calling thread begins to make or to end the page's one block.
    pub(crate) fn take_in_hand(&self) {
        self.hand.store(hand_of_this_thread(SINGLE_IN_HAND), Relaxed);
    }

    /// The calling thread begins to bear or to retire a page of blocks in these slices.
    pub(crate) fn take_blocks_in_hand(&self, first: usize, count: usize) {
        self.first_slice.store(first as u16, Relaxed);
        self.slices.store(count as u16, Relaxed);
        self.hand.store(hand_of_this_thread(BLOCKS_IN_HAND), Relaxed);
    }

    /// It has done so.
    pub(crate) fn put_down(&self) {
        self.hand.store(0, Relaxed);
    }

    /// Whether another thread has begun and not ended to make or to end the page's one block.
    pub(crate) fn is_in_anothers_hand(&self) -> bool {
        self.is_anothers(SINGLE_IN_HAND)
    }

    /// Whether another thread has begun and not ended to bear or to retire a page of blocks.
    pub(crate) fn are_blocks_in_anothers_hand(&self) -> bool {
        self.is_anothers(BLOCKS_IN_HAND)
    }

    fn is_anothers(&self, what: usize) -> bool {
        let hand = self.hand.load(Relaxed);
        hand & what != 0 && hand != hand_of_this_thread(what)
    }

    /// The page begins a life, in which this generation's canaries are the oldest.
    pub(super) fn begin(&self, generation: u32) {
        self.born.store(generation, Relaxed);
    }

    /// The generation in which the page was born.
    pub(super) fn born(&self) -> u32 {
        self.born.load(Relaxed)
    }

    /// The keys of the canaries that are planted from now on. Other threads may see one new and one old key; they examine then.
    pub(super) fn set_canary_keys(&self, keys: [u64; 2]) {
        for (place, key) in self.canary.iter().zip(keys) {
            place.store(key, Relaxed);
        }
    }

    #[inline(always)]
    pub(super) fn canary_keys(&self) -> [u64; 2] {
        let [first, second] = &self.canary;
        [first.load(Relaxed), second.load(Relaxed)]
    }

    /// Whether the page's blocks have no bytes.
    #[inline(always)]
    pub(crate) fn has_voids(&self) -> bool {
        VOIDS && self.class.load(Relaxed) == OF_VOIDS
    }

    /// Whether the page's blocks are of a class.
    #[inline(always)]
    pub(crate) fn has_a_class(&self) -> bool {
        (self.class.load(Relaxed) as usize) < CLASSES
    }

    pub(crate) fn kind(&self) -> Kind {
        match Class::new(self.class.load(Relaxed) as usize) {
            Some(class) => Kind::Blocks(class),
            None if self.has_voids() => Kind::Voids,
            None => Kind::Single,
        }
    }

    /// Bytes that a block has room for.
    #[inline]
    pub(crate) fn block_size(&self) -> usize {
        self.block_size.load(Relaxed)
    }

    /// Whether a request of `size` bytes, aligned to no more than a granule, would have got a block of this page.
    #[inline(always)]
    pub(crate) fn fits(&self, size: usize) -> bool {
        size.wrapping_sub(self.least.load(Relaxed)) < self.span.load(Relaxed)
    }

    /// The first block.
    #[inline]
    pub(crate) fn start(&self) -> *mut u8 {
        self.start.load(Relaxed)
    }

    /// The block at `address`, which is one of this page's, and the caller's: it frees the block, or owns the page.
    #[inline(always)]
    pub(crate) fn block(&self, address: usize) -> Block {
        // SAFETY: the address of a block is not null.
        let start = unsafe { ptr::NonNull::new_unchecked(self.start().with_addr(address)) };
        // SAFETY: the callers' promise, above.
        unsafe { Block::new(start) }
    }

    #[inline]
    pub(crate) fn first_slice(&self) -> usize {
        self.first_slice.load(Relaxed) as usize
    }

    #[inline]
    pub(crate) fn slices(&self) -> usize {
        self.slices.load(Relaxed) as usize
    }

    #[inline]
    pub(crate) fn group_shift(&self) -> u32 {
        u32::from(self.group_shift.load(Relaxed)) & 31
    }

    /// The flag of this page's segment in a mailbox.
    #[inline]
    pub(crate) fn mail_flag(&self) -> u64 {
        1_u64.wrapping_shl(u32::from(self.mail_bit.load(Relaxed)))
    }

    /// The number of the page's segment, for reports.
    pub(crate) fn segment_number(&self) -> u32 {
        self.segment_number.load(Relaxed)
    }
}

/// Not 0, and of this thread alone, even if it has no part in the allocator.
fn hand_of_this_thread(what: usize) -> usize {
    os::thread_mark() | what
}

/// Bytes at the end of every page of blocks that are left to a guard. None where the system's pages are as large as a slice.
#[inline]
pub(crate) fn end_guard() -> usize {
    let page = if MITIGATIONS.page_guards { os::page_size() } else { SLICE };
    if page < SLICE { page } else { 0 }
}

/// The smallest request of `asked` bytes in whole OS pages.
pub(crate) fn least_of_single(asked: usize) -> usize {
    asked.wrapping_sub(os::page_size()).wrapping_add(1)
}
