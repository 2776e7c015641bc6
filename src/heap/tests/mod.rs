//! Tests of the heap as a whole: pages, segments and threads together.
//!
//! | file | what must hold |
//! |---|---|
//! | `under_miri` | threads allocate, hand over, free, end and adopt without a race or a pointer out of nowhere |
//! | `pages` | a page's way: full, roomy, empty, kept for a while, given up |
//! | `threads` | pages of ended threads are found, adopted, collected |
//! | `large` | large and huge blocks: guards, quarantine, purge, resizing |
//! | `ranges` | freed ranges that serve other large blocks: guards, room, calls |
//! | `first_class` | heaps that the program makes, deletes and destroys |
//! | `sampled` | blocks that stand alone between guards: faults, reports, handlers, coverage |
//! | `forks` | what other threads were in the middle of when the process forked |
//! | `arenas` | memory that the program brings or has reserved, and heaps that live there |
//! | `many_heaps` | sequences over several heaps in several threads, against a shadow (proptest) |
//! | `misuse` | heaps that are dead, another thread's or destroyed, and used all the same |
//! | `resize` | huge blocks that grow: their pages move, and the old addresses are as those of a freed block |
//! | `voids` | blocks of no bytes: nothing to access, and everything else as with any block |
//! | `wiping` | how much of a freed block is wiped, where an option limits it |
//! | `skew` | blocks that are aligned at an offset |
//! | `exhaustion` | no memory for any size: null, and all as before when there is some again (on the mock) |
//! | `injection` | each system call failing in turn: null or success, and all as before (on the mock) |
//!
//! Every test holds its blocks as [`Held`]: written when got, checked when given back.

mod arenas;
mod canaries;
#[cfg(all(ravelin_mock, not(miri)))]
mod exhaustion;
mod first_class;
#[cfg(not(any(miri, ravelin_mock)))]
mod forks;
#[cfg(all(ravelin_mock, not(miri)))]
mod injection;
mod large;
mod many_heaps;
mod misuse;
mod pages;
mod partition;
mod ranges;
mod resize;
#[cfg(not(any(miri, ravelin_mock)))]
mod sampled;
mod skew;
mod threads;
mod under_miri;
mod voids;
mod wiping;

use super::{Collect, Thread, allocate_aligned, check_heap, collect, free};
use crate::geometry::{Class, GRANULE, Granule, LARGE_MAX, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::os::testing::is_writable;
use crate::page::{Page, padded};
use crate::segment::{Segment, map};
use crate::sync::CHECKER;
use core::ptr::NonNull;
use std::vec::Vec;

/// Whether protections are bookkeeping.
const MOCK: bool = cfg!(any(miri, ravelin_mock));

/// A block with known contents.
#[derive(Debug)]
#[must_use]
struct Held {
    start: NonNull<u8>,
    size: usize,
    mark: u64,
}

// SAFETY: a block is its holder's, whatever the thread; that this is so is what the tests are for.
unsafe impl Send for Held {}

impl Held {
    /// A block, if there is memory.
    fn try_aligned(size: usize, align: usize) -> Option<Held> {
        Held::adopt(allocate_aligned(size, align), size)
    }

    /// Takes what an allocation has answered.
    fn adopt(start: *mut u8, size: usize) -> Option<Held> {
        let start = NonNull::new(start)?;
        if MOCK && size != 0 {
            // Nothing faults there: the books must be asked.
            let last = start.as_ptr().wrapping_add(size.saturating_sub(1));
            assert!(is_writable(start.as_ptr()) && is_writable(last), "{start:?} of {size} is inaccessible");
        }
        let held = Held { start, size, mark: (start.addr().get() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 };
        for offset in held.words() {
            // SAFETY: a word of this block.
            unsafe { held.place(offset).write(held.word(offset)) };
        }
        Some(held)
    }

    fn try_of(size: usize) -> Option<Held> {
        Held::try_aligned(size, GRANULE)
    }

    fn of(size: usize) -> Held {
        Held::try_of(size).expect("memory")
    }

    /// Where the words are that are written: the first, one in the middle, the last. Whole words, because Miri cannot follow
    /// memory of which a part was last written atomically, as the allocator writes links, and a part not.
    fn words(&self) -> impl Iterator<Item = usize> + use<> {
        let whole = self.size & !7;
        [0, (whole / 2) & !7, whole.saturating_sub(8)].into_iter().filter(move |offset| offset + 8 <= whole)
    }

    fn place(&self, offset: usize) -> *mut u64 {
        self.start.as_ptr().wrapping_add(offset).cast()
    }

    fn word(&self, offset: usize) -> u64 {
        self.mark.wrapping_mul(offset as u64 | 1)
    }

    /// What the block has room for, its canary included.
    fn room(&self) -> usize {
        self.page().face.block_size()
    }

    fn check(&self) {
        self.begins_as_written(self.size);
    }

    /// The first `upto` bytes are as they were written.
    fn begins_as_written(&self, upto: usize) {
        for offset in self.words().filter(|&offset| offset < upto) {
            // SAFETY: a word of this block.
            assert_eq!(unsafe { self.place(offset).read() }, self.word(offset), "offset {offset} of {self:?}");
        }
    }

    fn pointer(&self) -> UserPtr {
        UserPtr::new(self.start.as_ptr())
    }

    fn address(&self) -> usize {
        self.start.addr().get()
    }

    fn segment(&self) -> &'static Segment {
        map::find(self.pointer()).expect("a live block is in a segment").0
    }

    fn page(&self) -> &'static Page {
        self.segment().page_of(Granule::of(self.pointer().address()))
    }

    fn free(self) {
        self.check();
        free(self.pointer());
    }

    /// Frees it without a look at what it holds.
    fn free_unchecked(self) {
        free(self.pointer());
    }
}

/// As many blocks.
fn many(count: usize, size: usize) -> Vec<Held> {
    (0..count).map(|_| Held::of(size)).collect()
}

fn free_all(blocks: impl IntoIterator<Item = Held>) {
    blocks.into_iter().for_each(Held::free);
}

fn thread() -> &'static Thread {
    Thread::current().expect("this thread has allocated")
}

/// The class of the blocks for requests of this size.
fn class_for(size: usize) -> Class {
    Class::of(padded(size)).expect("a class")
}

/// The calling thread's freed blocks do not wait.
fn not_waiting() {
    if MITIGATIONS.quarantine
        && let Some(thread) = Thread::current_or_new()
    {
        thread.quarantine.set_budget(0);
    }
}

/// Blocks of a size that a page has room for.
fn page_holds(size: usize) -> usize {
    let class = class_for(size);
    (class.page_slices() * crate::geometry::SLICE - crate::page::end_guard()) / class.block_size()
}

/// The heap is sound, and does everything that a heap does.
fn is_well() {
    check_heap().expect("a sound heap");
    // Each page and each large block costs Miri a second.
    let sizes: &[usize] = if CHECKER { &[48] } else { &[8, 48, 1000, 5000, 100_000, 200_000, LARGE_MAX + 1] };
    free_all(sizes.iter().map(|&size| Held::of(size)));
    collect(Collect::Gently);
    check_heap().expect("a sound heap");
}
