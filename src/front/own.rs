//! What the two kinds of safe heaps have in common: a handle that stays on its thread.

use crate::geometry::UserPtr;
use crate::heap::{self, Collect, Fill, HeapHandle, Terms};
use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::{error, fmt};

/// There is no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no memory")
    }
}

impl error::Error for NoMemory {}

/// A handle that stays on its thread.
#[derive(Debug)]
pub(super) struct Own {
    handle: HeapHandle,
    stays: PhantomData<*mut ()>,
}

impl Own {
    pub(super) fn new() -> Result<Own, NoMemory> {
        heap::new().map(|handle| Own { handle, stays: PhantomData }).ok_or(NoMemory)
    }

    /// The same handle once more.
    pub(super) fn again(&self) -> Own {
        Own { handle: self.handle, stays: PhantomData }
    }

    pub(super) fn handle(&self) -> HeapHandle {
        self.handle
    }

    /// The heap, while it lives: not so at the very end of its thread, when the last destructors run.
    #[inline]
    pub(super) fn heap(&self) -> Option<&'static heap::Heap> {
        self.handle.own()
    }

    pub(super) fn contains(&self, pointer: *const u8) -> bool {
        self.heap().is_some() && heap::contains(self.handle, UserPtr::new(pointer.cast_mut()))
    }

    pub(super) fn collect(&self, how: Collect) {
        if self.heap().is_some() {
            heap::collect_heap(self.handle, how);
        }
    }

    /// A block of exactly this layout. What has no size has no block.
    #[inline]
    pub(super) fn allocate(&self, layout: Layout, fill: Fill) -> Result<NonNull<[u8]>, NoMemory> {
        let (size, align) = (layout.size(), layout.align());
        let start = match size {
            0 => ptr::without_provenance_mut(align),
            _ => heap::allocate_in(self.heap().ok_or(NoMemory)?, size, align, Terms::of_layout(fill, align)),
        };
        NonNull::new(start).map(|start| NonNull::slice_from_raw_parts(start, size)).ok_or(NoMemory)
    }

    /// The block with another layout, elsewhere if need be.
    ///
    /// # Safety
    /// - the block is live, nobody else uses it, and `old` is its layout.
    pub(super) unsafe fn resize(
        &self,
        block: NonNull<u8>,
        old: Layout,
        new: Layout,
    ) -> Result<NonNull<[u8]>, NoMemory> {
        if old.align() == new.align() && old.size() != 0 && new.size() != 0 {
            let (heap, pointer) = (self.heap().ok_or(NoMemory)?, UserPtr::new(block.as_ptr()));
            // SAFETY: the caller's promise.
            let start =
                unsafe { heap::reallocate_with_layout(Some(heap), pointer, old.size(), old.align(), new.size()) };
            let start = NonNull::new(start).ok_or(NoMemory)?;
            return Ok(NonNull::slice_from_raw_parts(start, new.size()));
        }
        let other = self.allocate(new, Fill::Any)?;
        let count = old.size().min(new.size());
        // SAFETY: both blocks have room for that much, and the new one is not the old one, which is live.
        unsafe { other.cast::<u8>().copy_from_nonoverlapping(block, count) };
        // SAFETY: the caller's promise.
        unsafe { give_back(block, old) };
        Ok(other)
    }
}

/// Gives a block of this layout back, whatever its heap.
///
/// # Safety
/// - the block is live, nobody uses it any more, and `layout` is its layout.
#[inline]
pub(super) unsafe fn give_back(block: NonNull<u8>, layout: Layout) {
    if layout.size() != 0 {
        heap::free_with_layout(UserPtr::new(block.as_ptr()), layout.size(), layout.align());
    }
}
