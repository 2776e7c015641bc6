//! Huge blocks that grow: their pages move, and what they leave behind is as a freed block.

use super::super::{free_with_layout, reallocate, reallocate_with_layout, usable_size};
use super::*;
use crate::geometry::SEGMENT;
use crate::mitigations::MITIGATIONS;
use crate::os;
use crate::os::testing::is_readable;
use crate::segment;
use crate::testing::{Child, alone};
use std::thread;

const OLD: usize = LARGE_MAX + 1;
/// More than there is room for where a block of the old size is.
const NEW: usize = 5 * LARGE_MAX;

/// Grows, and says where the block is now.
fn grow(block: &mut Held, size: usize) {
    // SAFETY: a live block of this test.
    let new = unsafe { reallocate(block.pointer(), size) };
    block.start = NonNull::new(new).expect("memory");
}

/// How often pages were moved, and calls failed.
fn moves() -> (u64, u64) {
    (os::calls().remap, os::calls().failed)
}

/// An old kernel, or an emulator, does not move pages and leave the place mapped: then everything is copied.
fn pages_move() -> bool {
    let place = || os::reserve(os::page_size(), os::page_size(), None).expect("address space");
    let (from, to) = (place(), place());
    // SAFETY: reserved just now.
    unsafe { os::open(from) }.expect("memory");
    // SAFETY: two reservations of ours.
    let moved = unsafe { os::move_pages(from, to) }.is_ok();
    let stays = is_writable(from.start().as_ptr());
    // SAFETY: not used again.
    unsafe { os::release(from) };
    if moved {
        // SAFETY: not used again; it is ours, for the move succeeded.
        unsafe { os::release(to) };
    }
    moved && stays
}

#[test]
fn a_huge_block_that_grows_keeps_its_contents_and_has_a_tail_of_zeros() {
    alone("heap::tests::resize::a_huge_block_that_grows_keeps_its_contents_and_has_a_tail_of_zeros", || {
        if !pages_move() {
            return;
        }
        let (mut block, before) = (Held::of(OLD), moves());
        let (old, room) = (block.start.as_ptr(), block.room());
        grow(&mut block, NEW);
        assert_eq!(moves(), (before.0 + 1, before.1));
        block.begins_as_written(OLD);
        assert_eq!(usable_size(block.pointer()), NEW);
        for offset in (room..NEW).step_by(os::page_size()).chain([NEW - 1]) {
            // SAFETY: inside the block.
            assert_eq!(unsafe { block.start.as_ptr().wrapping_add(offset).read() }, 0, "offset {offset}");
        }
        for offset in [0, room / 2, room - 1] {
            let is_closed = !is_readable(old.wrapping_add(offset));
            assert!(is_closed || !MITIGATIONS.free_checks, "the old block can be read at {offset}");
        }
        for edge in [block.start.as_ptr().wrapping_sub(1), block.start.as_ptr().wrapping_add(block.room())] {
            assert!(!is_readable(edge), "there is no guard");
        }
        block.free_unchecked();
        is_well();
    });
}

#[test]
fn the_old_addresses_wait_as_if_the_block_had_been_freed() {
    alone("heap::tests::resize::the_old_addresses_wait_as_if_the_block_had_been_freed", || {
        let mut block = Held::of(OLD);
        let old = block.pointer();
        collect(Collect::Fully);
        grow(&mut block, NEW);
        assert!(segment::quarantined() != 0 || !MITIGATIONS.free_checks);
        let (segment, granule) = map::find(old).expect("the range is still ours");
        assert!(segment.first_page().is_none());
        assert!(!MITIGATIONS.free_checks || !segment.tables().spot(granule).is_live());
        collect(Collect::Fully);
        assert_eq!(segment::quarantined(), 0);
        assert!(map::find(old).is_none());
        block.free_unchecked();
        collect(Collect::Fully);
        is_well();
    });
}

#[test]
fn pages_that_move_are_committed_once() {
    alone("heap::tests::resize::pages_that_move_are_committed_once", || {
        if !pages_move() {
            return;
        }
        Held::of(16).free();
        collect(Collect::Fully);
        let (empty, purged) = (segment::committed::now(), segment::committed::purged());
        let mut block = Held::of(OLD);
        let room = block.room();
        for size in [NEW, NEW + SEGMENT] {
            grow(&mut block, size);
            assert_eq!(segment::committed::now(), empty + block.room());
            assert_eq!(segment::committed::most(), (empty + block.room()).max(segment::committed::most()));
        }
        let last = block.room();
        assert!(segment::committed::most() < empty + NEW + SEGMENT + room, "both blocks were counted");
        assert_eq!(segment::committed::purged(), purged, "what has moved was not given back");
        block.free_unchecked();
        collect(Collect::Fully);
        assert_eq!(segment::committed::now(), empty);
        assert_eq!(segment::committed::purged() - purged, last);
        assert_eq!(segment::space::huge_bytes(), 0);
    });
}

