//! What the shapes hold: blocks of bytes, and values behind a pointer, that come from a [`Face`] and go back when dropped.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use crate::face::{Face, PLAIN};

/// A block of bytes. Its first and its last byte are written when it is made, as any program would.
pub struct Block<F: Face, const ALIGN: usize = PLAIN> {
    at: NonNull<u8>,
    size: usize,
    face: PhantomData<F>,
}

// SAFETY: a block owns its bytes; a face may be called from any thread.
unsafe impl<F: Face, const ALIGN: usize> Send for Block<F, ALIGN> {}

impl<F: Face, const ALIGN: usize> Block<F, ALIGN> {
    #[inline]
    pub fn new(size: usize) -> Self {
        // SAFETY: a face never returns null.
        let at = unsafe { NonNull::new_unchecked(F::allocate(ALIGN, size)) };
        let block = Block { at, size, face: PhantomData };
        // SAFETY: the block has at least one byte.
        unsafe { at.write_volatile(1) };
        // SAFETY: the same.
        unsafe { at.add(size - 1).write_volatile(1) };
        block
    }

    #[inline]
    pub fn zeroed(size: usize) -> Self {
        // SAFETY: a face never returns null.
        Block { at: unsafe { NonNull::new_unchecked(F::zeroed(size)) }, size, face: PhantomData }
    }

    /// Makes it larger or smaller.
    #[inline]
    pub fn resize(&mut self, size: usize) {
        // SAFETY: it came from this face, and the old pointer is replaced.
        let at = unsafe { F::resize(self.at.as_ptr(), self.size, size) };
        // SAFETY: a face never returns null.
        self.at = unsafe { NonNull::new_unchecked(at) };
        self.size = size;
        // SAFETY: the block has at least one byte.
        unsafe { at.add(size - 1).write_volatile(1) };
    }

    #[inline]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Writes a byte into every OS page of it, as a program that uses it would.
    #[inline]
    pub fn touch(&mut self) {
        for offset in (0..self.size).step_by(4096) {
            // SAFETY: inside the block.
            unsafe { self.at.add(offset).write_volatile(2) };
        }
    }

    /// Writes every byte.
    #[inline]
    pub fn fill(&mut self, byte: u8) {
        // SAFETY: the block's own bytes.
        unsafe { self.at.as_ptr().write_bytes(byte, self.size) };
        std::hint::black_box(self.at);
    }

    /// Reads its first byte, and with it a cache line that another may have written.
    #[inline]
    pub fn first(&self) -> u8 {
        // SAFETY: the block has at least one byte, written when it was made.
        unsafe { self.at.read_volatile() }
    }

    /// Adds one to its first byte.
    #[inline]
    pub fn bump(&mut self) {
        let first = self.first();
        // SAFETY: the block has at least one byte.
        unsafe { self.at.write_volatile(first.wrapping_add(1)) };
    }

    /// Its bytes as words. Meant for blocks that have been written in whole or were zeroed.
    #[inline]
    pub fn words(&mut self) -> &mut [u32] {
        // SAFETY: aligned to 16, and every pattern of bits is a number. Memory from an allocator is initialised
        // as far as the machine goes; the shapes write before they read.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr().cast(), self.size / 4) }
    }

    /// See [`words`](Self::words).
    #[inline]
    pub fn read_words(&self) -> &[u32] {
        // SAFETY: as in `words`.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr().cast(), self.size / 4) }
    }

    #[inline]
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: as in `words`.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.size) }
    }

    #[inline]
    pub fn read_bytes(&self) -> &[u8] {
        // SAFETY: as in `words`.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.size) }
    }
}

impl<F: Face, const ALIGN: usize> Drop for Block<F, ALIGN> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: it came from this face, and is gone after this.
        unsafe { F::free(self.at.as_ptr(), ALIGN, self.size) }
    }
}

/// A value of its own block: a `Box` that asks a face.
pub struct Own<T, F: Face> {
    at: NonNull<T>,
    face: PhantomData<(T, F)>,
}

// SAFETY: as for Box.
unsafe impl<T: Send, F: Face> Send for Own<T, F> {}

impl<T, F: Face> Own<T, F> {
    #[inline]
    pub fn new(value: T) -> Self {
        // SAFETY: a face never returns null.
        let at: NonNull<T> = unsafe { NonNull::new_unchecked(F::allocate(align_of::<T>(), size_of::<T>()).cast()) };
        // SAFETY: a fresh block of the value's size and alignment.
        unsafe { at.write(value) };
        Own { at, face: PhantomData }
    }
}

impl<T, F: Face> Deref for Own<T, F> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it holds a value while it lives.
        unsafe { self.at.as_ref() }
    }
}

impl<T, F: Face> DerefMut for Own<T, F> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: it holds a value while it lives, and is borrowed alone.
        unsafe { self.at.as_mut() }
    }
}

impl<T, F: Face> Drop for Own<T, F> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: it holds a value, which is gone after this.
        unsafe { self.at.drop_in_place() };
        // SAFETY: it came from this face, and is gone after this.
        unsafe { F::free(self.at.as_ptr().cast(), align_of::<T>(), size_of::<T>()) }
    }
}

/// A value that many own, of one thread: an `Rc` that asks a face.
pub struct Shared<T, F: Face>(NonNull<Counted<T>>, PhantomData<F>);

struct Counted<T> {
    owners: usize,
    value: T,
}

impl<T, F: Face> Shared<T, F> {
    #[inline]
    pub fn new(value: T) -> Self {
        let own: Own<Counted<T>, F> = Own::new(Counted { owners: 1, value });
        let at = own.at;
        std::mem::forget(own);
        Shared(at, PhantomData)
    }
}

impl<T, F: Face> Clone for Shared<T, F> {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: of one thread, and no reference to the count is ever given out.
        unsafe { (*self.0.as_ptr()).owners += 1 };
        Shared(self.0, PhantomData)
    }
}

impl<T, F: Face> Deref for Shared<T, F> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it holds a value while anyone owns it.
        unsafe { &(*self.0.as_ptr()).value }
    }
}

impl<T, F: Face> Drop for Shared<T, F> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: of one thread, and no reference to the count is ever given out.
        let left = unsafe {
            (*self.0.as_ptr()).owners -= 1;
            (*self.0.as_ptr()).owners
        };
        if left == 0 {
            drop(Own::<Counted<T>, F> { at: self.0, face: PhantomData });
        }
    }
}
