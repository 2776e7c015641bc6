//! A heap as a safe value, whose blocks outlive it.

use super::own::{NoMemory, Own, give_back};
use crate::heap::{self, Collect, Fill, HeapHandle};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A heap of the calling thread's: blocks in pages of their own, apart from all others.
///
/// A value of this type is a share of the heap: it is cloned cheaply, and the heap ends with its last share. Its blocks do not:
/// those that are live then go to the thread's own heap, and stay valid. So a collection may own a share as its allocator, and
/// what it leaks is leaked and no worse. A heap whose blocks end with it is a [`Region`](crate::Region).
///
/// With the feature `allocator-api2` it is an `Allocator` of that crate (0.2), for hashbrown's maps and that crate's `Vec` and
/// `Box`.
///
/// ```
/// use core::alloc::Layout;
///
/// let heap = ravelin::Heap::new()?;
/// let block = heap.allocate(Layout::new::<u64>())?;
/// assert!(heap.contains(block.as_ptr().cast()));
/// drop(heap); // the block is the thread's own heap's now
/// assert!(ravelin::usable_size(block.as_ptr().cast()) >= 8);
/// # Ok::<(), ravelin::NoMemory>(())
/// ```
///
/// Stays on its thread (`!Send`), for only that may allocate from it; blocks may be freed by any thread.
///
/// ```compile_fail,E0277
/// let heap = ravelin::Heap::new().unwrap();
/// std::thread::spawn(move || drop(heap)); // error: cannot be sent between threads
/// ```
///
/// A heap that its thread has
/// outlived, because its shares were leaked, ends as by its last share. In the child of a fork the forking thread's heaps are the
/// child's, others' are gone. Costs a few kilobytes of metadata, which is used again, and at least 64 KiB of address space for
/// each size class in use.
#[derive(Debug)]
pub struct Heap {
    own: Own,
}

impl Heap {
    /// A new heap of the calling thread.
    ///
    /// # Errors
    /// [`NoMemory`], or the thread has run its last destructor.
    pub fn new() -> Result<Heap, NoMemory> {
        Own::new().map(|own| Heap { own })
    }

    /// Whether a live block of this heap starts there. Harmless for any pointer.
    #[must_use]
    pub fn contains(&self, pointer: *const u8) -> bool {
        self.own.contains(pointer)
    }

    /// A block of exactly this layout. One without a size takes no memory: its address is the alignment.
    ///
    /// # Errors
    /// [`NoMemory`].
    #[inline]
    pub fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, NoMemory> {
        self.own.allocate(layout, Fill::Any)
    }

    /// The same, filled with zeros.
    ///
    /// # Errors
    /// [`NoMemory`].
    #[inline]
    pub fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, NoMemory> {
        self.own.allocate(layout, Fill::Zero)
    }

    /// Gives a block back. Any but a live block of this layout stops the process.
    ///
    /// # Safety
    /// - the block is one of this heap, and nobody uses it any more;
    /// - `layout` is its layout.
    #[inline]
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { give_back(block, layout) }
    }

    /// Gives a block another layout, elsewhere in this heap if need be; what it holds is kept, up to the smaller of both sizes.
    ///
    /// # Errors
    /// [`NoMemory`]: the block is as it was.
    ///
    /// # Safety
    /// - the block is a live one of this heap, and nobody else uses it;
    /// - `old` is its layout.
    pub unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, NoMemory> {
        // SAFETY: the caller's promise.
        unsafe { self.own.resize(block, old, new) }
    }

    /// Takes back what other threads have freed in this heap's pages, and gives empty pages and free memory back.
    pub fn collect(&self, how: Collect) {
        self.own.collect(how);
    }

    /// Does `work` with this heap as the thread's default: what `work` allocates without saying where comes from here, if
    /// [`Ravelin`](crate::Ravelin) is the global allocator. It may well outlive the heap.
    ///
    /// ```
    /// # #[global_allocator]
    /// # static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;
    /// let heap = ravelin::Heap::new()?;
    /// let text = heap.within(|| String::from("a plain String"));
    /// assert!(heap.contains(text.as_ptr()));
    /// # Ok::<(), ravelin::NoMemory>(())
    /// ```
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        /// Restores the default heap, also when `work` unwinds: if it has not ended meanwhile.
        struct Before(Option<HeapHandle>);
        impl Drop for Before {
            fn drop(&mut self) {
                if let Some(before) = self.0.filter(|before| before.own().is_some()) {
                    heap::set_default(before);
                }
            }
        }
        // A share, so that the heap outlasts the work.
        let _share = self.clone();
        let _before = Before(self.own.heap().and_then(|_| heap::set_default(self.own.handle())));
        work()
    }
}

