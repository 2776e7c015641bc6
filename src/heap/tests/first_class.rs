//! Heaps that the program makes: their blocks, their ends, and what is left of them.

use super::super::{
    Fill, HeapHandle, allocate_in, backing, check_owned, contains, default, delete, destroy, new, set_default,
};
use super::*;
use crate::remote::Owner;
use crate::report::Operation;
use crate::testing::turn;
use core::ptr;
use std::thread;

fn heap() -> HeapHandle {
    new().expect("memory")
}

fn of(heap: HeapHandle, size: usize) -> Held {
    let heap = heap.expect_own(Operation::Malloc);
    Held::adopt(allocate_in(heap, size, GRANULE, Fill::Any), size).expect("memory")
}

/// Sizes of every kind of page: small, medium, large, huge.
const SIZES: [usize; 6] = [16, 48, 1000, 20_000, 200_000, LARGE_MAX + 1];

fn sizes() -> &'static [usize] {
    if CHECKER { &SIZES[1..5] } else { &SIZES }
}

#[test]
fn a_heap_has_its_own_pages_and_malloc_does_not_take_them() {
    let heap = heap();
    for &size in sizes() {
        let (mine, other) = (of(heap, size), Held::of(size));
        assert!(contains(heap, mine.pointer()) && !contains(heap, other.pointer()), "{size}");
        assert!(!ptr::eq(mine.page(), other.page()));
        let inside = UserPtr::new(mine.start.as_ptr().wrapping_add(5));
        assert!(check_owned(heap, inside) && !contains(heap, inside));
        mine.free();
        other.free();
    }
    destroy(heap);
}

#[test]
fn deleting_a_heap_keeps_its_blocks() {
    let _turn = turn();
    let first = backing().expect("memory");
    let heap = heap();
    let blocks: Vec<Held> = sizes().iter().map(|&size| of(heap, size)).collect();
    delete(heap);
    assert!(heap.find().is_none());
    for block in blocks {
        block.check();
        assert!(contains(first, block.pointer()));
        block.free();
    }
    is_well();
}

#[test]
fn destroying_a_heap_frees_all_its_blocks() {
    let _turn = turn();
    let heap = heap();
    let blocks: Vec<Held> = sizes().iter().flat_map(|&size| (0..10).map(move |_| of(heap, size))).collect();
    let pages: Vec<_> = blocks.iter().map(Held::page).collect();
    destroy(heap);
    assert!(heap.find().is_none());
    for page in pages {
        assert_eq!(page.face.owner.load(), Owner::Nobody);
    }
    for block in blocks {
        assert!(!super::super::owns(block.pointer()) || !crate::mitigations::MITIGATIONS.free_checks);
    }
    is_well();
}

#[test]
fn what_others_have_freed_does_not_disturb_the_end_of_a_heap() {
    let _turn = turn();
    for dies in [false, true] {
        let heap = heap();
        let mut blocks: Vec<Held> = sizes().iter().flat_map(|&size| (0..6).map(move |_| of(heap, size))).collect();
        let others = blocks.split_off(blocks.len() / 2);
        thread::spawn(move || free_all(others)).join().unwrap();
        if dies {
            destroy(heap);
        } else {
            delete(heap);
            free_all(blocks);
        }
        is_well();
    }
}

#[test]
fn the_default_heap_is_what_malloc_takes_until_it_ends() {
    thread::spawn(|| {
        let first = backing().expect("memory");
        assert_eq!(default(), Some(first));
        let heap = heap();
        assert_eq!(set_default(heap), Some(first));
        let block = Held::of(48);
        assert!(contains(heap, block.pointer()) && default() == Some(heap));
        block.free();
        destroy(heap);
        assert_eq!(default(), Some(first));
        let block = Held::of(48);
        assert!(contains(first, block.pointer()));
        block.free();
        // The first heap outlives both of its ends.
        let block = Held::of(48);
        destroy(first);
        delete(first);
        block.free();
        assert_eq!(default(), Some(first));
    })
    .join()
    .unwrap();
}

#[test]
fn a_thread_that_ends_leaves_the_live_blocks_of_its_heaps_and_no_heap() {
    let _turn = turn();
    let (blocks, heap) = thread::spawn(|| {
        let heap = heap();
        set_default(heap);
        (sizes().iter().flat_map(|&size| [of(heap, size), Held::of(size)]).collect::<Vec<_>>(), heap.number())
    })
    .join()
    .unwrap();
    assert!(HeapHandle::numbered(heap).find().is_none());
    free_all(blocks);
    is_well();
}

#[test]
fn metadata_is_used_again_and_a_handle_never() {
    let _turn = turn();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let heap = heap();
        assert!(seen.insert(heap.number()));
        destroy(heap);
    }
    let metadata = crate::segment::meta::bytes();
    (0..100).for_each(|_| destroy(heap()));
    assert_eq!(crate::segment::meta::bytes(), metadata);
}
