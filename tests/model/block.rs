//! A block as its owner knows it.

use super::contents;
use super::heap::HeapName;
use super::territory::{Territory, Zone};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use ravelin::raw::{self, Operator};
use ravelin::{MITIGATIONS, Ravelin};

/// Which family of functions a block is got and given back by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Face {
    /// malloc's.
    C,
    /// malloc's for what will hold no pointer: of no alignment.
    Data,
    /// C++'s `new` and `delete`: never zeroed, and resized by hand.
    Operator(Operator),
    /// Rust's: the Layout is told each time.
    Rust,
    /// A heap's, which may end and take the block with it: as malloc's or as Rust's, as the heap is.
    Heap(HeapName),
}

/// What is told of a block that goes back, if its face leaves a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    /// `free_sized`, a sized `delete`.
    Size,
    /// `free_aligned_sized`, unless `realloc` has had the block.
    SizeAndAlign,
    /// That it is C++'s, though malloc may have given it: libraries with a `new` of their own over malloc come to that.
    Object,
}

impl Told {
    pub(crate) const ALL: [Told; 4] = [Told::Nothing, Told::Size, Told::SizeAndAlign, Told::Object];
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
    zone: Zone,
    /// What comes with more room is zero, too.
    born: Fill,
    /// Whether `realloc` has had it.
    resized: bool,
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
        let Request { face, size, align, fill } = request.as_possible();
        // The C library asks in two steps, too.
        let in_steps = seed & 1 == 0;
        let start = match (face, fill) {
            (Face::C, Fill::Any) if align > 16 => raw::allocate_aligned(size, align),
            (Face::C, Fill::Zero) if align > 16 => raw::allocate_aligned_zeroed(size, align),
            (Face::C, Fill::Any) if in_steps => or_slowly(raw::at_hand(size), || raw::allocate_slowly(size)),
            (Face::C, Fill::Zero) if in_steps => {
                or_slowly(raw::at_hand_zeroed(size), || raw::allocate_zeroed_slowly(size))
            }
            (Face::C, Fill::Any) => raw::allocate(size),
            (Face::C, Fill::Zero) => raw::allocate_zeroed(size),
            (Face::Data, Fill::Any) => raw::allocate_data(size),
            (Face::Data, Fill::Zero) => raw::allocate_data_zeroed(size),
            (Face::Operator(operator), _) if align > 16 => raw::operator_new_aligned(size, align, operator),
            (Face::Operator(operator), _) if in_steps => {
                or_slowly(raw::operator_new_at_hand(size, operator), || raw::operator_new_slowly(size, operator))
            }
            (Face::Operator(operator), _) => raw::operator_new(size, operator),
            (Face::Heap(HeapName::Raw(heap)), Fill::Any) if align <= 16 => raw::heap_allocate(heap, size),
            (Face::Heap(HeapName::Raw(heap)), Fill::Zero) if align <= 16 => raw::heap_allocate_zeroed(heap, size),
            (Face::Heap(HeapName::Raw(heap)), Fill::Any) => raw::heap_allocate_aligned(heap, size, align),
            (Face::Heap(HeapName::Raw(heap)), Fill::Zero) => raw::heap_allocate_aligned_zeroed(heap, size, align),
            (Face::Heap(HeapName::Safe(_, heap)), fill) => HeapName::allocate(heap, layout(size, align), fill),
            // SAFETY: Ravelin serves requests of size 0, too.
            (Face::Rust, Fill::Any) => unsafe { Ravelin.alloc(layout(size, align)) },
            // SAFETY: as above.
            (Face::Rust, Fill::Zero) => unsafe { Ravelin.alloc_zeroed(layout(size, align)) },
        };
        let start = NonNull::new(start)?;
        let zone = zone_of(face, align);
        let block = Block { start, size, align, face, zone, born: fill, resized: false, seed, written: 0 };
        let block = block.settle(territory);
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
        let zone = if self.size == 0 { Zone::Anywhere } else { self.zone };
        territory.claim(address, usable, zone);
        self
    }

    fn usable(&self) -> usize {
        // SAFETY: a live block.
        unsafe { raw::usable_size(self.start.as_ptr()) }
    }

    /// Fills the block anew. A C program may use all that is usable, others what they asked for.
    pub(crate) fn write(mut self, seed: u64) -> Block {
        self.seed = seed;
        self.written = match self.face {
            Face::C | Face::Data | Face::Heap(HeapName::Raw(_)) => self.usable(),
            Face::Operator(_) | Face::Rust | Face::Heap(HeapName::Safe(..)) => self.size,
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
            Face::C | Face::Data | Face::Operator(_) | Face::Rust => None,
        }
    }

    /// Its heap has left it to its thread's first one.
    pub(crate) fn outlive_heap(&mut self) {
        self.face = match self.face {
            Face::Heap(HeapName::Safe(..)) => Face::Rust,
            _ => Face::C,
        };
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

    /// Resizes the block; one of the global allocator of Rust's keeps its alignment. Without memory it must be as it was.
    ///
    /// # Panics
    /// If a promise is broken.
    pub(crate) fn reallocate(self, size: usize, align: usize, seed: u64, territory: &Territory) -> Block {
        if let Face::Operator(_) = self.face {
            return self.replace(size, align, seed, territory);
        }
        self.verify();
        territory.release(self.address());
        let (old, room) = (self.start.as_ptr(), self.usable());
        let (size, align) = match self.face {
            Face::Rust => (size.max(1), self.align),
            Face::Heap(HeapName::Safe(..)) => (size.max(1), align),
            _ if align <= 16 => (size, 1),
            _ => (size, align),
        };
        let new = match (self.face, self.born) {
            (Face::C | Face::Data, Fill::Any) if align == 1 => {
                // SAFETY: a live block, ours.
                unsafe { raw::reallocate(old, size) }
            }
            (Face::C | Face::Data, Fill::Zero) if align == 1 => {
                // SAFETY: as above.
                unsafe { raw::reallocate_zeroed(old, size) }
            }
            (Face::C | Face::Data, Fill::Any) => {
                // SAFETY: as above.
                unsafe { raw::reallocate_aligned(old, size, align) }
            }
            (Face::C | Face::Data, Fill::Zero) => {
                // SAFETY: as above.
                unsafe { raw::reallocate_aligned_zeroed(old, size, align) }
            }
            (Face::Heap(HeapName::Raw(heap)), Fill::Any) if align == 1 => {
                // SAFETY: as above.
                unsafe { raw::heap_reallocate(heap, old, size) }
            }
            (Face::Heap(HeapName::Raw(heap)), Fill::Zero) if align == 1 => {
                // SAFETY: as above.
                unsafe { raw::heap_reallocate_zeroed(heap, old, size) }
            }
            (Face::Heap(HeapName::Raw(heap)), Fill::Any) => {
                // SAFETY: as above.
                unsafe { raw::heap_reallocate_aligned(heap, old, size, align) }
            }
            (Face::Heap(HeapName::Raw(heap)), Fill::Zero) => {
                // SAFETY: as above.
                unsafe { raw::heap_reallocate_aligned_zeroed(heap, old, size, align) }
            }
            (Face::Heap(HeapName::Safe(_, heap)), _) => {
                // SAFETY: as above, with the Layout of its allocation.
                unsafe { HeapName::resize(heap, self.start, self.layout(), layout(size, align)) }
            }
            (Face::Rust | Face::Operator(_), _) => {
                // SAFETY: as above.
                unsafe { Ravelin.realloc(old, self.layout(), size) }
            }
        };
        let Some(start) = NonNull::new(new) else {
            let block = self.settle(territory);
            block.verify();
            return block;
        };
        let kept = self.size.min(size);
        // A block of no bytes lies with all others of its kind: only builds with canaries note what it was asked for as.
        let is_noted = self.size != 0 || self.face == Face::Rust || MITIGATIONS.canaries;
        let zone = if is_noted { self.zone } else { Zone::Anywhere };
        let block = Block { start, size, align, zone, resized: true, ..self }.settle(territory);
        // SAFETY: a live block with room for `kept` bytes.
        unsafe { contents::check(start.as_ptr(), self.written, kept, self.seed) };
        let is_born_again =
            self.born == Fill::Zero && matches!(self.face, Face::C | Face::Data | Face::Heap(HeapName::Raw(_)));
        if is_born_again && size > room {
            let grown = start.as_ptr().wrapping_add(room);
            // SAFETY: from there to the end of the block, ours.
            unsafe { contents::check_zero(grown, size - room) };
        }
        block.write(seed)
    }

    /// Resizes a block as C++ does it: another one takes its contents.
    fn replace(self, size: usize, align: usize, seed: u64, territory: &Territory) -> Block {
        self.verify();
        let request = Request { face: self.face, size, align, fill: Fill::Any };
        let Some(block) = Block::allocate(&request, seed, territory) else { return self };
        let kept = self.size.min(size);
        let (old, new) = (self.start.as_ptr(), block.start.as_ptr());
        // SAFETY: two live blocks, ours, with room for that much.
        unsafe { new.copy_from_nonoverlapping(old, kept) };
        // SAFETY: as above; so much of the old one was written.
        unsafe { contents::check(new, self.written, kept, self.seed) };
        let told = if seed & 1 == 0 { Told::Nothing } else { Told::Size };
        self.free(told, territory);
        block.write(seed)
    }

    /// Checks the block and gives it back.
    ///
    /// # Panics
    /// If somebody else has written to it.
    pub(crate) fn free(self, told: Told, territory: &Territory) {
        self.verify();
        territory.release(self.address());
        let (start, size, align) = (self.start.as_ptr(), self.size, self.align);
        match (self.face, told) {
            // SAFETY: a live block, not used again.
            (Face::Operator(operator), Told::Nothing | Told::Object) => unsafe {
                raw::operator_delete(start, operator)
            },
            (Face::Operator(operator), Told::Size | Told::SizeAndAlign) => {
                // SAFETY: as above, with the size of its allocation.
                unsafe { raw::operator_delete_sized(start, size, operator) }
            }
            // SAFETY: as above, with the Layout of its allocation.
            (Face::Rust, _) => unsafe { Ravelin.dealloc(start, self.layout()) },
            (Face::Heap(HeapName::Safe(_, heap)), _) => {
                // SAFETY: as above.
                unsafe { HeapName::deallocate(heap, self.start, self.layout()) }
            }
            // SAFETY: as above.
            (_, Told::Nothing) => unsafe { raw::free(start) },
            // SAFETY: as above.
            (_, Told::SizeAndAlign) if !self.resized => unsafe { raw::free_aligned_sized(start, size, align) },
            // SAFETY: as above.
            (_, Told::Size | Told::SizeAndAlign) => unsafe { raw::free_sized(start, size) },
            (_, Told::Object) => {
                let operator = if size % 2 == 0 { Operator::One } else { Operator::Many };
                // SAFETY: as above.
                unsafe { raw::operator_delete(start, operator) }
            }
        }
    }

    fn layout(&self) -> Layout {
        layout(self.size, self.align)
    }
}

impl Request {
    /// What comes nearest of all that this face can ask for.
    fn as_possible(&self) -> Request {
        match self.face {
            Face::Data => Request { align: 1, ..*self },
            Face::Operator(_) => Request { fill: Fill::Any, ..*self },
            // What has no size has no block there.
            Face::Heap(HeapName::Safe(..)) => Request { size: self.size.max(1), ..*self },
            Face::C | Face::Rust | Face::Heap(HeapName::Raw(_)) => *self,
        }
    }
}

/// Where blocks lie that are asked for in this way.
fn zone_of(face: Face, align: usize) -> Zone {
    match face {
        Face::Data => Zone::Data,
        Face::Rust if align < 8 => Zone::Data,
        Face::C | Face::Operator(_) | Face::Rust => Zone::Pointers,
        Face::Heap(_) => Zone::Anywhere,
    }
}

/// The block that was at hand, or another.
fn or_slowly(at_hand: Option<NonNull<u8>>, slowly: impl FnOnce() -> *mut u8) -> *mut u8 {
    at_hand.map_or_else(slowly, NonNull::as_ptr)
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("the tests ask for valid sizes and powers of two")
}
