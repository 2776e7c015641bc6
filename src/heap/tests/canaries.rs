//! What lies behind a block, and how the process ends when it is written to.

use super::super::Fill;
use super::super::{
    Terms, allocate, allocate_aligned_on, allocate_in, free, free_with_layout, reallocate, usable_size,
};
use super::super::{destroy, new};
use super::*;
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os::testing::{Birth, Ending, in_child};
use crate::page::{Found, VOIDS};
use crate::report::Operation;
use crate::testing::{Child, turn};
use std::thread;

const SIZES: &[usize] = if CHECKER {
    &[1, 40]
} else {
    &[0, 1, 8, 16, 24, 40, 100, 240, 248, 256, 1000, 5000, 131_072, 200_000, LARGE_MAX + 1]
};

/// Bytes of the block from this place on.
fn tail(block: *mut u8, from: usize) -> Vec<u8> {
    let page = Held { start: NonNull::new(block).expect("memory"), size: 0, mark: 0 };
    // SAFETY: a live block of the test.
    unsafe { core::slice::from_raw_parts(block.wrapping_add(from), page.room() - from) }.to_vec()
}

/// Whether the same word stands again and again in the first 32 bytes and in the last.
fn repeats(slack: &[u8]) -> bool {
    slack
        .iter()
        .enumerate()
        .all(|(at, &byte)| (32..slack.len() - 32.min(slack.len())).contains(&at) || byte == slack[at % 8])
}

#[test]
fn the_usable_size_is_what_was_requested_and_behind_it_lies_a_secret_that_begins_with_zero() {
    if !MITIGATIONS.canaries {
        return;
    }
    let _turn = turn();
    for &size in SIZES.iter().filter(|&&size| !(VOIDS && size == 0)) {
        let (one, other) = (allocate(size), allocate(size));
        assert_eq!(usable_size(UserPtr::new(one)), size);
        let (first, second) = (tail(one, size), tail(other, size));
        assert!(first.len() >= 8 && first[0] == 0 && first[1..8].iter().any(|&byte| byte != 0), "{size}");
        assert_ne!(first[..8], second[..8], "two blocks share a canary");
        assert!(repeats(&first), "both ends of the slack are covered");
        free(UserPtr::new(one));
        free(UserPtr::new(other));
    }
}

#[test]
fn a_block_that_is_resized_has_its_canary_behind_its_new_size() {
    if !MITIGATIONS.canaries {
        return;
    }
    let _turn = turn();
    let sizes: &[usize] =
        if CHECKER { &[40, 20, 45] } else { &[40, 20, 45, 100, 90, 1000, 700, 200_000, 199_000, 250_000, 3] };
    let mut block = allocate(sizes[0]);
    for &size in &sizes[1..] {
        // SAFETY: a live block of this test.
        block = unsafe { reallocate(UserPtr::new(block), size) };
        assert_eq!(usable_size(UserPtr::new(block)), size);
        let slack = tail(block, size);
        assert!(slack.len() >= 8 && slack[0] == 0 && repeats(&slack), "{size}");
    }
    free(UserPtr::new(block));
}

#[test]
fn a_block_that_grows_where_it_stands_shows_no_secret() {
    if !MITIGATIONS.canaries {
        return;
    }
    let _turn = turn();
    let block = allocate(33);
    // SAFETY: a live block of this test.
    let grown = unsafe { reallocate(UserPtr::new(block), 40) };
    assert_eq!(grown, block, "there was room");
    assert_eq!(tail(block, 33)[..7], [0; 7]);
    free(UserPtr::new(block));
}