#[test]
fn a_block_that_has_moved_moves_again_and_is_one_map() {
    alone("heap::tests::resize::a_block_that_has_moved_moves_again_and_is_one_map", || {
        if !pages_move() {
            return;
        }
        let mut block = Held::of(OLD);
        let before = moves();
        let turns = if CHECKER { 2 } else { 4 };
        for turn in 1..=turns {
            let last = usable_size(block.pointer()) - 8;
            // SAFETY: the last word of the block.
            unsafe { block.place(last).write(turn) };
            let size = block.segment().room(block.page()) + 1;
            grow(&mut block, size);
            block.begins_as_written(OLD / 2 + 8);
            // SAFETY: a word of the block, which has grown.
            assert_eq!(unsafe { block.place(last).read() }, turn);
        }
        let (moved, failed) = moves();
        assert_eq!(moved, before.0 + turns);
        assert_eq!(failed, before.1);
        block.free_unchecked();
    });
}

#[test]
fn afterwards_the_block_is_of_its_new_layout() {
    let turn = crate::testing::turn();
    for align in [8, GRANULE, 4096, 2 * SEGMENT] {
        let block = Held::try_aligned(OLD, align).expect("memory");
        // SAFETY: a live block of this test.
        let new = unsafe { reallocate_with_layout(None, block.pointer(), OLD, align, NEW - 5) };
        let new = Held { start: NonNull::new(new).expect("memory"), size: OLD, mark: block.mark };
        assert_eq!(new.address() % align, 0);
        new.check();
        free_with_layout(new.pointer(), NEW - 5, align);
    }
    drop(turn);
}

#[test]
fn many_threads_resize_huge_blocks_and_hand_them_on() {
    alone("heap::tests::resize::many_threads_resize_huge_blocks_and_hand_them_on", || {
        let sizes =
            [OLD, NEW, 2 * LARGE_MAX, 4 * LARGE_MAX, OLD + 4096, LARGE_MAX, 300_000, 5 * LARGE_MAX, NEW + SEGMENT];
        thread::scope(|scope| {
            for first in 0..if CHECKER { 2 } else { 6 } {
                scope.spawn(move || {
                    let mut block = Held::of(OLD);
                    for turn in 0..if CHECKER { 4 } else { 120 } {
                        let (from, to) = (block.size, sizes[(first * 5 + turn * 7) % sizes.len()]);
                        let mut resize = move || {
                            grow(&mut block, to);
                            block.begins_as_written(from.min(to) - 8);
                            Held::adopt(block.start.as_ptr(), to).expect("not null")
                        };
                        block = if turn % 8 == 0 { thread::spawn(resize).join().unwrap() } else { resize() };
                    }
                    block.free();
                });
            }
        });
        collect(Collect::Fully);
        assert_eq!(segment::space::huge_bytes(), 0);
        is_well();
    });
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn whoever_uses_the_old_pointer_dies() {
    if !MITIGATIONS.free_checks {
        return;
    }
    let deeds: [(&str, fn(UserPtr)); 4] = [
        ("ravelin: double free of ", free),
        ("ravelin: double free of ", |old| free_with_layout(old, OLD, 8)),
        ("ravelin: use after free in realloc of ", |old| {
            // SAFETY: none: the block has moved.
            let _ = unsafe { reallocate(old, NEW) };
        }),
        ("ravelin: use after free in usable_size of ", |old| {
            usable_size(old);
        }),
    ];
    const DEED: &str = "DEED";
    for (number, (report, _)) in deeds.iter().enumerate() {
        let corpse = Child::of("heap::tests::resize::whoever_uses_the_old_pointer_dies")
            .with(DEED, &std::format!("{number}"))
            .run(|| {
                // In the child: the first turn of the loop, whatever the parent is at.
                let number: usize = std::env::var(DEED).unwrap().parse().unwrap();
                let mut block = Held::of(OLD);
                let old = block.pointer();
                grow(&mut block, NEW);
                deeds[number].1(old);
            });
        corpse.died_with(report);
    }
}

/// Not a test: `cargo test --release -- --ignored --nocapture a_huge_realloc_costs`.
#[test]
#[ignore = "a measurement"]
fn a_huge_realloc_costs_so_much() {
    use std::time::{Duration, Instant};
    let size = 64 << 20;
    let filled = || {
        let start = allocate_aligned(size, GRANULE);
        // SAFETY: a block of that size.
        unsafe { start.write_bytes(7, size) };
        start
    };
    let median = |deed: &dyn Fn(*mut u8) -> *mut u8| {
        let mut times: Vec<Duration> = (0..21)
            .map(|_| {
                // What waits in the quarantine goes back now, and not in the middle.
                collect(Collect::Fully);
                let block = filled();
                let start = Instant::now();
                let new = deed(block);
                let time = start.elapsed();
                free(UserPtr::new(new));
                time
            })
            .collect();
        times.sort_unstable();
        times[10]
    };
    // SAFETY: a live block of this test.
    let moved = median(&|block| unsafe { reallocate(UserPtr::new(block), 2 * size) });
    let copied = median(&|block| {
        let new = allocate_aligned(2 * size, GRANULE);
        // SAFETY: both have room for that much.
        unsafe { new.copy_from_nonoverlapping(block, size) };
        free(UserPtr::new(block));
        new
    });
    // On Linux 6.18: moved in 0.10 ms, copied in 89 ms.
    std::println!("64 MiB -> 128 MiB: moved in {moved:?}, copied in {copied:?}");
}
