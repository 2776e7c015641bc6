//! Large and huge blocks: what lies around them, what becomes of them, and when their memory goes back.

use super::super::{allocate_zeroed, reallocate, usable_size};
use super::*;
use crate::geometry::{MEDIUM_MAX, SEGMENT, SLICE, SLICES};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os;
use crate::os::testing::is_readable;
use crate::segment::{self, Role};
use crate::testing::{alone, turn};
use core::time::Duration;
use std::thread;
use std::time::Instant;

/// Blocks with a page of their own, of every way to make one.
fn shapes() -> impl Iterator<Item = (usize, usize)> {
    let sizes = [MEDIUM_MAX + 1, 3 * SLICE - 5, LARGE_MAX, LARGE_MAX + 1, 2 * SEGMENT + 9].map(|size| (size, GRANULE));
    sizes.into_iter().chain([(100, 2 * SLICE), (5000, 4096 * 32), (300_000, 2 << 20)])
}

pub(super) fn inaccessible(place: *mut u8, what: &str) {
    assert!(!is_readable(place), "{what} at {place:?} can be read");
}

/// Lets time pass.
#[cfg(any(miri, ravelin_mock))]
fn pass(milliseconds: u64) {
    os::mock::advance_clock(milliseconds);
}
#[cfg(not(any(miri, ravelin_mock)))]
fn pass(milliseconds: u64) {
    // The kernel's coarse clock ticks every few milliseconds.
    std::thread::sleep(core::time::Duration::from_millis(milliseconds + 10));
}

/// A block of each shape, between inaccessible pages while it lives, and inaccessible as soon as it is freed.
fn every_shape_is_guarded() {
    options::set(Setting::ClosingRate, 1 << 40);
    for (size, align) in shapes() {
        let block = Held::try_aligned(size, align).expect("memory");
        let start = block.start.as_ptr();
        let room = block.room();
        // A block may have an eighth more, and all the room that an earlier one had there.
        let is_exact = MITIGATIONS.canaries || (MITIGATIONS.free_checks && size > 4 << 20);
        let slack = if is_exact { os::page_size() } else { os::page_size().max(4 * size) };
        assert!(room >= padded(size) && room - padded(size) < slack);
        assert_eq!(block.address() % align, 0);
        inaccessible(start.wrapping_sub(1), "the byte before a block");
        inaccessible(start.wrapping_add(room), "the byte behind a block");
        inaccessible(start.wrapping_add(room + os::page_size() - 1), "the page behind a block");
        assert!(is_writable(start.wrapping_add(room - 1)));
        block.free();
        if MITIGATIONS.free_checks {
            for offset in [0, room / 2, room - 1] {
                inaccessible(start.wrapping_add(offset), "a freed block");
            }
        }
    }
}

#[test]
fn a_large_block_lies_between_inaccessible_pages_and_is_so_itself_when_it_is_freed() {
    // Not after other tests, whose freed blocks have used the budget up where the clock stands still.
    alone(
        "heap::tests::large::a_large_block_lies_between_inaccessible_pages_and_is_so_itself_when_it_is_freed",
        every_shape_is_guarded,
    );
}

#[test]
#[cfg(all(ravelin_mock, not(miri)))]
fn protections_guard_as_well_where_the_kernel_has_no_guards() {
    alone("heap::tests::large::protections_guard_as_well_where_the_kernel_has_no_guards", || {
        os::mock::set_guards(false);
        // Where the kernel was asked for them stays a map of its own.
        options::set(Setting::HugePages, 0);
        for _ in 0..2 {
            every_shape_is_guarded();
            free_all([1000, 100_000].map(Held::of));
            collect(Collect::Fully);
            assert_eq!(segment::borders(), 0, "all is inaccessible again, so no map is split");
        }
        let pages = if MITIGATIONS.page_guards { 2 * 2 } else { 0 };
        assert_eq!(segment::left_out(), pages, "behind pages of blocks a guard is a mark in the page tables, or none");
    });
}

#[test]
#[cfg(all(ravelin_mock, not(miri)))]
fn past_the_budget_guards_are_left_out_and_counted_and_no_allocation_fails() {
    alone("heap::tests::large::past_the_budget_guards_are_left_out_and_counted_and_no_allocation_fails", || {
        os::mock::set_guards(false);
        options::set(Setting::GuardLimit, 6);
        let blocks = many(12, 200_000);
        let left_out = segment::left_out();
        assert!(left_out != 0 && segment::borders() <= 6 + 2, "{left_out} left out, {} borders", segment::borders());
        blocks.iter().for_each(Held::check);
        free_all(blocks);
        collect(Collect::Fully);
        is_well();
        // Within the budget again, guards are put on again. That some were left out stays known.
        options::set(Setting::GuardLimit, 10_000);
        every_shape_is_guarded();
        assert!(segment::left_out() >= left_out);
    });
}

