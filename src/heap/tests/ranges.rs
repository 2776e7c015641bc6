//! Freed ranges that serve other large blocks: their guards, their room, and the calls that that takes.

use super::super::{allocate_aligned, free_aligned_sized, free_with_layout};
use super::large::inaccessible;
use super::*;
use crate::options::{self, Setting};
use crate::os;
use crate::testing::{Child, alone};
use std::format;

#[test]
fn a_range_that_has_waited_serves_the_next_block_of_about_its_size_with_two_changes_of_protection() {
    let test = "heap::tests::ranges::a_range_that_has_waited_serves_the_next_block_of_about_its_size_with_two_changes_of_protection";
    alone(test, || {
        options::set(Setting::QuarantineCount, 2);
        options::set(Setting::PurgeDelay, -1);
        options::set(Setting::ClosingRate, 1 << 40);
        for size in [200_000, LARGE_MAX + 1] {
            collect(Collect::Fully);
            // As many as can wait, and one that they push out.
            free_all(many(3, size));
            let before = os::calls();
            for _ in 0..10 {
                Held::of(size).free();
            }
            let after = os::calls();
            let protects = if MITIGATIONS.free_checks { 20 } else { 0 };
            assert_eq!(after.protect - before.protect, protects, "{size}");
            let others = |calls: &os::Calls| [calls.reserve, calls.release, calls.guard, calls.unguard, calls.failed];
            assert_eq!(others(&after), others(&before), "{size}");
            // A block that is to be wiped loses what memory it may have where it is not written to: before, between and behind.
            let purges = 0..=if MITIGATIONS.zero_on_free { 30 } else { 0 };
            assert!(purges.contains(&(after.purge - before.purge)), "{size}: {}", after.purge - before.purge);
        }
    });
}

/// Blocks of 200,000 bytes get the ranges of blocks of 300,000.
fn free_larger_ones() {
    options::set(Setting::QuarantineCount, 2);
    options::set(Setting::PurgeDelay, -1);
    options::set(Setting::ClosingRate, 1 << 40);
    free_all(many(3, 300_000));
}

#[test]
fn a_smaller_block_leaves_the_guards_of_its_range_where_they_are() {
    alone("heap::tests::ranges::a_smaller_block_leaves_the_guards_of_its_range_where_they_are", || {
        if MITIGATIONS.canaries {
            return;
        }
        free_larger_ones();
        let before = os::calls();
        let block = Held::of(200_000);
        let after = os::calls();
        // To wipe it purges, too.
        let purges = |calls: &os::Calls| if MITIGATIONS.zero_on_free { 0 } else { calls.purge };
        let guards = |calls: &os::Calls| [calls.guard, calls.unguard, purges(calls)];
        assert_eq!(guards(&after), guards(&before));
        let room = block.room();
        assert!(room >= 300_000 && is_writable(block.start.as_ptr().wrapping_add(room - 1)));
        inaccessible(block.start.as_ptr().wrapping_add(room), "the byte behind a block");
        block.free();
    });
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn a_layout_is_held_against_what_was_asked_for_and_not_against_the_room_of_the_range() {
    let test = "heap::tests::ranges::a_layout_is_held_against_what_was_asked_for_and_not_against_the_room_of_the_range";
    let wrong = |size: usize| {
        let corpse = Child::of(test).with("TEST_CASE", &format!("{size}"));
        let play = || {
            free_larger_ones();
            for size in [200_000, std::env::var("TEST_CASE").unwrap().parse().unwrap()] {
                free_with_layout(Held::of(200_000).pointer(), size, 8);
            }
        };
        corpse.run(play).died_with(&format!("ravelin: wrong layout (size {size}, alignment 8) in dealloc of "));
    };
    if MITIGATIONS.layout_checks {
        [190_000, 206_000, 300_000].into_iter().for_each(wrong);
    }
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn a_size_that_no_block_can_have_is_no_blocks() {
    if !MITIGATIONS.layout_checks {
        return;
    }
    let corpse = Child::of("heap::tests::ranges::a_size_that_no_block_can_have_is_no_blocks");
    corpse
        .run(|| {
            // Of a block with a wide alignment only a slow check can tell which sizes it may have.
            let block = UserPtr::new(allocate_aligned(3, 1 << 19));
            free_aligned_sized(block, usize::MAX, 8);
        })
        .died_with(&format!("ravelin: wrong layout (size {}, alignment 8) in free of ", usize::MAX));
}

#[test]
fn a_range_is_fitted_to_each_block_that_it_serves() {
    alone("heap::tests::ranges::a_range_is_fitted_to_each_block_that_it_serves", || {
        options::set(Setting::QuarantineCount, 1);
        options::set(Setting::PurgeDelay, -1);
        let sizes = [200_000, 180_000, 201_000, 140_000, 190_000, LARGE_MAX + 1, 2 * LARGE_MAX, LARGE_MAX + 5000];
        let mut places = Vec::new();
        for size in sizes.into_iter().cycle().take(if CHECKER { 16 } else { 80 }) {
            let block = Held::of(size);
            let (start, room) = (block.start.as_ptr(), block.room());
            block.check();
            assert!(is_writable(start.wrapping_add(room - 1)));
            inaccessible(start.wrapping_sub(1), "the byte before a block");
            inaccessible(start.wrapping_add(room), "the byte behind a block");
            inaccessible(start.wrapping_add(room + os::page_size() - 1), "the page behind a block");
            places.push(start.addr());
            block.free();
        }
        let count = places.len();
        places.sort_unstable();
        places.dedup();
        assert!(places.len() < count / 2, "{} places for {count} blocks", places.len());
        is_well();
    });
}
