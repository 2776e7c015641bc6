//! A block's memory, as far as the allocator touches it.

use crate::sync::{AtomicU64, Relaxed};
use core::ptr::NonNull;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::compiler_fence;

/// Up to so many bytes a block is wiped in place, without a call.
const WIPED_HERE: usize = 256;

/// The start of a block that was checked: it lies in a page, on a block's start, and nobody but the caller uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block(NonNull<u8>);

impl Block {
    /// # Safety
    /// - `start` is the start of a block of a page that the caller owns, or of one that is being made;
    /// - the block is not live, or the caller is the one who hands it out or takes it back.
    #[inline(always)]
    pub(crate) const unsafe fn new(start: NonNull<u8>) -> Self {
        Self(start)
    }

    /// Its start.
    #[inline(always)]
    pub(crate) const fn start(self) -> NonNull<u8> {
        self.0
    }

    /// Its address.
    #[inline(always)]
    pub(crate) fn address(self) -> usize {
        self.0.addr().get()
    }

    /// The first word. An atomic access: a program that still writes to a block it has freed races with this one, and
    /// the compiler must neither drop the store nor read twice.
    #[inline(always)]
    pub(crate) fn first_word(self) -> u64 {
        // SAFETY: a block is at least 16 bytes, aligned to 16, and accessible while its page exists.
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().cast()) }.load(Relaxed)
    }

    /// Writes the first word.
    #[inline(always)]
    pub(crate) fn set_first_word(self, word: u64) {
        // SAFETY: as in `first_word`.
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().cast()) }.store(word, Relaxed);
    }

    /// Wipes the block: `len` bytes, a multiple of 16.
    ///
    /// # Safety
    /// - `len` is the block's size.
    #[inline(always)]
    pub(crate) unsafe fn wipe(self, len: usize) {
        if len > WIPED_HERE {
            // SAFETY: the caller's promise; nobody else uses the block.
            unsafe { self.0.as_ptr().write_bytes(0, len) };
            // What is about to be freed must not look like it to the compiler.
            compiler_fence(SeqCst);
            return;
        }
        let mut at = 0;
        while at < len {
            let pair = self.0.as_ptr().wrapping_add(at).cast::<[u64; 2]>();
            // Volatile, or it would be a call of memset again.
            // SAFETY: two words of the block, aligned like it.
            unsafe { pair.write_volatile([0; 2]) };
            at = at.wrapping_add(16);
        }
    }

    /// Whether the block is still wiped: all of its `len` bytes, a multiple of 16, but for the first word, where a link lies.
    ///
    /// # Safety
    /// - `len` is the block's size; it was wiped, or its memory is new.
    #[inline(always)]
    pub(crate) unsafe fn is_wiped(self, len: usize) -> bool {
        let word = |at: usize| {
            // SAFETY: a word of the block, which is aligned to 16.
            unsafe { self.0.as_ptr().wrapping_add(at).cast::<u64>().read() }
        };
        let mut found = word(8);
        let mut at = 16;
        while at < len {
            found |= word(at) | word(at.wrapping_add(8));
            at = at.wrapping_add(16);
        }
        found == 0
    }

    /// Where the first byte lies that is not wiped any more, whatever `is_wiped` has seen a moment ago.
    ///
    /// # Safety
    /// - as for `is_wiped`.
    #[cold]
    pub(crate) unsafe fn first_unwiped(self, len: usize) -> Option<usize> {
        (size_of::<u64>()..len).find(|&at| {
            // SAFETY: a byte of the block.
            let byte = unsafe { self.0.as_ptr().wrapping_add(at).read_volatile() };
            byte != 0
        })
    }

    /// Writes `word` again and again from byte `from` of the block to its end, the last time as far as it fits.
    ///
    /// # Safety
    /// - `from` is at least a word below `size`, which is the block's.
    #[inline(always)]
    pub(crate) unsafe fn plant(self, from: usize, size: usize, word: u64) {
        let put = |at: usize, word: u64| {
            // SAFETY: a word within the block.
            unsafe { self.0.as_ptr().wrapping_add(at).cast::<u64>().write_unaligned(word) }
        };
        // Most slack is no more than two words, which may overlap.
        let last = size.wrapping_sub(size_of::<u64>());
        put(from, word);
        put(last, rotated(word, last.wrapping_sub(from)));
        let mut at = from.wrapping_add(size_of::<u64>());
        while at < last {
            put(at, word);
            at = at.wrapping_add(size_of::<u64>());
        }
    }

    /// Whether everything is as `plant` has written it.
    ///
    /// # Safety
    /// - as for `plant`.
    #[inline(always)]
    pub(crate) unsafe fn is_planted(self, from: usize, size: usize, word: u64) -> bool {
        let found = |at: usize| {
            // SAFETY: a word within the block.
            unsafe { self.0.as_ptr().wrapping_add(at).cast::<u64>().read_unaligned() }
        };
        let last = size.wrapping_sub(size_of::<u64>());
        let mut difference = (found(from) ^ word) | (found(last) ^ rotated(word, last.wrapping_sub(from)));
        let mut at = from.wrapping_add(size_of::<u64>());
        while at < last {
            difference |= found(at) ^ word;
            at = at.wrapping_add(size_of::<u64>());
        }
        difference == 0
    }

    /// Where the first byte lies that is not as `plant` has written it.
    ///
    /// # Safety
    /// - as for `plant`.
    #[cold]
    pub(crate) unsafe fn first_unplanted(self, from: usize, size: usize, word: u64) -> Option<usize> {
        let differs = |at: usize, word: u64| {
            // SAFETY: a word within the block.
            let found = unsafe { self.0.as_ptr().wrapping_add(at).cast::<u64>().read_unaligned() };
            (found != word).then(|| at.wrapping_add((found ^ word).trailing_zeros() as usize / 8))
        };
        let last = size.wrapping_sub(size_of::<u64>());
        let mut at = from;
        while at < last {
            if let Some(offset) = differs(at, word) {
                return Some(offset);
            }
            at = at.wrapping_add(size_of::<u64>());
        }
        differs(last, rotated(word, last.wrapping_sub(from)))
    }

    /// Fills `len` bytes from `from` on with zeros.
    ///
    /// # Safety
    /// - they lie in the block.
    #[inline]
    pub(crate) unsafe fn clear_part(self, from: usize, len: usize) {
        // SAFETY: the caller's promise; nobody else uses the block.
        unsafe { self.0.as_ptr().wrapping_add(from).write_bytes(0, len) };
    }

    /// Fills the first `len` bytes with zeros.
    ///
    /// # Safety
    /// - `len` is at most the block's size.
    #[inline]
    pub(crate) unsafe fn clear(self, len: usize) {
        // SAFETY: the caller's promise; nobody else uses the block.
        unsafe { self.0.as_ptr().write_bytes(0, len) };
    }
}

/// What of a word that is written again and again is found `distance` bytes from where it was written first.
#[inline(always)]
const fn rotated(word: u64, distance: usize) -> u64 {
    word.rotate_right((distance as u32 & 7).wrapping_mul(8))
}
