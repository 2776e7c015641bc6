//! What the C library is made of. Not part of the stable API.

use crate::geometry::UserPtr;
use crate::heap::{self, Fill, Terms};
use crate::page::Origin;
use crate::stats;
use core::ptr::{self, NonNull};

mod aligned_at;
mod arenas;
mod heaps;

pub use super::talk::*;
pub use crate::heap::Collect;
pub use aligned_at::*;
pub use arenas::*;
pub use heaps::*;

/// Bytes that every block has beyond what was requested: a block for `size` bytes takes `good_size(size) + TRAILER`.
pub const TRAILER: usize = crate::page::TRAILER;

/// Makes the allocator ready. Every other function does so itself, and so does a constructor that runs before `main`.
pub fn start() {
    super::start::start();
}

/// A block of at least `size` bytes, aligned to 16; null on exhaustion. errno is unchanged.
#[inline(always)]
#[must_use]
pub fn allocate(size: usize) -> *mut u8 {
    heap::allocate(size)
}

/// The same if one is at hand: none where that would take more than a few instructions. For those who want to call something
/// else then, as their last act.
#[inline(always)]
#[must_use]
pub fn at_hand(size: usize) -> Option<NonNull<u8>> {
    heap::at_hand(size, Terms::of(Fill::Any))
}

/// The same, filled with zeros.
#[inline(always)]
#[must_use]
pub fn at_hand_zeroed(size: usize) -> Option<NonNull<u8>> {
    heap::at_hand(size, Terms::of(Fill::Zero))
}

/// As [`allocate`], for those who have asked [`at_hand`] in vain.
#[inline(always)]
#[must_use]
pub fn allocate_slowly(size: usize) -> *mut u8 {
    heap::allocate_slow(size, Terms::of(Fill::Any))
}

/// The same, filled with zeros.
#[inline(always)]
#[must_use]
pub fn allocate_zeroed_slowly(size: usize) -> *mut u8 {
    heap::allocate_slow(size, Terms::of(Fill::Zero))
}

/// As [`allocate`], filled with zeros.
#[inline(always)]
#[must_use]
pub fn allocate_zeroed(size: usize) -> *mut u8 {
    heap::allocate_zeroed(size)
}

/// As [`allocate`], for what will hold no pointer: with `partition` such blocks never lie where others have lain. They stay apart when
/// they are reallocated, and are freed as all others are.
#[inline]
#[must_use]
pub fn allocate_data(size: usize) -> *mut u8 {
    heap::allocate_on(size, Terms::of_data(Fill::Any))
}

/// The same, filled with zeros.
#[inline]
#[must_use]
pub fn allocate_data_zeroed(size: usize) -> *mut u8 {
    heap::allocate_on(size, Terms::of_data(Fill::Zero))
}

/// A block aligned to `align`; null on exhaustion, or if that is no power of two.
#[inline]
#[must_use]
pub fn allocate_aligned(size: usize, align: usize) -> *mut u8 {
    if align.is_power_of_two() { heap::allocate_aligned(size, align) } else { ptr::null_mut() }
}

/// The same, filled with zeros.
#[inline]
#[must_use]
pub fn allocate_aligned_zeroed(size: usize, align: usize) -> *mut u8 {
    if align.is_power_of_two() { heap::allocate_aligned_zeroed(size, align) } else { ptr::null_mut() }
}

/// Frees a block; null is ignored, and any other pointer that is not a live block stops the process.
///
/// # Safety
/// - nobody uses the block any more.
#[inline(always)]
pub unsafe fn free(pointer: *mut u8) {
    heap::free(UserPtr::new(pointer));
}

/// The same for one who gives the size that was requested: with `canaries` another one stops the process.
///
/// # Safety
/// - nobody uses the block any more.
#[inline(always)]
pub unsafe fn free_sized(pointer: *mut u8, size: usize) {
    heap::free_sized(UserPtr::new(pointer), size);
}

/// The same for one who gives the alignment too, as it was asked for: it is rounded up to a power of two, as C's `memalign` does. With
/// `layout-checks` the process stops if a block for that would have been of another class, with `canaries` also if the size is another one.
///
/// # Safety
/// - nobody uses the block any more.
#[inline]
pub unsafe fn free_aligned_sized(pointer: *mut u8, size: usize, align: usize) {
    let align = align.checked_next_power_of_two().unwrap_or(1 << (usize::BITS - 1));
    heap::free_aligned_sized(UserPtr::new(pointer), size, align);
}