/// What is done to a block of 40 bytes, and what must come of it.
const DEEDS: [(&str, fn(*mut u8)); 10] = [
    ("buffer overflow (40 bytes requested, written at offset 40) in free of ", |block| {
        write(block, 40);
        free(UserPtr::new(block));
    }),
    ("buffer overflow (40 bytes requested, written at offset 47) in free of ", |block| {
        write(block, 47);
        free(UserPtr::new(block));
    }),
    ("buffer overflow (40 bytes requested, written at offset 44) in free of ", |block| {
        write(block, 44);
        free(UserPtr::new(block));
    }),
    ("buffer overflow (40 bytes requested, written at offset 41) in free of ", |block| {
        // NULs through the trailer: its first byte is one.
        // SAFETY: within the block of 48 bytes.
        unsafe { block.add(40).write_bytes(0, 8) };
        free(UserPtr::new(block));
    }),
    ("buffer overflow (40 bytes requested, written at offset 40) in free of ", |block| {
        write(block, 40);
        let pointer = block.expose_provenance();
        thread::spawn(move || free(UserPtr::new(core::ptr::with_exposed_provenance_mut(pointer)))).join().unwrap();
    }),
    ("buffer overflow (40 bytes requested, written at offset 40) in realloc of ", |block| {
        write(block, 40);
        // SAFETY: a live block.
        unsafe { reallocate(UserPtr::new(block), 44) };
    }),
    ("buffer overflow (40 bytes requested, written at offset 40) in usable_size of ", |block| {
        write(block, 40);
        usable_size(UserPtr::new(block));
    }),
    ("buffer overflow (30 bytes requested, written at offset 37) in free of ", |block| {
        // SAFETY: a live block.
        let shrunk = unsafe { reallocate(UserPtr::new(block), 30) };
        assert_eq!(shrunk, block);
        write(block, 37);
        free(UserPtr::new(block));
    }),
    ("wrong layout (size 41, alignment 8) in dealloc of ", |_| {
        free_with_layout(UserPtr::new(of_layout(40, 8)), 41, 8);
    }),
    ("wrong layout (size 40, alignment 16) in dealloc of ", |_| {
        free_with_layout(UserPtr::new(of_layout(40, 8)), 40, 16);
    }),
];

fn of_layout(size: usize, align: usize) -> *mut u8 {
    allocate_aligned_on(size, align, Terms::of_layout(Fill::Any, align))
}

/// Changes the byte.
fn write(block: *mut u8, offset: usize) {
    let place = block.wrapping_add(offset);
    // SAFETY: within the block that the test holds.
    let byte = unsafe { place.read_volatile() };
    // SAFETY: as above.
    unsafe { place.write_volatile(byte ^ 0x41) };
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn whoever_writes_behind_a_block_or_gives_it_back_with_another_layout_dies() {
    const DEED: &str = "DEED";
    if !MITIGATIONS.canaries {
        return;
    }
    for (number, (report, _)) in DEEDS.iter().enumerate() {
        let corpse =
            Child::of("heap::tests::canaries::whoever_writes_behind_a_block_or_gives_it_back_with_another_layout_dies")
                .with(DEED, &std::format!("{number}"))
                .run(|| {
                    let number: usize = std::env::var(DEED).unwrap().parse().unwrap();
                    DEEDS[number].1(allocate(40));
                });
        // Where a secret byte happens to be zero, the NULs are found one byte later.
        let report = if number == 3 { "buffer overflow (40 bytes requested, written at offset 4" } else { report };
        corpse.died_with(&std::format!("ravelin: {report}"));
    }
}

#[test]
fn the_first_byte_that_was_written_is_told() {
    if !MITIGATIONS.canaries {
        return;
    }
    let _turn = turn();
    for _ in 0..if CHECKER { 1 } else { 100 } {
        let block = allocate(40);
        let (segment, granule) = map::find(UserPtr::new(block)).expect("a block");
        for offset in 40..48 {
            write(block, offset);
            let found = segment.page_of(granule).examine(segment.tables(), block.addr());
            assert_eq!(found, Found::Damaged { requested: 40, offset });
            write(block, offset);
        }
        free(UserPtr::new(block));
    }
}

/// As if each were freed by itself.
#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn the_end_of_a_heap_finds_what_was_written_behind_its_blocks() {
    const SIZE: &str = "SIZE";
    if !MITIGATIONS.canaries {
        return;
    }
    for size in [40, 20_000, 200_000, LARGE_MAX + 40] {
        let child = Child::of("heap::tests::canaries::the_end_of_a_heap_finds_what_was_written_behind_its_blocks");
        let corpse = child.with(SIZE, &std::format!("{size}")).run(|| {
            let size = std::env::var(SIZE).unwrap().parse().unwrap();
            let heap = new().expect("memory");
            let own = heap.expect_own(Operation::Malloc);
            let blocks = [(); 3].map(|()| allocate_in(own, size, GRANULE, Terms::of(Fill::Any)));
            free(UserPtr::new(blocks[0]));
            write(blocks[1], size);
            destroy(heap);
        });
        let words = "ravelin: buffer overflow";
        corpse.died_with(&std::format!(
            "{words} ({size} bytes requested, written at offset {size}) in heap_destroy of 0x"
        ));
    }
}

