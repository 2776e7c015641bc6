//! The safe heaps as allocators of the crate `allocator-api2`, which is std's trait before it is stable.
//!
//! A collection may own a share of a heap:
//!
//! ```
//! use allocator_api2::vec::Vec;
//!
//! let heap = ravelin::Heap::new()?;
//! let mut numbers = Vec::new_in(heap.clone());
//! numbers.extend(0..1000);
//! assert!(heap.contains(numbers.as_ptr().cast()));
//! drop(heap); // the vector has a share of its own
//! assert_eq!(numbers.iter().sum::<u32>(), 499_500);
//! # Ok::<(), ravelin::NoMemory>(())
//! ```
//!
//! In a region it borrows it:
//!
//! ```
//! use allocator_api2::{boxed::Box, vec::Vec};
//!
//! let region = ravelin::Region::new()?;
//! let mut words = Vec::new_in(&region);
//! words.extend("so it goes".split(' ').map(|word| Box::new_in(word.len(), &region)));
//! assert_eq!(words.iter().map(|length| **length).sum::<usize>(), 8);
//! core::mem::forget(words); // need not be freed
//! # Ok::<(), ravelin::NoMemory>(())
//! ```
//!
//! ```compile_fail,E0597
//! # use allocator_api2::vec::Vec;
//! let escaped = {
//!     let region = ravelin::Region::new().unwrap();
//!     let mut numbers = Vec::new_in(&region);
//!     numbers.push(1);
//!     numbers
//! }; // error: `region` does not live long enough
//! ```

use crate::front::{Heap, NoMemory, Region};
use allocator_api2::alloc::{AllocError, Allocator};
use core::alloc::Layout;
use core::ptr::NonNull;

type Answer = Result<NonNull<[u8]>, AllocError>;

fn answer(given: Result<NonNull<[u8]>, NoMemory>) -> Answer {
    given.map_err(|NoMemory| AllocError)
}

/// Fills what a block has grown by with zeros.
///
/// # Safety
/// - the block is the caller's, and is longer than `old`.
unsafe fn clear_beyond(old: usize, block: NonNull<[u8]>) {
    let start = block.cast::<u8>().as_ptr().wrapping_add(old);
    // SAFETY: from there to its end.
    unsafe { start.write_bytes(0, block.len().wrapping_sub(old)) };
}

/// Implements the trait by the inherent functions of the same names, which come first where both are named alike.
macro_rules! allocator {
    ($name:ty, $heap:ident) => {
        // SAFETY: stated where the macro is used.
        unsafe impl Allocator for $name {
            #[inline]
            fn allocate(&self, layout: Layout) -> Answer {
                answer($heap::allocate(self, layout))
            }

            #[inline]
            fn allocate_zeroed(&self, layout: Layout) -> Answer {
                answer($heap::allocate_zeroed(self, layout))
            }

            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promise.
                unsafe { $heap::deallocate(self, block, layout) }
            }

            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Answer {
                // SAFETY: the caller's promise.
                answer(unsafe { $heap::resize(self, block, old, new) })
            }

            unsafe fn grow_zeroed(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Answer {
                // SAFETY: the caller's promise.
                let grown = answer(unsafe { $heap::resize(self, block, old, new) })?;
                // SAFETY: just got, and no shorter than before, as the caller promises.
                unsafe { clear_beyond(old.size(), grown) };
                Ok(grown)
            }

            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Answer {
                // SAFETY: the caller's promise.
                answer(unsafe { $heap::resize(self, block, old, new) })
            }
        }
    };
}

allocator! {
    // SAFETY: blocks are disjoint and of the layout asked for, and stay valid until they are given back, also when the heap ends;
    // a clone is a share of the same heap, and moving one moves nothing.
    Heap, Heap
}

allocator! {
    // SAFETY: as above; they end with the region, which the reference keeps from ending.
    &Region, Region
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::CHECKER;
    use allocator_api2::boxed::Box;
    use allocator_api2::vec::Vec;
    use hashbrown::{DefaultHashBuilder, HashMap};

    const COUNT: u32 = if CHECKER { 40 } else { 3000 };

    /// Works on collections whose allocator is `heap`, against what they must hold.
    fn exercise<A: Allocator + Clone>(heap: A) -> HashMap<u32, Vec<u32, A>, DefaultHashBuilder, A> {
        let mut map = HashMap::with_hasher_in(DefaultHashBuilder::default(), heap.clone());
        for number in 0..COUNT {
            map.entry(number % 7).or_insert_with(|| Vec::new_in(heap.clone())).push(number);
        }
        for (rest, numbers) in &mut map {
            numbers.shrink_to_fit();
            assert!(numbers.iter().all(|number| number % 7 == *rest));
            numbers.reserve(100);
            numbers.truncate(3);
        }
        assert_eq!(*Box::new_in(COUNT, heap), COUNT);
        assert_eq!(map.values().map(|numbers| numbers.len()).sum::<usize>(), 21);
        map
    }

    #[test]
    fn collections_live_in_a_heap_and_outlive_it() {
        let heap = Heap::new().unwrap();
        let map = exercise(heap.clone());
        assert!(map.values().all(|numbers| heap.contains(numbers.as_ptr().cast())));
        drop(heap);
        assert_eq!(map.len(), 7);
    }

    #[test]
    fn collections_end_with_their_region_freed_or_not() {
        let region = Region::new().unwrap();
        drop(exercise(&region));
        core::mem::forget(exercise(&region));
        drop(region);
        crate::check_heap().unwrap();
    }

    #[test]
    fn what_grows_zeroed_is_zero_beyond_what_it_was() {
        let heap = Heap::new().unwrap();
        let layout = |size| Layout::from_size_align(size, 8).unwrap();
        let block = Allocator::allocate(&heap, layout(20)).unwrap();
        // SAFETY: the block is this test's.
        unsafe { block.cast::<u8>().as_ptr().write_bytes(9, 20) };
        // SAFETY: as above, of this layout.
        let grown = unsafe { heap.grow_zeroed(block.cast(), layout(20), layout(30)) }.unwrap();
        // SAFETY: as above.
        let bytes = unsafe { grown.as_ref() };
        assert_eq!((&bytes[..20], &bytes[20..]), (&[9; 20][..], &[0; 10][..]));
        // SAFETY: as above.
        unsafe { Allocator::deallocate(&heap, grown.cast(), layout(30)) };
    }
}
