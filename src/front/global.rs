//! Rust's global allocator.

use crate::geometry::UserPtr;
use crate::heap::{self, Fill, Terms};
use core::alloc::{GlobalAlloc, Layout};

/// The allocator, for `#[global_allocator]`.
///
/// ```
/// #[global_allocator]
/// static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;
///
/// let numbers: Vec<u32> = (0..1000).collect();
/// assert_eq!(numbers.iter().sum::<u32>(), 499_500);
/// ```
///
/// Every size from 0 and every alignment up to 2 GiB is served; exhaustion is null, which std turns into its allocation
/// error. A pointer that is not a live block, or a `Layout` that is not of the block's class, stops the process in that
/// very call with one line on stderr (see [`Kind`](crate::Kind)).
///
/// Thread-safe and fork-safe. Works before main, in destructors of thread-locals and after them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ravelin;

// SAFETY: blocks are disjoint, hold the Layout's size and alignment, and stay as they are until they are given back; no
// function unwinds.
unsafe impl GlobalAlloc for Ravelin {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        heap::allocate_aligned_on(layout.size(), layout.align(), Terms::of_layout(Fill::Any, layout.align()))
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        heap::allocate_aligned_on(layout.size(), layout.align(), Terms::of_layout(Fill::Zero, layout.align()))
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        heap::free_with_layout(UserPtr::new(pointer), layout.size(), layout.align());
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller owns the block, as GlobalAlloc asks.
        unsafe { heap::reallocate_with_layout(None, UserPtr::new(pointer), layout.size(), layout.align(), new_size) }
    }
}