#[test]
fn the_edges_of_segments_and_of_their_metadata_are_inaccessible() {
    let _turn = turn();
    let block = Held::of(1000);
    for segment in segment::segments().filter(|segment| segment.role() == Role::Shared) {
        inaccessible(segment.base(), "a segment's first slice");
        inaccessible(segment.base().wrapping_add(SLICE - 1), "a segment's first slice");
        inaccessible(segment.base().wrapping_add(SEGMENT - SLICE), "a segment's last slice");
        inaccessible(segment.base().wrapping_add(SEGMENT - 1), "a segment's last slice");
        let metadata = core::ptr::from_ref(segment).cast::<u8>().cast_mut();
        // What is large has a mapping of its own.
        if size_of::<Segment>() > 1 << 16 {
            inaccessible(metadata.wrapping_sub(1), "the guard before metadata");
            let end = size_of::<Segment>().next_multiple_of(os::page_size());
            inaccessible(metadata.wrapping_add(end), "the guard behind metadata");
        }
    }
    block.free();
}

#[test]
fn what_is_not_in_use_is_inaccessible_when_all_is_given_back() {
    let _turn = turn();
    free_all([100, 5000, 100_000, 200_000, 3_000_000].map(Held::of));
    collect(Collect::Fully);
    // Under a checker other tests, in the same process, have brought memory that takes no protections.
    let closable = |segment: &&segment::Segment| segment.role() == Role::Shared && !segment.is_pinned();
    for segment in segment::segments().filter(closable) {
        let unused = (0..SLICES).filter(|&slice| !segment.is_used(slice));
        for slice in unused.step_by(if MOCK { 1 } else { 23 }) {
            inaccessible(segment.base().wrapping_add(slice * SLICE + SLICE / 2), "an unused slice");
        }
    }
}

#[test]
fn freed_addresses_are_not_used_again_while_they_wait() {
    alone("heap::tests::large::freed_addresses_are_not_used_again_while_they_wait", || {
        if !MITIGATIONS.free_checks {
            return;
        }
        options::set(Setting::QuarantineCount, 12);
        let blocks = many(if CHECKER { 3 } else { 12 }, 200_000);
        let before: Vec<usize> = blocks.iter().map(Held::address).collect();
        free_all(blocks);
        let again = many(before.len(), 200_000);
        assert!(again.iter().all(|block| !before.contains(&block.address())));
        free_all(again);
    });
}

#[test]
fn what_is_freed_faster_than_it_may_be_closed_is_closed_when_the_purge_comes_by() {
    alone("heap::tests::large::what_is_freed_faster_than_it_may_be_closed_is_closed_when_the_purge_comes_by", || {
        // A checker's large blocks are too small to come to much.
        if CHECKER || !MITIGATIONS.free_checks {
            return;
        }
        options::set(Setting::QuarantineBytes, 1 << 30);
        options::set(Setting::QuarantineCount, 64);
        options::set(Setting::PurgeDelay, 500);
        let blocks = many(20, LARGE_MAX);
        let freed: Vec<*mut u8> = blocks.iter().map(|block| block.start.as_ptr()).collect();
        let start = Instant::now();
        free_all(blocks);
        let passed = start.elapsed().as_secs_f64();
        let open = || freed.iter().filter(|&&start| is_readable(start)).count();
        // A GiB in a second, and a 32nd of a second ahead; one more may begin. The clock has whole milliseconds.
        let within_the_rate = 1 + ((passed + 1.0 / 32.0 + 0.002) * 64.0) as usize;
        let (least, most) = if MITIGATIONS.quarantine { (20, 20) } else { (2, within_the_rate) };
        let closed = 20 - open();
        assert!((least..=most).contains(&closed), "{closed} of 20 are closed, {least} to {most} are to be");
        assert!(!is_readable(freed[0]), "the first ones are closed");
        assert_eq!(segment::left_open(), open());
        // Each that is handed out again is accessible, whether it was closed or not.
        let again = many(20, LARGE_MAX);
        again.iter().for_each(Held::check);
        free_all(again);
        pass(500);
        beat();
        assert_eq!(open(), 0, "they have been closed since");
    });
}