impl Clone for Heap {
    /// Another share of the same heap.
    fn clone(&self) -> Heap {
        if let Some(heap) = self.own.heap() {
            heap.share();
        }
        Heap { own: self.own.again() }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        if self.own.heap().is_some_and(heap::Heap::unshare) {
            heap::delete(self.own.handle());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Operation;
    use crate::sync::CHECKER;
    use std::thread;
    use std::vec::Vec;

    // Whole words, also when halved: Miri cannot follow memory of which a part was last written atomically, as the allocator
    // writes links, and a part not.
    const SIZES: &[usize] = if CHECKER { &[16, 112, 4992] } else { &[1, 16, 100, 5000, 200_000, 40 << 20] };

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    fn fill(block: NonNull<[u8]>, byte: u8) {
        // SAFETY: the block is this test's.
        unsafe { block.cast::<u8>().as_ptr().write_bytes(byte, block.len()) };
    }

    fn bytes(block: NonNull<u8>, count: usize) -> Vec<u8> {
        (0..count)
            .map(|at| {
                // SAFETY: a byte of a block of this test's, which was written.
                unsafe { block.as_ptr().wrapping_add(at).read() }
            })
            .collect()
    }

    #[test]
    fn a_block_is_as_long_as_was_asked_for_and_keeps_its_bytes_when_resized() {
        let heap = Heap::new().unwrap();
        for (&size, align) in SIZES.iter().flat_map(|size| [1, 16, 64].map(|align| (size, align))) {
            let old = layout(size, align);
            for new in [layout(size * 2, align), layout(size, align * 4), layout(size / 2, align)] {
                let block = heap.allocate(old).unwrap();
                assert_eq!(block.len(), size);
                assert!(heap.contains(block.cast().as_ptr()) && block.cast::<u8>().addr().get().is_multiple_of(align));
                fill(block, 7);
                // SAFETY: the block is this test's, and of this layout.
                let other = unsafe { heap.resize(block.cast(), old, new) }.unwrap();
                let kept = size.min(new.size()).min(64);
                assert_eq!((other.len(), bytes(other.cast(), kept)), (new.size(), std::vec![7; kept]));
                // SAFETY: as above.
                unsafe { heap.deallocate(other.cast(), new) };
            }
        }
    }

    #[test]
    fn what_has_no_size_takes_no_memory() {
        let heap = Heap::new().unwrap();
        let none = layout(0, 4096);
        let block = heap.allocate(none).unwrap();
        assert_eq!((block.len(), block.cast::<u8>().addr().get()), (0, 4096));
        // SAFETY: the block is this test's, and of this layout.
        let some = unsafe { heap.resize(block.cast(), none, layout(10, 1)) }.unwrap();
        // SAFETY: as above.
        let none_again = unsafe { heap.resize(some.cast(), layout(10, 1), none) }.unwrap();
        // SAFETY: as above.
        unsafe { heap.deallocate(none_again.cast(), none) };
    }

    #[test]
    fn a_heap_ends_with_its_last_share_and_its_blocks_do_not() {
        let heap = Heap::new().unwrap();
        let handle = heap.own.handle();
        let block = heap.allocate_zeroed(layout(100, 8)).unwrap();
        let share = heap.clone();
        drop(heap);
        assert!(share.contains(block.cast().as_ptr()));
        drop(share);
        assert!(handle.find().is_none());
        assert_eq!(bytes(block.cast(), 100), [0; 100]);
        // SAFETY: the block is this test's, and of this layout.
        unsafe { give_back(block.cast(), layout(100, 8)) };
    }

    #[test]
    fn the_default_heap_is_restored_whatever_happened_within() {
        thread::spawn(|| {
            let (outer, inner) = (Heap::new().unwrap(), Heap::new().unwrap());
            let before = heap::default().unwrap();
            outer.within(|| {
                assert_eq!(heap::default(), Some(outer.own.handle()));
                inner.within(|| assert_eq!(heap::default(), Some(inner.own.handle())));
                drop(inner);
                assert_eq!(heap::default(), Some(outer.own.handle()));
                // Gone while it is the default of those who come after.
                let gone = Heap::new().unwrap();
                let handle = gone.own.handle();
                gone.within(|| drop(gone.clone()));
                drop(gone);
                assert!(handle.find().is_none());
            });
            assert_eq!(heap::default(), Some(before));
            before.expect_own(Operation::Malloc);
        })
        .join()
        .unwrap();
    }
}