#[test]
fn check_heap_finds_what_was_written_behind_a_live_block_and_into_a_free_one() {
    if !MITIGATIONS.canaries {
        return;
    }
    let _turn = turn();
    for &size in SIZES.iter().filter(|&&size| !(VOIDS && size == 0)) {
        let block = allocate(size);
        let last = Held { start: NonNull::new(block).expect("memory"), size: 0, mark: 0 }.room() - 1;
        for offset in [size, size + 7, last] {
            write(block, offset);
            let corruption = check_heap().expect_err("an overflow");
            assert_eq!((corruption.fault(), corruption.address()), (super::super::Fault::Overflow, block.addr()));
            write(block, offset);
        }
        check_heap().expect("as it was");
        free(UserPtr::new(block));
    }
    if MITIGATIONS.quarantine && MITIGATIONS.zero_on_free {
        let block = allocate(100);
        free(UserPtr::new(block));
        for offset in [0, 50, 111] {
            write(block, offset);
            let corruption = check_heap().expect_err("a write after free");
            assert_eq!((corruption.fault(), corruption.address()), (super::super::Fault::Written, block.addr()));
            write(block, offset);
        }
        check_heap().expect("as it was");
    }
}

/// An overflow of a block that nobody frees.
#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_full_collection_and_with_the_option_the_end_of_the_process_find_what_was_written_behind_live_blocks() {
    const ASKED: &str = "DEED";
    if !MITIGATIONS.canaries {
        return;
    }
    /// Of this thread, of one that has ended, and a large one.
    const MAKERS: [fn() -> usize; 3] = [
        || allocate(40).expose_provenance(),
        || thread::spawn(|| allocate(40).expose_provenance()).join().unwrap(),
        || allocate(LARGE_MAX + 40).expose_provenance(),
    ];
    for (number, size) in [40, 40, LARGE_MAX + 40].into_iter().enumerate() {
        for (end, option) in [("collect", "0"), ("exit", "1"), ("nothing", "0")] {
            let name = "heap::tests::canaries::a_full_collection_and_with_the_option_the_end_of_the_process_find_what_was_written_behind_live_blocks";
            let child = Child::of(name).with("RAVELIN_CHECK_AT_EXIT", option);
            let corpse = child.with(ASKED, &std::format!("{number} {end}")).run(|| {
                let asked = std::env::var(ASKED).unwrap();
                let (number, end) = asked.split_once(' ').unwrap();
                super::super::check_at_exit();
                let number: usize = number.parse().unwrap();
                let block = core::ptr::with_exposed_provenance_mut::<u8>(MAKERS[number]());
                write(block, [40, 40, LARGE_MAX + 40][number]);
                if end == "collect" {
                    collect(Collect::Fully);
                } else {
                    std::process::exit(0);
                }
            });
            if end == "nothing" {
                assert_eq!(corpse.code, Some(0), "{corpse:?}");
            } else {
                let words = "ravelin: buffer overflow";
                corpse.died_with(&std::format!(
                    "{words} ({size} bytes requested, written at offset {size}) in {end} of "
                ));
            }
        }
    }
}

