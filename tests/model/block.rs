//! A block as its owner knows it.

use super::contents;
use super::heap::HeapName;
use super::territory::Territory;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use ravelin::{Ravelin, raw};

/// Which family of functions a block is got and given back by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// malloc's: no size is told at free.
    C,
    /// Rust's: the Layout is told each time.
    Rust,
    /// malloc's in a heap, which may end and take the block with it.
    Heap(HeapName),
}

/// What a new block must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Any,
    Zero,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) face: Face,
    pub(crate) size: usize,
    /// A power of two.
    pub(crate) align: usize,
    pub(crate) fill: Fill,
}

/// Every request up to this alignment must be served; a wider one may fail for want of address space.
pub(crate) const SURE_ALIGN: usize = 2 << 20;

/// A live block.
#[derive(Debug)]
#[must_use = "a block is freed by `free`"]
pub(crate) struct Block {
    start: NonNull<u8>,
    size: usize,
    align: usize,
    face: Face,
    seed: u64,
    /// Bytes that were written.
    written: usize,
}

// SAFETY: a block belongs to whoever holds this; that it may be used and freed by any thread is what is tested.
unsafe impl Send for Block {}

impl Block {
    /// Asks for a block, checks all that is promised of it, and writes it. None: there is no memory.
    ///
    /// # Panics
    /// If a promise is broken.
    pub(crate) fn allocate(request: &Request, seed: u64, territory: &Territory) -> Option<Block> {
        let &Request { face, size, align, fill } = request;
        let start = match (face, fill) {
            (Face::C, Fill::Any) if align <= 16 => raw::allocate(size),
            (Face::C, Fill::Zero) if align <= 16 => raw::allocate_zeroed(size),
            (Face::C, Fill::Any) => raw::allocate_aligned(size, align),
            (Face::C, Fill::Zero) => raw::allocate_aligned_zeroed(size, align),
            (Face::Heap(HeapName(heap)), Fill::Any) if align <= 16 => raw::heap_allocate(heap, size),
            (Face::Heap(HeapName(heap)), Fill::Zero) if align <= 16 => raw::heap_allocate_zeroed(heap, size),
            (Face::Heap(HeapName(heap)), Fill::Any) => raw::heap_allocate_aligned(heap, size, align),
            (Face::Heap(HeapName(heap)), Fill::Zero) => raw::heap_allocate_aligned_zeroed(heap, size, align),
            // SAFETY: Ravelin serves requests of size 0, too.
            (Face::Rust, Fill::Any) => unsafe { Ravelin.alloc(layout(size, align)) },
            // SAFETY: as above.
            (Face::Rust, Fill::Zero) => unsafe { Ravelin.alloc_zeroed(layout(size, align)) },
        };
        let start = NonNull::new(start)?;
        let block = Block { start, size, align, face, seed, written: 0 }.settle(territory);
        if fill == Fill::Zero {
            // SAFETY: a block of that size, ours.
            unsafe { contents::check_zero(start.as_ptr(), size) };
        }
        Some(block.write(seed))
    }

    /// Checks what is promised of every block, and enters it in the territory.
    fn settle(self, territory: &Territory) -> Block {
        let address = self.start.addr().get();
        assert_eq!(address % self.align.max(16), 0, "{self:?} is misaligned");
        let usable = self.usable();
        assert!(usable >= self.size, "{self:?} has room for {usable}");
        assert!(raw::owns(self.start.as_ptr()), "{self:?} is not owned");
        territory.claim(address, usable);
        self
    }

    fn usable(&self) -> usize {
        // SAFETY: a live block.
        unsafe { raw::usable_size(self.start.as_ptr()) }
    }

    /// Fills the block anew. A C program may use all that is usable, a Rust program what it asked for.
    pub(crate) fn write(mut self, seed: u64) -> Block {
        self.seed = seed;
        self.written = match self.face {
            Face::C | Face::Heap(_) => self.usable(),
            Face::Rust => self.size,
        };
        // SAFETY: a block with room for that much, ours.
        unsafe { contents::fill(self.start.as_ptr(), self.written, seed) };
        self
    }

    /// Bytes asked for.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The heap that it ends with.
    pub(crate) fn heap(&self) -> Option<HeapName> {
        match self.face {
            Face::Heap(heap) => Some(heap),
            Face::C | Face::Rust => None,
        }
    }

    /// Its heap has left it to its thread's first one.
    pub(crate) fn outlive_heap(&mut self) {
        self.face = Face::C;
    }

    /// Checks the block, which is about to end with its heap.
    ///
    /// # Panics
    /// If somebody else has written to it.
    pub(crate) fn end_with_heap(self, territory: &Territory) {
        self.verify();
        territory.release(self.address());
    }

    /// Where it lies.
    pub(crate) fn address(&self) -> usize {
        self.start.addr().get()
    }

    /// Checks that nobody else has written to the block.
    ///
    /// # Panics
    /// If somebody has.
    pub(crate) fn verify(&self) {
        let usable = self.usable();
        assert!(usable >= self.written, "{self:?} has room for {usable}");
        // SAFETY: a live block, of which that much was written.
        unsafe { contents::check(self.start.as_ptr(), self.written, self.written, self.seed) };
    }

    /// Resizes the block; a Rust block keeps its alignment. Without memory it must be as it was.
    ///
    /// # Panics
    /// If a promise is broken.
    pub(crate) fn reallocate(self, size: usize, align: usize, seed: u64, territory: &Territory) -> Block {
        self.verify();
        territory.release(self.address());
        let old = self.start.as_ptr();
        let (new, size, align) = match self.face {
            // SAFETY: a live block, ours.
            Face::C if align <= 16 => (unsafe { raw::reallocate(old, size) }, size, 1),
            // SAFETY: as above.
            Face::C => (unsafe { raw::reallocate_aligned(old, size, align) }, size, align),
            // SAFETY: as above.
            Face::Heap(HeapName(heap)) if align <= 16 => (unsafe { raw::heap_reallocate(heap, old, size) }, size, 1),
            Face::Heap(HeapName(heap)) => {
                // SAFETY: as above.
                (unsafe { raw::heap_reallocate_aligned(heap, old, size, align) }, size, align)
            }
            Face::Rust => {
                let size = size.max(1);
                // SAFETY: as above, with the Layout of its allocation.
                (unsafe { Ravelin.realloc(old, layout(self.size, self.align), size) }, size, self.align)
            }
        };
        let Some(start) = NonNull::new(new) else {
            let block = self.settle(territory);
            block.verify();
            return block;
        };
        let kept = self.size.min(size);
        let block = Block { start, size, align, ..self }.settle(territory);
        // SAFETY: a live block with room for `kept` bytes.
        unsafe { contents::check(start.as_ptr(), self.written, kept, self.seed) };
        block.write(seed)
    }

    /// Checks the block and gives it back.
    ///
    /// # Panics
    /// If somebody else has written to it.
    pub(crate) fn free(self, territory: &Territory) {
        self.verify();
        territory.release(self.address());
        let start = self.start.as_ptr();
        match self.face {
            // SAFETY: a live block, not used again.
            Face::C | Face::Heap(_) => unsafe { raw::free(start) },
            // SAFETY: as above, with the Layout of its allocation.
            Face::Rust => unsafe { Ravelin.dealloc(start, layout(self.size, self.align)) },
        }
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("the tests ask for valid sizes and powers of two")
}
