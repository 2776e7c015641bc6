//! A heap that the program has made, by its name.

use super::block::Fill;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::RefCell;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering};
use ravelin::raw::{self, HeapHandle, Visit, Visited};
use ravelin::{Collect, Heap, NoMemory, Ravelin, Region};
use std::collections::BTreeSet;

/// What kinds of heaps there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The C library's, whose blocks stay or end as its end says.
    Raw,
    /// Rust's, whose blocks end with it.
    Region,
    /// Rust's, whose blocks outlive it.
    Shared,
}

/// The name. Only the heap's own thread may use it for more than to compare it, or to give a block back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeapName {
    Raw(HeapHandle),
    /// A value that stays on its thread, which has it under this number.
    Safe(Kind, usize),
}

// SAFETY: a name and no memory; that its heap is used by its own thread only is the player's business, and checked by the engine.
unsafe impl Send for HeapName {}

/// A safe heap.
enum Safe {
    Region(Region),
    Shared(Heap),
}

thread_local! {
    /// The thread's safe heaps, which end with it at the latest.
    static OWN: RefCell<Vec<(usize, Safe)>> = const { RefCell::new(Vec::new()) };
}

impl Safe {
    fn allocate(&self, layout: Layout, fill: Fill) -> Result<NonNull<[u8]>, NoMemory> {
        match (self, fill) {
            (Safe::Region(region), Fill::Any) => region.allocate(layout),
            (Safe::Region(region), Fill::Zero) => region.allocate_zeroed(layout),
            (Safe::Shared(heap), Fill::Any) => heap.allocate(layout),
            (Safe::Shared(heap), Fill::Zero) => heap.allocate_zeroed(layout),
        }
    }

    /// # Safety
    /// - a live block of this heap and of that layout, which nobody else uses.
    unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, NoMemory> {
        match self {
            // SAFETY: the caller's promise.
            Safe::Region(region) => unsafe { region.resize(block, old, new) },
            // SAFETY: as above.
            Safe::Shared(heap) => unsafe { heap.resize(block, old, new) },
        }
    }

    /// # Safety
    /// - a live block of this heap and of that layout, which nobody uses any more.
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        match self {
            // SAFETY: the caller's promise.
            Safe::Region(region) => unsafe { region.deallocate(block, layout) },
            // SAFETY: as above.
            Safe::Shared(heap) => unsafe { heap.deallocate(block, layout) },
        }
    }

    fn contains(&self, pointer: *const u8) -> bool {
        match self {
            Safe::Region(region) => region.contains(pointer),
            Safe::Shared(heap) => heap.contains(pointer),
        }
    }

    fn collect(&self, how: Collect) {
        match self {
            Safe::Region(region) => region.collect(how),
            Safe::Shared(heap) => heap.collect(how),
        }
    }
}

/// The block that was given, of just that length.
fn given(block: Result<NonNull<[u8]>, NoMemory>, layout: Layout) -> *mut u8 {
    let Ok(block) = block else { return ptr::null_mut() };
    assert_eq!(block.len(), layout.size(), "{block:?}");
    block.cast().as_ptr()
}

impl HeapName {
    /// A new heap of this thread.
    pub(crate) fn new(kind: Kind) -> Option<HeapName> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let safe = match kind {
            Kind::Raw => return raw::heap_new().map(HeapName::Raw),
            Kind::Region => Safe::Region(Region::new().ok()?),
            Kind::Shared => Safe::Shared(Heap::new().ok()?),
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        OWN.with_borrow_mut(|own| own.push((number, safe)));
        Some(HeapName::Safe(kind, number))
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            HeapName::Raw(_) => Kind::Raw,
            HeapName::Safe(kind, _) => kind,
        }
    }

    /// Does something with the heap of that number; none if it is another thread's, or has ended.
    fn with<T>(number: usize, work: impl FnOnce(&Safe) -> T) -> Option<T> {
        OWN.with_borrow(|own| own.iter().find(|(known, _)| *known == number).map(|(_, safe)| work(safe)))
    }

    /// A block of a safe heap.
    pub(crate) fn allocate(number: usize, layout: Layout, fill: Fill) -> *mut u8 {
        given(HeapName::with(number, |safe| safe.allocate(layout, fill)).expect("a heap of this thread"), layout)
    }

    /// Another size or alignment for one.
    ///
    /// # Safety
    /// - a live block of this heap and of that layout, which nobody else uses.
    pub(crate) unsafe fn resize(number: usize, block: NonNull<u8>, old: Layout, new: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let resized = HeapName::with(number, |safe| unsafe { safe.resize(block, old, new) });
        given(resized.expect("a heap of this thread"), new)
    }

    /// Gives one back: other threads do it as with any block of Rust's.
    ///
    /// # Safety
    /// - a live block of this heap and of that layout, which nobody uses any more.
    pub(crate) unsafe fn deallocate(number: usize, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        if HeapName::with(number, |safe| unsafe { safe.deallocate(block, layout) }).is_none() {
            // SAFETY: as above.
            unsafe { Ravelin.dealloc(block.as_ptr(), layout) };
        }
    }

    /// Its blocks stay.
    pub(crate) fn delete(self) {
        match self {
            HeapName::Raw(handle) => raw::heap_delete(handle),
            HeapName::Safe(_, number) => {
                if let Some(Safe::Shared(heap)) = HeapName::take(number) {
                    // Not the last share.
                    drop(heap.clone());
                }
            }
        }
    }

    /// Its blocks, which nobody uses any more, end.
    pub(crate) fn destroy(self) {
        match self {
            // SAFETY: the player has forgotten them.
            HeapName::Raw(handle) => unsafe { raw::heap_destroy(handle) },
            HeapName::Safe(_, number) => drop(HeapName::take(number)),
        }
    }

    fn take(number: usize) -> Option<Safe> {
        OWN.with_borrow_mut(|own| {
            let index = own.iter().position(|(known, _)| *known == number)?;
            Some(own.swap_remove(index).1)
        })
    }

    pub(crate) fn collect(self, how: Collect) {
        match self {
            HeapName::Raw(handle) => raw::heap_collect(handle, how),
            HeapName::Safe(_, number) => {
                HeapName::with(number, |safe| safe.collect(how)).expect("a heap of this thread")
            }
        }
    }

    /// Looks whether just these blocks are the heap's.
    ///
    /// # Panics
    /// If one is not, or one of the others is, or the heap shows another, or one twice.
    pub(crate) fn check(self, blocks: &BTreeSet<usize>, others: &[usize]) {
        let contains = |address: usize| {
            let pointer = ptr::without_provenance(address);
            match self {
                HeapName::Raw(handle) => raw::heap_contains(handle, pointer),
                HeapName::Safe(_, number) => {
                    HeapName::with(number, |safe| safe.contains(pointer)).expect("a heap of this thread")
                }
            }
        };
        if let Some(lost) = blocks.iter().find(|&&block| !contains(block)) {
            panic!("{self:?} does not know its block at {lost:#x}");
        }
        if let Some(foreign) = others.iter().find(|&&block| contains(block)) {
            panic!("{self:?} takes the block at {foreign:#x} for its own");
        }
        if let HeapName::Raw(handle) = self {
            let mut shown = BTreeSet::new();
            raw::heap_visit(handle, Visit::Blocks, &mut |what| {
                if let Visited::Block(_, start, _) = what {
                    assert!(shown.insert(start.addr().get()), "{start:?} is shown twice");
                }
                true
            });
            assert_eq!(&shown, blocks, "{self:?}");
        }
    }
}
