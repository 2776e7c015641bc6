//! A heap as a safe value, whose blocks end with it.

use super::own::{NoMemory, Own, give_back};
use crate::heap::{self, Collect, Fill};
use core::alloc::Layout;
use core::ptr::NonNull;

/// A heap of the calling thread's whose blocks end with it, all at once: for what lives as long as a request, a frame, a parse.
///
/// Dropping it gives its pages back whole, without a look at each block: nobody need free them one by one. No destructor runs
/// for what is still in there.
///
/// With the feature `allocator-api2` a *reference* to it is an `Allocator` of that crate (0.2), for its `Vec` and `Box`: so nothing in it
/// can outlive it.
///
/// ```
/// use core::alloc::Layout;
///
/// let region = ravelin::Region::new()?;
/// let block = region.allocate_zeroed(Layout::new::<[u64; 100]>())?; // need not be given back
/// assert!(region.contains(block.as_ptr().cast()));
/// # Ok::<(), ravelin::NoMemory>(())
/// ```
///
/// As for threads, forks and costs, see [`Heap`](crate::Heap).
#[derive(Debug)]
pub struct Region {
    own: Own,
}

impl Region {
    /// A new region of the calling thread.
    ///
    /// # Errors
    /// [`NoMemory`], or the thread has run its last destructor.
    pub fn new() -> Result<Region, NoMemory> {
        Own::new().map(|own| Region { own })
    }

    /// Whether a live block of this region starts there. Harmless for any pointer.
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
    /// - the block is one of this region, and nobody uses it any more;
    /// - `layout` is its layout.
    #[inline]
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { give_back(block, layout) }
    }

    /// Gives a block another layout, elsewhere in this region if need be; what it holds is kept, up to the smaller of both sizes.
    ///
    /// # Errors
    /// [`NoMemory`]: the block is as it was.
    ///
    /// # Safety
    /// - the block is a live one of this region, and nobody else uses it;
    /// - `old` is its layout.
    pub unsafe fn resize(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, NoMemory> {
        // SAFETY: the caller's promise.
        unsafe { self.own.resize(block, old, new) }
    }

    /// Takes back what other threads have freed in this region's pages, and gives empty pages and free memory back.
    pub fn collect(&self, how: Collect) {
        self.own.collect(how);
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.own.heap().is_some() {
            heap::destroy(self.own.handle());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::UserPtr;
    use crate::mitigations::MITIGATIONS;
    use crate::sync::CHECKER;

    #[test]
    fn a_region_takes_its_blocks_with_it() {
        let region = Region::new().unwrap();
        let handle = region.own.handle();
        let sizes: &[usize] = if CHECKER { &[8, 3000] } else { &[8, 3000, 100_000, 500_000, 40 << 20] };
        let blocks: std::vec::Vec<_> =
            sizes.iter().map(|&size| region.allocate(Layout::from_size_align(size, 8).unwrap()).unwrap()).collect();
        for block in &blocks {
            assert!(region.contains(block.cast().as_ptr()));
        }
        drop(region);
        assert!(handle.find().is_none());
        for block in blocks {
            assert!(!MITIGATIONS.free_checks || !heap::owns(UserPtr::new(block.cast().as_ptr())));
        }
    }
}
