//! Blocks of no bytes: there is nothing to read or write, and everything else is as with any block.

use super::super::{
    Fill, Terms, Visit, Visited, allocate, allocate_in, allocate_zeroed, backing, contains, destroy, free_by_operator,
    free_with_layout, new, reallocate, usable_size, visit,
};
use super::*;
use crate::os::testing::{Birth, Ending, in_child, is_readable};
use crate::page::{Kind, Origin, VOID_PLACES, VOIDS};
use crate::report::Operation;
use crate::segment::Tally;
use crate::testing::{Child, alone};
use std::collections::BTreeSet;
use std::thread;

/// So many take two pages.
const MANY: usize = if CHECKER { 40 } else { VOID_PLACES as usize };

fn void() -> Held {
    Held::adopt(allocate(0), 0).expect("memory")
}

fn is_void(held: &Held) -> bool {
    held.page().face.kind() == Kind::Voids
}

fn pages_of_voids() -> usize {
    crate::segment::segments().flat_map(Segment::pages).filter(|page| page.face.kind() == Kind::Voids).count()
}

#[test]
fn blocks_of_no_bytes_are_many_apart_aligned_and_nowhere_accessible() {
    let blocks: Vec<Held> = (0..MANY).map(|_| void()).collect();
    let places: BTreeSet<usize> = blocks.iter().map(Held::address).collect();
    assert_eq!(places.len(), MANY);
    assert!(blocks.iter().all(|held| held.address() % GRANULE == 0 && is_void(held) == VOIDS));
    if VOIDS {
        assert!(!is_readable(blocks[0].start.as_ptr()) && !is_writable(blocks[1].start.as_ptr()));
        assert!(blocks.iter().all(|held| usable_size(held.pointer()) == 0));
    }
    check_heap().expect("a sound heap");
    free_all(blocks);
    for align in (0..17).map(|shift| 1 << shift) {
        let held = Held::try_aligned(0, align).expect("memory");
        assert_eq!(held.address() % align, 0, "{align}");
        held.free();
    }
    let zeroed = Held::adopt(allocate_zeroed(0), 0).expect("memory");
    assert_eq!(is_void(&zeroed), VOIDS);
    zeroed.free();
}

#[test]
fn a_block_grows_out_of_nothing() {
    let old = void();
    // SAFETY: the test's own block.
    let new = unsafe { reallocate(old.pointer(), 100) };
    let new = Held::adopt(new, 100).expect("memory");
    assert_ne!(new.address(), old.address());
    new.free();
}

#[test]
fn pages_without_a_block_are_given_back_but_for_the_one_that_is_next() {
    alone("heap::tests::voids::pages_without_a_block_are_given_back_but_for_the_one_that_is_next", || {
        let before = Tally::take().all().blocks;
        let blocks: Vec<Held> = (0..MANY * 3).map(|_| void()).collect();
        assert_eq!(Tally::take().all().blocks, before + blocks.len());
        let many = pages_of_voids();
        assert!(!VOIDS || CHECKER || many >= 4);
        free_all(blocks);
        assert!(pages_of_voids() <= 1, "of {many}");
        assert!(check_heap().is_ok());
    });
}

#[test]
fn a_thread_leaves_its_blocks_to_whoever_frees_them() {
    alone("heap::tests::voids::a_thread_leaves_its_blocks_to_whoever_frees_them", || {
        let left: Vec<Held> = thread::spawn(|| {
            let (kept, freed): (Vec<_>, Vec<_>) =
                (0..MANY).map(|number| (number, void())).partition(|(n, _)| n % 2 == 0);
            free_all(freed.into_iter().map(|(_, held)| held));
            kept.into_iter().map(|(_, held)| held).collect()
        })
        .join()
        .expect("a thread");
        free_all(left);
        assert!(pages_of_voids() <= 1);
        thread::spawn(|| void().free()).join().expect("a thread");
        assert!(pages_of_voids() <= 1, "an ended thread leaves no empty page");
    });
}

