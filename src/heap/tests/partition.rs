//! Blocks that can hold no pointer, and those that can.

use super::super::{Fill, Terms, allocate_aligned_on, free_with_layout, reallocate, reallocate_with_layout};
use super::*;
use crate::geometry::SEGMENT;
use crate::page::VOIDS;
use crate::segment::Zone;
use crate::sync::{AtomicPtr, Relaxed};
use crate::testing::alone;
use std::collections::BTreeSet;
use std::thread;

const SIZES: [usize; 5] = [1, 48, 3000, 200_000, LARGE_MAX + 1];

fn of_layout(size: usize, align: usize) -> *mut u8 {
    let block = allocate_aligned_on(size, align, Terms::of_layout(Fill::Any, align));
    assert!(!block.is_null());
    block
}

fn zone_of(block: *mut u8) -> Zone {
    map::find(UserPtr::new(block)).expect("a block").0.zone()
}

/// Where blocks lie that can hold no pointer.
fn apart() -> Zone {
    if MITIGATIONS.partition { Zone::Data } else { Zone::General }
}

#[test]
fn the_alignment_says_where_a_block_lies() {
    alone("heap::tests::partition::the_alignment_says_where_a_block_lies", || {
        for size in SIZES {
            for (align, zone) in [(1, apart()), (2, apart()), (4, apart()), (8, Zone::General), (64, Zone::General)] {
                let block = of_layout(size, align);
                assert_eq!(zone_of(block), zone, "{size} aligned to {align}");
                free_with_layout(UserPtr::new(block), size, align);
            }
        }
        is_well();
    });
}

#[test]
#[cfg_attr(miri, ignore = "Miri itself panics: 'cannot have empty store buffer when previous write was atomic'")]
fn a_block_stays_in_its_zone_when_it_is_reallocated() {
    alone("heap::tests::partition::a_block_stays_in_its_zone_when_it_is_reallocated", || {
        for (from, to) in SIZES.into_iter().flat_map(|from| SIZES.map(|to| (from, to))) {
            for (align, zone) in [(1, apart()), (8, Zone::General)] {
                let block = of_layout(from, align);
                // SAFETY: a live block of this thread.
                let block = unsafe { reallocate_with_layout(None, UserPtr::new(block), from, align, to) };
                assert_eq!(zone_of(block), zone, "{from} to {to} aligned to {align}");
                free_with_layout(UserPtr::new(block), to, align);
            }
            let block = super::super::allocate_on(from, Terms::of_data(Fill::Any));
            // SAFETY: as above.
            let block = unsafe { reallocate(UserPtr::new(block), to) };
            assert_eq!(zone_of(block), apart(), "{from} to {to}, by C");
            free(UserPtr::new(block));
        }
        is_well();
    });
}

#[test]
fn what_was_asked_for_without_bytes_gets_them_in_its_zone() {
    alone("heap::tests::partition::what_was_asked_for_without_bytes_gets_them_in_its_zone", || {
        // Only builds with canaries have a place to note what a block of no bytes was asked for as.
        let zone = if VOIDS && !MITIGATIONS.canaries { Zone::General } else { apart() };
        for to in SIZES {
            let block = super::super::allocate_on(0, Terms::of_data(Fill::Any));
            // SAFETY: a live block of this thread.
            let block = unsafe { reallocate(UserPtr::new(block), to) };
            assert_eq!(zone_of(block), zone, "0 to {to}");
            // SAFETY: as above.
            let block = unsafe { reallocate(UserPtr::new(block), 0) };
            // SAFETY: as above.
            let block = unsafe { reallocate(UserPtr::new(block), 48) };
            assert_eq!(zone_of(block), zone, "{to} to 0 to 48");
            free(UserPtr::new(block));
        }
        is_well();
    });
}

#[test]
fn bytes_never_lie_where_pointers_have_lain() {
    alone("heap::tests::partition::bytes_never_lie_where_pointers_have_lain", || {
        let round = |align: usize| {
            let work = move || {
                let sizes = SIZES.into_iter().flat_map(|size| [size; 40].into_iter().take(2_000_000 / size));
                let blocks: Vec<(*mut u8, usize)> = sizes.map(|size| (of_layout(size, align), size)).collect();
                let ends = blocks.iter().flat_map(|&(block, size)| [block.addr(), block.addr() + size]);
                let places: BTreeSet<usize> = ends.map(|end| end / SEGMENT).collect();
                for (block, size) in blocks {
                    free_with_layout(UserPtr::new(block), size, align);
                }
                places
            };
            // By turns in this thread and in one that ends.
            let mut places = work();
            places.extend(thread::spawn(work).join().expect("no panic"));
            places
        };
        let (mut pointers, mut bytes) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..if CHECKER { 1 } else { 6 } {
            pointers.extend(round(8));
            collect(Collect::Gently);
            bytes.extend(round(1));
        }
        assert_eq!(pointers.is_disjoint(&bytes), MITIGATIONS.partition);
        is_well();
    });
}

#[test]
fn abandoned_pages_are_adopted_in_their_zone() {
    alone("heap::tests::partition::abandoned_pages_are_adopted_in_their_zone", || {
        let made = |align| {
            let work = move || AtomicPtr::new(of_layout(700, align));
            thread::spawn(work).join().expect("no panic").load(Relaxed)
        };
        let (data, other) = (made(1), made(8));
        // A thread that frees into the pages keeps those of either zone, or leaves them.
        let (more_data, more_other) = (of_layout(700, 1), of_layout(700, 8));
        assert_eq!((zone_of(more_data), zone_of(more_other)), (apart(), Zone::General));
        for (block, align) in [(data, 1), (other, 8), (more_data, 1), (more_other, 8)] {
            free_with_layout(UserPtr::new(block), 700, align);
        }
        is_well();
    });
}