/// C++'s operators for one object, `new` and `delete`, or for many, `new[]` and `delete[]`. With `origin-checks` a block of
/// one kind that goes back by the other stops the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `new`, `delete`.
    One,
    /// `new[]`, `delete[]`.
    Many,
}

impl Operator {
    #[inline(always)]
    const fn origin(self) -> Origin {
        match self {
            Operator::One => Origin::NEW,
            Operator::Many => Origin::NEW_ARRAY,
        }
    }
}

/// A block for `new`; null on exhaustion.
#[inline(always)]
#[must_use]
pub fn operator_new(size: usize, operator: Operator) -> *mut u8 {
    heap::allocate_on(size, Terms::of_operator(operator.origin()))
}

/// The same if one is at hand, as [`at_hand`].
#[inline(always)]
#[must_use]
pub fn operator_new_at_hand(size: usize, operator: Operator) -> Option<NonNull<u8>> {
    heap::at_hand(size, Terms::of_operator(operator.origin()))
}

/// As [`operator_new`], for those who have asked [`operator_new_at_hand`] in vain.
#[inline(always)]
#[must_use]
pub fn operator_new_slowly(size: usize, operator: Operator) -> *mut u8 {
    heap::allocate_slow(size, Terms::of_operator(operator.origin()))
}

/// As [`operator_new`], aligned to `align`; null as well if that is no power of two.
#[inline]
#[must_use]
pub fn operator_new_aligned(size: usize, align: usize, operator: Operator) -> *mut u8 {
    let terms = Terms::of_operator(operator.origin());
    if align.is_power_of_two() { heap::allocate_aligned_on(size, align, terms) } else { ptr::null_mut() }
}

/// `delete`.
///
/// # Safety
/// - nobody uses the block any more.
#[inline(always)]
pub unsafe fn operator_delete(pointer: *mut u8, operator: Operator) {
    heap::free_by_operator(UserPtr::new(pointer), operator.origin(), None);
}

/// The same for one who gives the size that was requested: with `canaries` another one stops the process.
///
/// # Safety
/// - nobody uses the block any more.
#[inline(always)]
pub unsafe fn operator_delete_sized(pointer: *mut u8, size: usize, operator: Operator) {
    heap::free_by_operator(UserPtr::new(pointer), operator.origin(), Some(size));
}

/// C's realloc, but for size 0, which is a size like any other.
///
/// # Safety
/// - nobody else uses the block.
#[inline]
pub unsafe fn reallocate(pointer: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { heap::reallocate(UserPtr::new(pointer), size) }
}

/// The same, aligned to `align`.
///
/// # Safety
/// - nobody else uses the block.
pub unsafe fn reallocate_aligned(pointer: *mut u8, size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { heap::reallocate_aligned(UserPtr::new(pointer), size, align) }
}

/// Bytes that the block has room for; 0 for null; any other pointer that is not a live block stops the process.
///
/// # Safety
/// - none but what the check does itself; unsafe because builds without `free-checks` do not check.
#[must_use]
pub unsafe fn usable_size(pointer: *const u8) -> usize {
    heap::usable_size(UserPtr::new(pointer.cast_mut()))
}

/// The most that may be requested without a larger block than for `size` bytes.
#[must_use]
pub fn good_size(size: usize) -> usize {
    heap::good_size(size)
}

/// Whether a live block starts there. Harmless for any pointer.
#[must_use]
pub fn owns(pointer: *const u8) -> bool {
    heap::owns(UserPtr::new(pointer.cast_mut()))
}

/// Gives memory back.
pub fn collect(how: Collect) {
    heap::collect(how);
}

/// Writes the statistics to standard error as a table. Neither allocates nor locks.
pub fn print_stats() {
    stats::print();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alignment_that_is_no_power_of_two_gets_no_block() {
        for align in [0, 3, 12, 48, usize::MAX] {
            assert!(allocate_aligned(10, align).is_null() && allocate_aligned_zeroed(10, align).is_null(), "{align}");
        }
        let block = allocate_aligned(10, 64);
        assert!(!block.is_null() && block.addr() % 64 == 0);
        // SAFETY: the block is this test's.
        unsafe { free(block) };
    }
}
