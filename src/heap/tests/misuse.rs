//! Misuse of heaps, each in a process of its own: the guilty call dies, with a report of its kind.

use super::super::{
    Fill, HeapHandle, Terms, Visit, allocate_in, backing, check_owned, contains, delete, destroy, new, set_default,
    visit,
};
use super::*;
use crate::geometry::{SEGMENT, SLICE};
use crate::mitigations::MITIGATIONS;
use crate::report::Operation;
use crate::sync::{AtomicPtr, Relaxed};
use crate::testing::Child;
use std::format;
use std::string::String;
use std::thread;

/// A call that demands the heap's own thread.
const DEMANDS: [(&str, fn(HeapHandle)); 7] = [
    ("malloc", |heap| {
        heap.expect_own(Operation::Malloc);
    }),
    ("realloc", |heap| {
        heap.expect_own(Operation::Realloc);
    }),
    ("collect", |heap| super::super::collect_heap(heap, Collect::Gently)),
    ("heap_set_default", |heap| {
        set_default(heap);
    }),
    ("heap_delete", delete),
    ("heap_destroy", destroy),
    ("heap_visit", |heap| {
        visit(heap, Visit::Areas, &mut |_| true);
    }),
];

/// Plays the case whose number the parent has put into the environment. The parent plays none, but starts a child for each.
fn each(test: &'static str, cases: usize, play: impl Fn(usize), words: impl Fn(usize) -> String) {
    const CASE: &str = "TEST_CASE";
    let own = std::env::var(CASE).ok().and_then(|case| case.parse().ok());
    for case in own.map_or(0..cases, |case: usize| case..case + 1) {
        Child::of(test).with(CASE, &format!("{case}")).run(|| play(case)).died_with(&words(case));
    }
}

fn heap() -> HeapHandle {
    new().expect("memory")
}

fn in_another_thread(work: impl FnOnce() + Send) {
    thread::scope(|scope| drop(scope.spawn(work).join()));
}

/// A handle is not `Send`: whoever hands it on anyway does what C programs do.
fn smuggled(heap: HeapHandle) -> impl Fn() -> HeapHandle + Send + Sync {
    let number = heap.number();
    move || HeapHandle::numbered(number)
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn a_dead_heap_is_refused_by_every_call() {
    let ends: [fn() -> HeapHandle; 4] = [
        || {
            let heap = heap();
            delete(heap);
            heap
        },
        || {
            let heap = heap();
            destroy(heap);
            // Its metadata is another heap's by now.
            let _next = self::heap();
            heap
        },
        || HeapHandle::numbered(thread::spawn(|| heap().number()).join().unwrap()),
        // Nobody's: a number, an address, one of a heap that is yet to come.
        || HeapHandle::numbered(heap().number() + (1 << 20)),
    ];
    each(
        "heap::tests::misuse::a_dead_heap_is_refused_by_every_call",
        ends.len() * DEMANDS.len(),
        |case| DEMANDS[case % DEMANDS.len()].1(ends[case / DEMANDS.len()]()),
        |case| format!("ravelin: dead heap in {} with handle 0x", DEMANDS[case % DEMANDS.len()].0),
    );
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn a_heap_of_another_thread_is_refused_where_its_own_is_demanded() {
    each(
        "heap::tests::misuse::a_heap_of_another_thread_is_refused_where_its_own_is_demanded",
        2 * DEMANDS.len(),
        |case| {
            let heap = smuggled(if case < DEMANDS.len() { heap() } else { backing().unwrap() });
            in_another_thread(|| DEMANDS[case % DEMANDS.len()].1(heap()));
        },
        |case| format!("ravelin: foreign heap in {} with handle 0x", DEMANDS[case % DEMANDS.len()].0),
    );
}

#[test]
fn any_thread_may_ask_what_a_heap_contains() {
    let heap = heap();
    let start = allocate_in(heap.expect_own(Operation::Malloc), 100, GRANULE, Terms::of(Fill::Any));
    let (heap, start) = (smuggled(heap), AtomicPtr::new(start));
    in_another_thread(|| {
        let pointer = UserPtr::new(start.load(Relaxed));
        assert!(contains(heap(), pointer) && check_owned(heap(), pointer));
    });
    destroy(heap());
}

/// B16 of the corpus.
#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn b16_a_block_of_a_destroyed_heap_is_freed_twice() {
    if !MITIGATIONS.free_checks {
        return;
    }
    const SIZES: [usize; 6] = [16, 48, 1000, 20_000, 200_000, LARGE_MAX + 1];
    let blocks = |size: usize| {
        let heap = heap();
        let own = heap.expect_own(Operation::Malloc);
        // Freed huge blocks wait only as long as there is room for their addresses.
        let count = if size > LARGE_MAX { 1 } else { 20 };
        let blocks: Vec<usize> =
            (0..count).map(|_| allocate_in(own, size, GRANULE, Terms::of(Fill::Any)).expose_provenance()).collect();
        destroy(heap);
        blocks
    };
    let pointer = |address: &usize| UserPtr::new(core::ptr::with_exposed_provenance_mut(*address));
    each(
        "heap::tests::misuse::b16_a_block_of_a_destroyed_heap_is_freed_twice",
        2 * SIZES.len(),
        |case| {
            let blocks = blocks(SIZES[case / 2]);
            let freed = || free(pointer(&blocks[blocks.len() / 3]));
            if case % 2 == 0 { freed() } else { in_another_thread(freed) }
        },
        |_| "ravelin: double free of 0x".into(),
    );
}

/// A free by another thread that comes before the end of the heap is one that returned: a second one dies there and then.
#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn a_block_that_another_thread_has_freed_is_not_freed_again_by_the_heaps_end() {
    each(
        "heap::tests::misuse::a_block_that_another_thread_has_freed_is_not_freed_again_by_the_heaps_end",
        usize::from(MITIGATIONS.free_checks),
        |_| {
            let heap = heap();
            let start = allocate_in(heap.expect_own(Operation::Malloc), 48, GRANULE, Terms::of(Fill::Any));
            let address = start.expose_provenance();
            let pointer = || UserPtr::new(core::ptr::with_exposed_provenance_mut(address));
            in_another_thread(|| free(pointer()));
            destroy(heap);
            free(pointer());
        },
        |_| "ravelin: double free of 0x".into(),
    );
}

/// Descriptions of mappings are used again, and the slices of the old one are not those of the new.
#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn a_pointer_into_a_huge_block_is_told_as_one_whatever_its_description_described_before() {
    each(
        "heap::tests::misuse::a_pointer_into_a_huge_block_is_told_as_one_whatever_its_description_described_before",
        usize::from(MITIGATIONS.free_checks),
        |_| {
            const WINDOW: usize = 2 << 20;
            free(UserPtr::new(allocate_aligned(4096, WINDOW)));
            collect(Collect::Fully);
            let block = allocate_aligned(3 << 20, 2 * SLICE);
            let inside = (block.addr() & !(SEGMENT - 1)) + WINDOW + SLICE / 2;
            assert!((block.addr()..block.addr() + (3 << 20)).contains(&inside));
            free(UserPtr::new(block.with_addr(inside)));
        },
        |_| "ravelin: invalid free (interior pointer) of 0x".into(),
    );
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn a_heap_destroyed_twice_is_dead_the_second_time() {
    Child::of("heap::tests::misuse::a_heap_destroyed_twice_is_dead_the_second_time")
        .run(|| {
            let heap = heap();
            destroy(heap);
            destroy(heap);
        })
        .died_with("ravelin: dead heap in heap_destroy with handle 0x");
}
