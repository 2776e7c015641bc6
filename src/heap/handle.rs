//! What a program calls a heap by: a number that is never given twice, and the table that finds the heap.
//!
//! ```text
//!   handle   | generation: 44 bits | index: 20 bits |  -->  CHUNKS[index / 1024] -> [index % 1024] -> heap
//!                                                                                     heap.handle == handle, or it is dead
//! ```
//!
//! A heap's metadata is used again, and keeps its index for ever; each life has a generation of its own. So a handle is never
//! an address to follow: any number that a program brings is looked up, and is that of a living heap or of none.

use super::thread::{Heap, Thread};
use crate::report::{self, Kind, Operation, Report};
use crate::segment::meta;
use crate::segment::space::Locked;
use crate::sync::{Acquire, AtomicPtr, AtomicUsize, Relaxed, Release};
use core::ffi::c_void;
use core::ptr::{self, NonNull};

const CHUNK_SHIFT: u32 = 10;
const CHUNK: usize = 1 << CHUNK_SHIFT;
const INDEX_BITS: u32 = 20;
const CHUNKS: usize = 1 << (INDEX_BITS - CHUNK_SHIFT);

/// A heap, as the program names it. The size of a pointer, and never null, but no address.
///
/// Handles of heaps that have ended stay recognisable for ever: whoever uses one is stopped
/// ([`DeadHeap`](crate::Kind::DeadHeap)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct HeapHandle(NonNull<c_void>);

/// A heap's name: where it is in the table, and the handle of its present life.
#[derive(Debug)]
pub(super) struct Name {
    /// One more than the index; 0 if it has none yet.
    place: AtomicUsize,
    /// 0 if no handle names the heap now.
    handle: AtomicUsize,
    /// How many handles it has had.
    lives: AtomicUsize,
}

struct Chunk([AtomicPtr<Heap>; CHUNK]);

// SAFETY: atomics, for which zero is valid.
unsafe impl meta::Zeroed for Chunk {}

static TABLE: [AtomicPtr<Chunk>; CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];
/// Indices given away.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// The entry of an index, if its chunk was made.
#[inline]
fn entry(index: usize) -> Option<&'static AtomicPtr<Heap>> {
    let chunk = TABLE.get(index >> CHUNK_SHIFT)?.load(Acquire);
    // SAFETY: null or a chunk, which is never unmapped.
    unsafe { chunk.as_ref() }?.0.get(index & (CHUNK - 1))
}

/// There is no memory for the table, or a million heaps already.
#[derive(Debug)]
pub(super) struct Nameless;

impl Name {
    /// Names the heap, for this life.
    pub(super) fn begin(&self, heap: &'static Heap, locked: &Locked) -> Result<HeapHandle, Nameless> {
        if let Some(handle) = self.handle() {
            return Ok(handle);
        }
        let index = match self.place.load(Relaxed).checked_sub(1) {
            Some(index) => index,
            None => Self::settle(heap, locked)?,
        };
        self.place.store(index.wrapping_add(1), Relaxed);
        let life = self.lives.load(Relaxed).wrapping_add(1);
        self.lives.store(life, Relaxed);
        self.handle.store((life << INDEX_BITS) | index, Release);
        self.handle().ok_or(Nameless)
    }

    /// Gives the heap a place in the table.
    fn settle(heap: &'static Heap, locked: &Locked) -> Result<usize, Nameless> {
        let index = TAKEN.load(Relaxed);
        if entry(index).is_none() {
            let place = TABLE.get(index >> CHUNK_SHIFT).ok_or(Nameless)?;
            let chunk = meta::allocate::<Chunk>(locked).map_err(|_| Nameless)?;
            place.store(ptr::from_ref(chunk).cast_mut(), Release);
        }
        entry(index).ok_or(Nameless)?.store(ptr::from_ref(heap).cast_mut(), Release);
        TAKEN.store(index.wrapping_add(1), Relaxed);
        Ok(index)
    }

    /// No handle names the heap from now on.
    pub(super) fn end(&self) {
        self.handle.store(0, Relaxed);
    }

    pub(super) fn handle(&self) -> Option<HeapHandle> {
        NonNull::new(ptr::without_provenance_mut(self.handle.load(Acquire))).map(HeapHandle)
    }
}

#[cfg(test)]
impl HeapHandle {
    /// The handle with this number, which may be nobody's.
    pub(super) fn numbered(number: usize) -> HeapHandle {
        HeapHandle(NonNull::new(ptr::without_provenance_mut(number)).unwrap())
    }

    pub(super) fn number(self) -> usize {
        self.0.addr().get()
    }
}

impl HeapHandle {
    /// The heap, whatever its thread, if it lives.
    #[inline]
    pub(crate) fn find(self) -> Option<&'static Heap> {
        let bits = self.0.addr().get();
        let heap = entry(bits & ((1 << INDEX_BITS) - 1))?.load(Acquire);
        // SAFETY: null or a heap's metadata, which is never unmapped.
        let heap = unsafe { heap.as_ref() }?;
        (heap.name.handle.load(Acquire) == bits).then_some(heap)
    }

    /// The heap, which must be alive: else the process stops here.
    pub(crate) fn expect_alive(self, operation: Operation) -> &'static Heap {
        match self.find() {
            Some(heap) => heap,
            None => self.die(Kind::DeadHeap, operation),
        }
    }

    /// The heap, if it lives and is the calling thread's.
    #[inline]
    pub(crate) fn own(self) -> Option<&'static Heap> {
        let thread = Thread::current()?;
        self.find().filter(|heap| ptr::eq(heap.me(), thread.me()))
    }

    /// The heap, which must be alive and the calling thread's: else the process stops here.
    #[inline]
    pub(crate) fn expect_own(self, operation: Operation) -> &'static Heap {
        match self.own() {
            Some(heap) => heap,
            None => self.refuse(operation),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(self, operation: Operation) -> ! {
        self.expect_alive(operation);
        self.die(Kind::ForeignHeap, operation)
    }

    #[cold]
    #[inline(never)]
    fn die(self, kind: Kind, operation: Operation) -> ! {
        report::die(&Report::new(kind, operation, self.0.addr().get()))
    }
}
