//! The owner's line of a page.

use super::Tables;
use crate::mitigations::MITIGATIONS;
use crate::remote::Owned;
use crate::sync::{AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU32, AtomicU64};
use core::ptr;

/// `trigger` of a page in its queue: free goes the slow way when the last block comes back.
pub(crate) const WHEN_EMPTY: i32 = 0;
/// `trigger` of a page that may be empty for a while.
pub(crate) const NEVER: i32 = -1;

/// What the owner of a page, and nobody else, reads and writes: atomics only because the type system wants one for a
/// static that changes; all accesses are plain moves.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Hot {
    /// Name of the block that malloc pops next; 0 if none.
    pub(super) free: AtomicU32,
    /// Blocks that are live or not yet collected.
    pub(super) used: AtomicU32,
    /// Where a block with number 0 would be: one before the first.
    pub(super) base: AtomicPtr<u8>,
    pub(super) key: AtomicU64,
    pub(super) tables: AtomicPtr<Tables>,
    /// ceil(2^32 / bytes of a block): a block's offset times this is 2^32 times its number, and a little.
    pub(super) reciprocal: AtomicU64,
    /// Blocks made so far.
    pub(super) capacity: AtomicU64,
    /// Bytes of a block.
    pub(super) size: AtomicU32,
    /// The owner's free goes the slow way when no more than this many blocks are used.
    pub(super) trigger: AtomicI32,
    /// What the owner has freed since.
    pub(super) local: AtomicU32,
    /// Blocks among the used ones that wait in the quarantine.
    pub(super) quarantined: AtomicU32,

    // The slow path's half.
    /// What the free list is cut by.
    pub(super) coins: AtomicU64,
    /// Blocks that the page has room for.
    pub(super) reserved: AtomicU32,
    /// The fork generation under which key and order were drawn.
    pub(super) generation: AtomicU32,
    /// Blocks on the free list when it was made, or half of what two lists had.
    pub(super) dealt: AtomicU32,
    /// How often the page was born; part of the key.
    pub(super) births: AtomicU32,
    /// Blocks that were ever made in this life. Those beyond the capacity lie as they were freed, a link in each.
    pub(super) made: AtomicU32,
    /// The free list holds only blocks that were never handed out.
    pub(super) untouched: AtomicBool,
    /// And they lie in memory that was zero.
    pub(super) zeroed: AtomicBool,
    /// Blocks that were never made lie in memory that is zero.
    pub(super) fresh: AtomicBool,
    /// The page's thread was alive at a fork and is not in this process: its lists may be torn.
    pub(super) torn: AtomicBool,
    /// The page is in its heap's list of full pages.
    pub(crate) full: AtomicBool,
    /// Blocks of the local list that were kept back when it was cut last.
    pub(super) kept: AtomicU8,
    /// The page is in its heap's list of idle pages.
    pub(crate) idle: AtomicBool,
    /// Rounds that an empty page is still kept for in its queue.
    pub(crate) patience: AtomicU8,
    /// The heap that allocates from this page, and its neighbours in the heap's queue.
    pub(crate) heap: AtomicPtr<()>,
    pub(crate) next: AtomicPtr<super::Page>,
    pub(crate) previous: AtomicPtr<super::Page>,
}

/// A word of this line.
pub(super) trait Word {
    type Value;
    fn place(&self) -> *const Self::Value;
}

macro_rules! words {
    ($($atomic:ty: $value:ty),*) => { $(impl Word for $atomic {
        type Value = $value;
        #[inline(always)]
        fn place(&self) -> *const $value {
            self.as_ptr()
        }
    })* };
}
words!(AtomicU32: u32, AtomicI32: i32, AtomicU64: u64);

impl<T> Word for AtomicPtr<T> {
    type Value = *mut T;
    #[inline(always)]
    fn place(&self) -> *const *mut T {
        self.as_ptr()
    }
}

/// What the page's owner reads in its own line. A plain read, which the compiler makes a part of the instruction that wants it, as it does
/// with no atomic load.
#[inline(always)]
pub(super) fn own<W: Word>(word: &W, _owned: &Owned) -> W::Value {
    // SAFETY: nobody but the owner writes here, and the caller is the owner: other threads at most read, which is no race.
    unsafe { word.place().read() }
}

impl Hot {
    /// What the page's links are mixed with; nobody reads it where they are plain.
    #[inline(always)]
    pub(super) fn key(&self, owned: &Owned) -> u64 {
        if MITIGATIONS.encoded_links { own(&self.key, owned) } else { 0 }
    }

    #[allow(clippy::declare_interior_mutable_const, reason = "the initial value of the one empty page")]
    pub(super) const EMPTY: Hot = Hot {
        free: AtomicU32::new(0),
        used: AtomicU32::new(0),
        base: AtomicPtr::new(ptr::null_mut()),
        key: AtomicU64::new(0),
        tables: AtomicPtr::new(ptr::null_mut()),
        size: AtomicU32::new(0),
        reciprocal: AtomicU64::new(0),
        capacity: AtomicU64::new(0),
        trigger: AtomicI32::new(0),
        local: AtomicU32::new(0),
        coins: AtomicU64::new(0),
        quarantined: AtomicU32::new(0),
        reserved: AtomicU32::new(0),
        generation: AtomicU32::new(0),
        dealt: AtomicU32::new(0),
        births: AtomicU32::new(0),
        made: AtomicU32::new(0),
        untouched: AtomicBool::new(false),
        zeroed: AtomicBool::new(false),
        fresh: AtomicBool::new(false),
        torn: AtomicBool::new(false),
        full: AtomicBool::new(false),
        kept: AtomicU8::new(0),
        idle: AtomicBool::new(false),
        patience: AtomicU8::new(0),
        heap: AtomicPtr::new(ptr::null_mut()),
        next: AtomicPtr::new(ptr::null_mut()),
        previous: AtomicPtr::new(ptr::null_mut()),
    };
}