#[test]
fn a_heap_shows_its_blocks_of_no_bytes_and_ends_with_them() {
    let heap = new().expect("memory");
    let of_heap = || Held::adopt(allocate_in(heap.expect_own(Operation::Malloc), 0, GRANULE, Terms::of(Fill::Any)), 0);
    let blocks: BTreeSet<usize> = (0..20).map(|_| of_heap().expect("memory").address()).collect();
    let other = void();
    let mut seen = BTreeSet::new();
    visit(heap, Visit::Blocks, &mut |visited| {
        if let Visited::Block(_, start, size) = visited {
            seen.insert(start.addr().get());
            assert!(!VOIDS || size == 0);
        }
        true
    });
    assert_eq!(seen, blocks);
    assert!(!contains(heap, other.pointer()) && contains(backing().expect("memory"), other.pointer()));
    let one = of_heap().expect("memory");
    assert!(contains(heap, one.pointer()));
    destroy(heap);
    other.free();
    check_heap().expect("a sound heap");
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn the_child_of_a_fork_has_them_too() {
    let blocks: Vec<Held> = (0..100).map(|_| void()).collect();
    let ending = in_child(Birth::Fork, || {
        for held in &blocks {
            free(held.pointer());
        }
        free_all((0..100).map(|_| void()));
        i32::from(check_heap().is_err())
    });
    assert_eq!(ending, Some(Ending::Exit(0)));
    free_all(blocks);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn a_misuse_of_a_block_of_no_bytes_is_told_like_any_other() {
    type Misuse = (&'static str, bool, fn());
    const MISUSES: [Misuse; 9] = [
        ("double free of 0x", true, || {
            let held = void();
            free(held.pointer());
            free(held.pointer());
        }),
        ("double free of 0x", true, || {
            let held = void();
            let again = held.pointer();
            thread::spawn(move || held.free()).join().expect("a thread");
            free(again);
        }),
        ("double free of 0x", true, || {
            let held = thread::spawn(void).join().expect("a thread");
            free(held.pointer());
            free(held.pointer());
        }),
        ("invalid free (never allocated) of 0x", true, || {
            let held = void();
            let next = held.page().face.start().wrapping_add((held.address() + GRANULE) % crate::geometry::SLICE);
            free(UserPtr::new(next));
        }),
        ("invalid free (misaligned pointer) of 0x", true, || free(UserPtr::new(void().start.as_ptr().wrapping_add(1)))),
        ("use after free in realloc of 0x", true, || {
            let held = void();
            free(held.pointer());
            // SAFETY: none: that is the misuse.
            let _ = unsafe { reallocate(held.pointer(), 10) };
        }),
        ("wrong layout (size 1, alignment 1) in dealloc of 0x", MITIGATIONS.layout_checks, || {
            free_with_layout(void().pointer(), 1, 1);
        }),
        ("mismatched deallocation", MITIGATIONS.origin_checks, || {
            let held =
                Held::adopt(super::super::allocate_on(0, Terms::of_operator(Origin::NEW_ARRAY)), 0).expect("memory");
            free_by_operator(held.pointer(), Origin::NEW, None);
        }),
        ("wrong size", MITIGATIONS.canaries, || super::super::free_sized(void().pointer(), 8)),
    ];
    for (number, (words, is_promised, deed)) in MISUSES.into_iter().enumerate() {
        const CASE: &str = "TEST_CASE";
        let own = std::env::var(CASE).ok();
        if !(VOIDS && is_promised) || own.is_some_and(|own| own != std::format!("{number}")) {
            continue;
        }
        Child::of("heap::tests::voids::a_misuse_of_a_block_of_no_bytes_is_told_like_any_other")
            .with(CASE, &std::format!("{number}"))
            .run(deed)
            .died_with(&std::format!("ravelin: {words}"));
    }
}
