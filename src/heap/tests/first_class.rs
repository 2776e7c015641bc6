//! Heaps that the program makes: their blocks, their ends, and what is left of them.

use super::super::{
    Fill, HeapHandle, Terms, Visit, Visited, allocate_in, backing, check_owned, contains, default, delete, destroy,
    new, set_default, usable_size, visit,
};
use super::*;
use crate::os::testing::{Birth, Ending, in_child};
use crate::remote::Owner;
use crate::report::Operation;
use crate::testing::{alone, turn};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::thread;

fn heap() -> HeapHandle {
    new().expect("memory")
}

fn of(heap: HeapHandle, size: usize) -> Held {
    let heap = heap.expect_own(Operation::Malloc);
    Held::adopt(allocate_in(heap, size, GRANULE, Terms::of(Fill::Any)), size).expect("memory")
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
    alone("heap::tests::first_class::metadata_is_used_again_and_a_handle_never", || {
        let mut seen = BTreeSet::new();
        for _ in 0..100 {
            let heap = heap();
            assert!(seen.insert(heap.number()));
            destroy(heap);
        }
        let metadata = crate::segment::meta::bytes();
        (0..100).for_each(|_| destroy(heap()));
        assert_eq!(crate::segment::meta::bytes(), metadata);
    });
}

/// Addresses and usable sizes of all blocks of the heap, and how many its areas counted.
fn seen(heap: HeapHandle) -> (BTreeMap<usize, usize>, usize) {
    let (mut blocks, mut counted) = (BTreeMap::new(), 0);
    visit(heap, Visit::Blocks, &mut |shown| {
        match shown {
            Visited::Area(area) => {
                assert!(area.used * area.full_block_size <= area.committed && area.committed <= area.reserved);
                counted += area.used;
            }
            Visited::Block(area, start, size) => {
                assert!(start.addr().get() >= area.blocks.addr());
                assert_eq!(size, usable_size(UserPtr::new(start.as_ptr())));
                assert!(blocks.insert(start.addr().get(), size).is_none(), "shown twice");
            }
        }
        true
    });
    (blocks, counted)
}

#[test]
fn a_visit_shows_every_live_block_of_the_heap_and_no_other() {
    let _turn = turn();
    let heap = heap();
    assert!(!visit(heap, Visit::Blocks, &mut |_| true), "there is no page");
    let others = many(5, 48);
    // Enough for full pages.
    let counts = sizes().iter().map(|&size| (size, if CHECKER { 3 } else { 300_000 / size + 2 }));
    let mut blocks: Vec<Held> = counts.flat_map(|(size, count)| (0..count).map(move |_| of(heap, size))).collect();
    let gone: Vec<Held> = (0..blocks.len() / 3).map(|index| blocks.swap_remove(index)).collect();
    let (remote, own): (Vec<Held>, Vec<Held>) = gone.into_iter().partition(|held| held.address() & 64 == 0);
    free_all(own);
    thread::spawn(move || free_all(remote)).join().unwrap();
    let (shown, counted) = seen(heap);
    assert_eq!(counted, blocks.len());
    assert_eq!(shown.keys().copied().collect::<Vec<_>>(), {
        let mut expected: Vec<usize> = blocks.iter().map(Held::address).collect();
        expected.sort_unstable();
        expected
    });
    let mut areas = 0;
    assert!(!visit(heap, Visit::Areas, &mut |shown| {
        areas += 1;
        matches!(shown, Visited::Block(..))
    }));
    assert_eq!(areas, 1, "a visitor that has seen enough is shown no more");
    destroy(heap);
    free_all(others);
}

#[test]
fn a_visitor_may_free_what_it_is_shown_and_allocate() {
    let _turn = turn();
    let heap = heap();
    let count = if CHECKER { 5 } else { 3000 };
    (0..count).for_each(|_| drop(of(heap, 48)));
    sizes().iter().for_each(|&size| drop(of(heap, size)));
    let mut freed = 0;
    let mut new = Vec::new();
    visit(heap, Visit::Blocks, &mut |shown| {
        if let Visited::Block(_, start, _) = shown {
            free(UserPtr::new(start.as_ptr()));
            freed += 1;
            if freed <= count && freed % 3 == 0 {
                new.push(Held::of(48));
            }
        }
        true
    });
    assert_eq!(freed, count + sizes().len());
    assert_eq!(seen(heap).1, 0);
    destroy(heap);
    free_all(new);
    is_well();
}

#[test]
fn a_visitor_that_ends_the_heap_is_shown_no_other() {
    let _turn = turn();
    let old = heap();
    sizes().iter().for_each(|&size| drop(of(old, size)));
    let mut next = None;
    let mut blocks = 0;
    let all = visit(old, Visit::Blocks, &mut |shown| {
        if matches!(shown, Visited::Block(..)) {
            blocks += 1;
            destroy(old);
            let new = heap();
            sizes().iter().for_each(|&size| drop(of(new, size)));
            next = Some(new);
        }
        true
    });
    assert!(!all && blocks == 1);
    destroy(next.unwrap());
    is_well();
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "makes processes")]
fn the_child_of_a_fork_has_the_forking_threads_heaps_and_no_others() {
    alone("heap::tests::first_class::the_child_of_a_fork_has_the_forking_threads_heaps_and_no_others", || {
        let mine = heap();
        let blocks: Vec<Held> = sizes().iter().flat_map(|&size| (0..3).map(move |_| of(mine, size))).collect();
        let is_over = AtomicBool::new(false);
        let (hand, take) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let theirs = heap();
                let kept: Vec<Held> = sizes().iter().map(|&size| of(theirs, size)).collect();
                hand.send((theirs.number(), kept)).unwrap();
                // The fork finds it anywhere.
                while !is_over.load(Relaxed) {
                    let heap = heap();
                    set_default(heap);
                    for size in [16, 1000, 200_000] {
                        let _ = of(heap, size);
                        Held::of(size).free();
                    }
                    destroy(heap);
                }
            });
            let (theirs, kept) = take.recv().unwrap();
            for _ in 0..20 {
                let ending = in_child(Birth::Fork, || {
                    if HeapHandle::numbered(theirs).find().is_some() || mine.own().is_none() {
                        return 1;
                    }
                    let more: Vec<Held> = sizes().iter().map(|&size| of(mine, size)).collect();
                    for block in kept.iter().chain(&blocks).chain(&more) {
                        block.check();
                        if kept.iter().any(|other| ptr::eq(other, block)) {
                            free(block.pointer());
                        } else if !contains(mine, block.pointer()) {
                            return 2;
                        }
                    }
                    let new = heap();
                    set_default(new);
                    let plain = Held::of(100);
                    if !contains(new, plain.pointer()) || seen(mine).1 != blocks.len() + more.len() {
                        return 3;
                    }
                    delete(new);
                    destroy(mine);
                    plain.free();
                    is_well();
                    0
                });
                assert_eq!(ending, Some(Ending::Exit(0)));
            }
            is_over.store(true, Relaxed);
            free_all(kept);
        });
        free_all(blocks);
        destroy(mine);
        is_well();
    });
}
