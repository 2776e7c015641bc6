//! No memory: for every size null is the answer, what is live stays as it is, and all is well when there is some again.
//!
//! The system refuses everything from a moment on. `tests/memory_limit.rs` does the same with the limits of a real one.

use super::super::{allocate_zeroed, reallocate, reallocate_aligned};
use super::*;
use crate::geometry::{MEDIUM_MAX, SEGMENT, SLICE};
use crate::os::mock::fail_from;
use crate::page::TRAILER;
use crate::testing::{alone, turn};
use core::ptr;
use std::collections::BTreeSet;
use std::thread;

/// More blocks than there can be without the system's help.
const MANY: usize = 1 << 20;

/// Each size in a thread of its own, with a heap that holds a page of another class.
fn for_each(sizes: impl IntoIterator<Item = (usize, usize)>, deed: impl Fn(usize, usize) + Sync) {
    for (size, align) in sizes {
        thread::scope(|scope| {
            scope.spawn(|| {
                let other = Held::of(if size == 32 { 48 } else { 32 });
                deed(size, align);
                other.free();
                is_well();
            });
        });
        collect(Collect::Fully);
    }
}

fn classes() -> impl Iterator<Item = (usize, usize)> {
    Class::all().map(|class| (class.block_size() - TRAILER, GRANULE))
}

/// Sizes of blocks with pages of their own, and of wide alignments.
fn singles() -> impl Iterator<Item = (usize, usize)> {
    let wide = [(48, 2 * SLICE), (5000, 2 << 20)];
    [MEDIUM_MAX + 1, 5 * SLICE, LARGE_MAX, LARGE_MAX + 1, 2 * SEGMENT]
        .map(|size| (size, GRANULE))
        .into_iter()
        .chain(wide)
}

/// All blocks that there are while the system gives nothing more.
fn all_there_are(size: usize, align: usize) -> Vec<Held> {
    let blocks: Vec<Held> = (0..MANY).map_while(|_| Held::try_aligned(size, align)).collect();
    assert!(blocks.len() < MANY);
    assert!(Held::try_aligned(size, align).is_none(), "null, and null again");
    assert!(allocate_zeroed(size.max(MEDIUM_MAX + 1)).is_null());
    blocks
}

#[test]
fn without_memory_every_class_answers_null_and_recovers() {
    alone("heap::tests::exhaustion::without_memory_every_class_answers_null_and_recovers", || {
        for_each(classes(), |size, align| {
            let first = Held::of(size);
            let failing = fail_from(1);
            let mut blocks = all_there_are(size, align);
            check_heap().expect("a sound heap");
            // What is freed meanwhile can be had again, whatever the system says, and be it ever so little. (But only the system opens a
            // page that was given up with a guard behind it.)
            for count in [blocks.len() / 2, blocks.len().min(3)] {
                let freed = blocks.split_off(blocks.len() - count);
                let pages: BTreeSet<_> = blocks.iter().map(|block| ptr::from_ref(block.page())).collect();
                let stays = |block: &&Held| !MITIGATIONS.page_guards || pages.contains(&ptr::from_ref(block.page()));
                let count = freed.iter().filter(stays).count();
                free_all(freed);
                blocks.extend(many(count, size));
                // None as a rule: but where a slice is still open is found by drawing.
                blocks.extend(Held::try_of(size));
            }
            drop(failing);
            blocks.push(Held::of(size));
            free_all(blocks);
            first.free();
        });
    });
}

#[test]
fn without_memory_every_large_size_answers_null_and_recovers() {
    alone("heap::tests::exhaustion::without_memory_every_large_size_answers_null_and_recovers", || {
        for_each(singles(), |size, align| {
            let first = Held::try_aligned(size, align).expect("memory");
            let failing = fail_from(1);
            let blocks = all_there_are(size, align);
            first.check();
            drop(failing);
            Held::try_aligned(size, align).expect("memory").free();
            free_all(blocks);
            first.free();
        });
    });
}

#[test]
fn without_memory_a_block_that_cannot_grow_is_as_it_was() {
    alone("heap::tests::exhaustion::without_memory_a_block_that_cannot_grow_is_as_it_was", || {
        for_each(classes().chain(singles()), |size, align| {
            let block = Held::try_aligned(size, align).expect("memory");
            let failing = fail_from(1);
            // SAFETY: a live block of this thread.
            let grown = unsafe { reallocate(block.pointer(), size + 3 * SEGMENT) };
            assert!(grown.is_null());
            // SAFETY: as above.
            let grown = unsafe { reallocate_aligned(block.pointer(), size, 4 * SEGMENT) };
            assert!(grown.is_null() || grown.addr() == block.address());
            block.check();
            drop(failing);
            block.free();
        });
    });
}

#[test]
fn a_free_needs_nothing_from_the_system() {
    alone("heap::tests::exhaustion::a_free_needs_nothing_from_the_system", || {
        for_each([(0, 0)], |_, _| {
            let blocks: Vec<Held> =
                classes().chain(singles()).filter_map(|(size, align)| Held::try_aligned(size, align)).collect();
            let theirs = thread::spawn(|| many(20, 48)).join().unwrap();
            let failing = fail_from(1);
            free_all(blocks);
            free_all(theirs);
            collect(Collect::Fully);
            check_heap().expect("a sound heap");
            drop(failing);
        });
    });
}

#[test]
fn sizes_that_no_address_space_holds_are_refused_before_the_system_is_asked() {
    let _turn = turn();
    for size in [isize::MAX as usize, isize::MAX as usize - 4096, usize::MAX, usize::MAX - 100] {
        assert!(Held::try_of(size).is_none());
        assert!(Held::try_aligned(size, 1 << 21).is_none());
        assert!(Held::try_aligned(100, 1 << 63).is_none());
        assert!(allocate_zeroed(size).is_null());
    }
    is_well();
}