#[test]
#[cfg_attr(miri, ignore = "takes half an hour")]
fn zeroed_blocks_are_zero_whatever_their_range_held() {
    alone("heap::tests::large::zeroed_blocks_are_zero_whatever_their_range_held", || {
        options::set(Setting::QuarantineCount, 1);
        options::set(Setting::PurgeDelay, 200);
        // For the beats: a heap.
        Held::of(16).free();
        for size in [200_000, LARGE_MAX + 1] {
            for turn in 0..6 {
                let start = NonNull::new(allocate_zeroed(size)).expect("memory");
                // SAFETY: a block of at least that size, which this test holds.
                let bytes = unsafe { core::slice::from_raw_parts(start.as_ptr(), size) };
                assert!(bytes.iter().all(|byte| *byte == 0), "{size} bytes in turn {turn}");
                // SAFETY: as above.
                unsafe { start.as_ptr().write_bytes(7, size) };
                free(UserPtr::new(start.as_ptr()));
                if turn >= 3 {
                    pass(200);
                    beat();
                }
            }
        }
    });
}

#[test]
fn a_large_block_grows_and_shrinks_where_it_stands() {
    alone("heap::tests::large::a_large_block_grows_and_shrinks_where_it_stands", || {
        for first in [150_000, LARGE_MAX + 1] {
            let mut block = Held::of(first);
            // The first growth may move it, to where there is room for more.
            for size in [first + 100_000, first + 110_000, first + 150_000, first + 8000, first + 140_000] {
                let before = block.address();
                let room = block.room();
                // SAFETY: a live block of this test.
                let new = unsafe { reallocate(block.pointer(), size) };
                block.start = NonNull::new(new).expect("memory");
                block.begins_as_written(first);
                let now = block.room();
                assert!(now >= size);
                assert!(is_writable(new.wrapping_add(now - 1)));
                inaccessible(new.wrapping_add(now), "the byte behind a block");
                assert!(size == first + 100_000 || new.addr() == before, "{size} after {room}");
            }
            block.free_unchecked();
        }
        is_well();
    });
}

#[test]
fn the_quarantine_keeps_to_its_bytes_and_its_count() {
    alone("heap::tests::large::the_quarantine_keeps_to_its_bytes_and_its_count", || {
        if !MITIGATIONS.free_checks {
            return;
        }
        // A block of 200,000 bytes takes four slices, with its guards.
        let each = 4 * SLICE;
        let turns = if CHECKER { 4 } else { 40 };
        for (bytes, count, most) in
            [(64 << 20, 3, 3 * each), (2 * each, 64, 2 * each), (each - 1, 64, each - 1), (0, 64, 0)]
        {
            options::set(Setting::QuarantineBytes, bytes as i64);
            options::set(Setting::QuarantineCount, count);
            collect(Collect::Fully);
            assert_eq!(segment::quarantined(), 0);
            let mut highest = 0;
            for _ in 0..turns {
                free_all(many(2, 200_000));
                highest = highest.max(segment::quarantined());
            }
            assert_eq!(highest, most, "of {bytes} bytes and {count} ranges");
        }
        // One that is larger than all that may wait waits alone.
        options::set(Setting::QuarantineBytes, 2 * each as i64);
        Held::of(LARGE_MAX + 1).free();
        assert_eq!(segment::quarantined(), 2 * each);
        collect(Collect::Fully);
        assert_eq!(segment::quarantined(), 0);
    });
}

#[test]
fn the_quarantine_survives_a_change_of_its_budget() {
    alone("heap::tests::large::the_quarantine_survives_a_change_of_its_budget", || {
        for (before, after) in [(64 << 20, 1 << 20), (1 << 20, 64 << 20), (64 << 20, 0), (0, 1 << 20)] {
            options::set(Setting::QuarantineBytes, before);
            free_all(many(3, LARGE_MAX / 4));
            options::set(Setting::QuarantineBytes, after);
            free_all(many(3, LARGE_MAX / 4));
            assert!(segment::quarantined() <= before.max(after) as usize);
        }
        collect(Collect::Fully);
        assert_eq!(segment::quarantined(), 0);
        is_well();
    });
}

#[test]
fn memory_goes_back_after_the_delay_by_who_next_takes_a_slow_path() {
    alone("heap::tests::large::memory_goes_back_after_the_delay_by_who_next_takes_a_slow_path", || {
        const DELAY: u64 = 200;
        options::set(Setting::PurgeDelay, i64::try_from(DELAY).unwrap());
        collect(Collect::Fully);
        let before = segment::committed::purged();
        let given_back = || segment::committed::purged() - before;
        // A machine may be so busy that the delay passes meanwhile: then nothing was to be seen, and all goes sooner.
        let keeps_all = |since: Instant| since.elapsed() >= Duration::from_millis(DELAY) || given_back() == 0;
        // A page of blocks that is given up, and a large block.
        let (other, large) = (Held::of(100_000), Held::of(200_000));
        let freeing = Instant::now();
        thread::spawn(|| Held::of(100_000).free()).join().unwrap();
        large.free();
        beat();
        assert!(keeps_all(freeing), "not yet");
        // What is dirty ages when a purge comes by, and goes when the next one does.
        pass(DELAY);
        let aging = Instant::now();
        beat();
        assert!(keeps_all(aging) || freeing.elapsed() >= Duration::from_millis(2 * DELAY), "not yet either");
        pass(DELAY);
        beat();
        let given = Class::of(100_000).unwrap().page_slices() + 4;
        assert_eq!(given_back(), given * SLICE);
        other.free();
    });
}

