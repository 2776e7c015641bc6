//! A block's memory, as far as the allocator touches it.

use crate::sync::{AtomicU64, Relaxed};
use core::ptr::NonNull;

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
