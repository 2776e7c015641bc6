//! First-class heaps, as the C library hands them on.
//!
//! A handle of a heap that has ended stops the process (`dead heap`), and so does that of another thread's heap where its own
//! thread is demanded (`foreign heap`): everywhere but in [`heap_contains`] and [`heap_check_owned`], which only look.

use crate::geometry::{GRANULE, UserPtr};
use crate::heap::{self, Collect, Fill, Target, Terms};
use crate::report::Operation;
use core::ptr;

pub use crate::heap::{HeapArea, HeapHandle, Visit, Visited};

/// A new heap of the calling thread. None if there is no memory, or the thread has run its last destructor.
#[must_use]
pub fn heap_new() -> Option<HeapHandle> {
    heap::new()
}

/// The calling thread's first heap, which is there as long as the thread. None only without memory.
#[must_use]
pub fn heap_backing() -> Option<HeapHandle> {
    heap::backing()
}

/// The heap that plain allocations of the calling thread take: the first one, until another was made the default.
#[must_use]
pub fn heap_default() -> Option<HeapHandle> {
    heap::default()
}

/// Plain allocations of the calling thread take this heap from now on. Gives the heap that they took before.
pub fn heap_set_default(heap: HeapHandle) -> HeapHandle {
    heap::set_default(heap).unwrap_or(heap)
}

/// Ends the heap. Its live blocks are the backing heap's from now on; the backing heap itself stays.
pub fn heap_delete(heap: HeapHandle) {
    heap::delete(heap);
}

/// Ends the heap and frees all its blocks, large ones too. The backing heap stays, and so do its blocks.
///
/// # Safety
/// - nobody uses the heap's blocks any more. (A later *free* of one is stopped as a double free, in builds that check.)
pub unsafe fn heap_destroy(heap: HeapHandle) {
    heap::destroy(heap);
}

/// Takes back what other threads have freed in this heap's pages, and gives empty pages and free memory back.
pub fn heap_collect(heap: HeapHandle, how: Collect) {
    heap::collect_heap(heap, how);
}

/// Whether a live block of the heap starts there. Harmless for any pointer; callable by any thread.
#[must_use]
pub fn heap_contains(heap: HeapHandle, pointer: *const u8) -> bool {
    heap::contains(heap, UserPtr::new(pointer.cast_mut()))
}

/// Whether the pointer lies in blocks of the heap that were made, live or free: their insides count. Harmless for any pointer;
/// callable by any thread.
#[must_use]
pub fn heap_check_owned(heap: HeapHandle, pointer: *const u8) -> bool {
    heap::check_owned(heap, UserPtr::new(pointer.cast_mut()))
}

/// Shows the pages of the heap, full and large ones too, and their blocks, until `show` answers false. False if it did, or if
/// there was no page.
///
/// `show` may free blocks, also the one that it is shown, and allocate. Looks at every segment of the process.
pub fn heap_visit(heap: HeapHandle, what: Visit, show: &mut dyn FnMut(Visited<'_>) -> bool) -> bool {
    heap::visit(heap, what, show)
}

/// A block of the heap, of at least `size` bytes, aligned to 16; null on exhaustion.
#[inline]
#[must_use]
pub fn heap_allocate(heap: HeapHandle, size: usize) -> *mut u8 {
    heap::allocate_in(heap.expect_own(Operation::Malloc), size, GRANULE, Terms::of(Fill::Any))
}

/// The same; all that the block has room for is zero.
#[inline]
#[must_use]
pub fn heap_allocate_zeroed(heap: HeapHandle, size: usize) -> *mut u8 {
    heap::allocate_in(heap.expect_own(Operation::Malloc), size, GRANULE, Terms::of(Fill::Zero))
}

/// A block of the heap, aligned to `align`; null on exhaustion, or if that is no power of two.
#[must_use]
pub fn heap_allocate_aligned(heap: HeapHandle, size: usize, align: usize) -> *mut u8 {
    let heap = heap.expect_own(Operation::Malloc);
    if align.is_power_of_two() { heap::allocate_in(heap, size, align, Terms::of(Fill::Any)) } else { ptr::null_mut() }
}

/// The same; all that the block has room for is zero.
#[must_use]
pub fn heap_allocate_aligned_zeroed(heap: HeapHandle, size: usize, align: usize) -> *mut u8 {
    let heap = heap.expect_own(Operation::Malloc);
    if align.is_power_of_two() { heap::allocate_in(heap, size, align, Terms::of(Fill::Zero)) } else { ptr::null_mut() }
}

/// As [`reallocate`](super::reallocate); a block that cannot stay moves to this heap, whatever heap it is of.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn heap_reallocate(heap: HeapHandle, pointer: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { to_heap(heap, pointer, size, GRANULE, Fill::Any) }
}

/// The same, aligned to `align`; null, and the block as it was, if that is no power of two.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn heap_reallocate_aligned(heap: HeapHandle, pointer: *mut u8, size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { to_heap(heap, pointer, size, align, Fill::Any) }
}

/// As [`heap_reallocate`], for a block that was born zeroed: what the old block had no room for is zero.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn heap_reallocate_zeroed(heap: HeapHandle, pointer: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { to_heap(heap, pointer, size, GRANULE, Fill::Zero) }
}

/// The same, aligned to `align`; null, and the block as it was, if that is no power of two.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn heap_reallocate_aligned_zeroed(heap: HeapHandle, pointer: *mut u8, size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { to_heap(heap, pointer, size, align, Fill::Zero) }
}

/// As [`reallocate`](super::reallocate), for a block that was born zeroed: what the old block had no room for is zero.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn reallocate_zeroed(pointer: *mut u8, size: usize) -> *mut u8 {
    let target = Target { heap: None, align: GRANULE, offset: 0, fill: Fill::Zero };
    // SAFETY: the caller's promise.
    unsafe { heap::reallocate_to(UserPtr::new(pointer), size, target) }
}

/// The same, aligned to `align`; null, and the block as it was, if that is no power of two.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn reallocate_aligned_zeroed(pointer: *mut u8, size: usize, align: usize) -> *mut u8 {
    if !align.is_power_of_two() {
        return ptr::null_mut();
    }
    let target = Target { heap: None, align, offset: 0, fill: Fill::Zero };
    // SAFETY: the caller's promise.
    unsafe { heap::reallocate_to(UserPtr::new(pointer), size, target) }
}

/// # Safety
/// - nobody else uses the block.
unsafe fn to_heap(heap: HeapHandle, pointer: *mut u8, size: usize, align: usize, fill: Fill) -> *mut u8 {
    let heap = heap.expect_own(Operation::Realloc);
    if !align.is_power_of_two() {
        return ptr::null_mut();
    }
    let target = Target { heap: Some(heap), align, offset: 0, fill };
    // SAFETY: the caller's promise.
    unsafe { heap::reallocate_to(UserPtr::new(pointer), size, target) }
}