#[test]
fn a_freed_block_is_not_the_next_to_come_back_and_all_come_back_at_last() {
    if !MITIGATIONS.quarantine {
        return;
    }
    let _turn = turn();
    let rounds = if CHECKER { 40 } else { 5000 };
    let (mut last, mut seen) = (core::ptr::null_mut(), std::collections::HashSet::new());
    for _ in 0..rounds {
        let block = allocate(100);
        assert_ne!(block, last, "the block just freed");
        seen.insert(block);
        last = block;
        free(UserPtr::new(block));
    }
    assert!(CHECKER || seen.len() < rounds / 4, "{} blocks for {rounds} turns", seen.len());
    check_heap().expect("a sound heap");
    collect(Collect::Fully);
    assert_eq!(check_heap().expect("a sound heap").quarantined, 0);
}

#[test]
fn as_many_blocks_wait_as_have_a_place_and_no_more_bytes_than_may() {
    if !MITIGATIONS.quarantine {
        return;
    }
    let _turn = turn();
    let budget = options::bytes(Setting::BlockQuarantine);
    for size in [48, 5000, 20_000, 100_000] {
        collect(Collect::Fully);
        let mut most = 0;
        for _ in 0..if CHECKER { 6 } else { 300 } {
            free(UserPtr::new(allocate(size)));
            most = most.max(check_heap().expect("a sound heap").quarantined);
        }
        let fitting = budget / class_for(size).block_size();
        assert!(most <= fitting.min(64), "{most} blocks of {size} bytes wait");
        assert!(CHECKER || most == fitting.min(64), "no more than {most} blocks of {size} bytes wait");
    }
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "forks")]
fn a_child_that_has_forgotten_all_that_waited_detains_its_own_blocks_and_lets_go_of_them() {
    if !MITIGATIONS.quarantine {
        return;
    }
    let _turn = turn();
    collect(Collect::Fully);
    // Every place is taken, by blocks of one page.
    let blocks: Vec<_> = (0..64).map(|_| allocate(100)).collect();
    blocks.into_iter().for_each(|block| free(UserPtr::new(block)));
    let ending = in_child(Birth::Fork, || {
        // The page is drawn anew by then, and has them all.
        let kept = allocate(100);
        let forgotten = check_heap().is_ok_and(|census| census.quarantined == 0);
        (0..300).for_each(|_| free(UserPtr::new(allocate(100))));
        let is_bounded = check_heap().is_ok_and(|census| (1..=64).contains(&census.quarantined));
        free(UserPtr::new(kept));
        i32::from(!forgotten) | i32::from(!is_bounded) << 1
    });
    assert_eq!(ending, Some(Ending::Exit(0)));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "forks")]
fn a_child_accepts_the_canaries_that_it_inherits_and_plants_others() {
    if !MITIGATIONS.canaries {
        return;
    }
    let _turn = turn();
    for size in [40, 5000, 200_000] {
        let (block, kept) = (allocate(size), allocate(size));
        let before = tail(block, size);
        let ending = in_child(Birth::Fork, || {
            let inherited = usable_size(UserPtr::new(block)) == size && tail(block, size) == before;
            let is_sound = check_heap().is_ok();
            // The page is drawn anew by then.
            let new = allocate(size);
            // SAFETY: a live block of this process, that stays where it is.
            let shrunk = unsafe { reallocate(UserPtr::new(block), size - 1) };
            // SAFETY: as above.
            let again = unsafe { reallocate(UserPtr::new(shrunk), size) };
            let is_another = again != block || size > 131_072 || tail(block, size) != before;
            for block in [new, again, kept] {
                free(UserPtr::new(block));
            }
            i32::from(!inherited) | i32::from(!is_sound) << 1 | i32::from(!is_another) << 2
        });
        assert_eq!(ending, Some(Ending::Exit(0)), "{size}");
        assert_eq!(tail(block, size), before);
        free(UserPtr::new(block));
        free(UserPtr::new(kept));
    }
}