/// As slow paths of malloc do.
fn beat() {
    (0..8).for_each(|_| super::thread().heap.beat(None));
}

#[test]
fn a_delay_of_nothing_is_at_once_and_one_of_ever_is_never() {
    alone("heap::tests::large::a_delay_of_nothing_is_at_once_and_one_of_ever_is_never", || {
        options::set(Setting::PurgeDelay, 0);
        Held::of(16).free();
        collect(Collect::Fully);
        let before = segment::committed::purged();
        Held::of(200_000).free();
        assert!(segment::committed::purged() > before);
        options::set(Setting::PurgeDelay, -1);
        let before = segment::committed::purged();
        Held::of(200_000).free();
        pass(300);
        beat();
        assert_eq!(segment::committed::purged(), before);
        collect(Collect::Fully);
        assert!(segment::committed::purged() > before, "but who asks is heard");
    });
}

#[test]
fn a_huge_block_that_shrinks_gives_its_tail_back_and_stays() {
    let _turn = turn();
    let size = 3 * LARGE_MAX;
    let block = Held::of(size);
    // SAFETY: a live block of this thread.
    let start = unsafe { reallocate(block.pointer(), LARGE_MAX) };
    assert_eq!(start.addr(), block.address());
    assert_eq!(usable_size(block.pointer()), LARGE_MAX);
    block.begins_as_written(LARGE_MAX);
    inaccessible(start.wrapping_add(block.room()), "the tail that was given back");
    inaccessible(start.wrapping_add(size - 1), "the tail that was given back");
    let segment = block.segment();
    block.free_unchecked();
    collect(Collect::Fully);
    assert_eq!(segment.role(), Role::Covered, "its description is in stock again");
}

#[test]
fn descriptions_of_huge_blocks_are_used_again_whatever_their_alignment() {
    alone("heap::tests::large::descriptions_of_huge_blocks_are_used_again_whatever_their_alignment", || {
        let mut counts = Vec::new();
        for turn in 0..if CHECKER { 4 } else { 40 } {
            let align = [GRANULE, 2 * SLICE, SEGMENT, 2 * SEGMENT][turn % 4];
            let block = Held::try_aligned(LARGE_MAX + 1, align).expect("memory");
            let other = Held::of(2 * SEGMENT);
            collect(Collect::Fully);
            block.check();
            block.free();
            collect(Collect::Fully);
            other.free();
            collect(Collect::Fully);
            counts.push((segment::segments().count(), segment::space::huge_bytes()));
        }
        assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
        assert_eq!(counts[0].1, 0);
    });
}

#[test]
fn the_addresses_of_a_huge_block_are_nobody_s_when_it_is_gone() {
    let _turn = turn();
    let block = Held::of(2 * SEGMENT);
    let start = block.start.as_ptr();
    let within = UserPtr::new(start.wrapping_add(SEGMENT + SLICE));
    assert!(map::find(within).is_some_and(|(segment, _)| segment.role() == Role::Covered));
    block.free();
    collect(Collect::Fully);
    assert!(map::find(UserPtr::new(start)).is_none() && map::find(within).is_none());
}

#[test]
fn the_end_of_every_page_of_small_blocks_is_inaccessible() {
    let guard = crate::page::end_guard();
    if guard == 0 || !crate::os::has_guards() {
        return;
    }
    for size in [16, 100, 1000, 20_000, MEDIUM_MAX / 2] {
        let held = Held::of(size);
        let page = held.page();
        let end = page.face.start().wrapping_add(page.face.slices() * SLICE);
        assert!(is_writable(end.wrapping_sub(guard + 1)) && !is_writable(end.wrapping_sub(guard)), "{size}");
        assert!(!is_writable(end.wrapping_sub(1)), "{size}");
        // All the page's blocks lie before it.
        let blocks: Vec<Held> = (0..2 * page_holds(size)).map(|_| Held::of(size)).collect();
        free_all(blocks);
        held.free();
    }
}
