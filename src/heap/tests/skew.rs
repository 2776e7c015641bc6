//! Blocks that are aligned at an offset: where they lie, and that only their own pointer is theirs.

use super::super::{Fill, Target, allocate_at, contains, destroy, new, owns, reallocate_to, usable_size, visit};
use super::*;
use crate::heap::{Visit, Visited};
use crate::mitigations::MITIGATIONS;
use crate::report::Operation;
use crate::sync::{AtomicPtr, Relaxed};
use crate::testing::{Child, turn};
use core::ptr;
use core::slice;
use std::format;
use std::thread;

fn at(size: usize, align: usize, offset: usize) -> *mut u8 {
    let block = allocate_at(None, size, align, offset, Fill::Zero);
    assert!(!block.is_null(), "{size} {align} {offset}");
    assert_eq!(block.addr().wrapping_add(offset) % align, 0, "{size} {align} {offset}");
    let usable = usable_size(UserPtr::new(block));
    assert!(usable >= size && owns(UserPtr::new(block)));
    // SAFETY: the block is this test's, and has room for that much.
    let bytes = unsafe { slice::from_raw_parts_mut(block, usable) };
    assert!(bytes.iter().all(|&byte| byte == 0), "{size} {align} {offset}");
    bytes.fill(0xA5);
    block
}

fn free_at(block: *mut u8) {
    free(UserPtr::new(block));
}

/// Sizes, alignments and offsets, odd ones too.
fn all() -> impl Iterator<Item = (usize, usize, usize)> {
    let sizes: &[usize] = if CHECKER { &[1, 3000] } else { &[0, 1, 15, 100, 4096, 70_000, 3 << 20, 40 << 20] };
    let aligns: &[usize] =
        if CHECKER { &[8, 64] } else { &[1, 2, 8, 16, 64, 4096, 1 << 16, 1 << 17, 1 << 22, 16 << 20] };
    let offsets: &[usize] =
        if CHECKER { &[1, 24] } else { &[0, 1, 7, 8, 15, 16, 24, 4095, 5000, (1 << 20) + 3, usize::MAX] };
    // Every byte of them is written and read.
    let is_quick =
        |&(size, align, offset): &(usize, usize, usize)| size < 1 << 20 || (align >= 1 << 16 && offset == 5000);
    let all = sizes.iter().flat_map(move |&size| {
        aligns.iter().flat_map(move |&align| offsets.iter().map(move |&offset| (size, align, offset)))
    });
    all.filter(is_quick)
}

#[test]
fn a_pointer_is_aligned_when_the_offset_is_added_whatever_that_is() {
    let _turn = turn();
    for (size, align, offset) in all() {
        free_at(at(size, align, offset));
    }
    is_well();
}

#[test]
fn what_cannot_be_is_null() {
    for (size, align, offset) in [
        (10, 0, 1),
        (10, 3, 1),
        (10, 24, 8),
        (10, 32 << 20, 1),
        (usize::MAX, 16, 8),
        (usize::MAX - 8, 64, 60),
        (isize::MAX as usize, 4096, 1),
        (10, 1 << 63, 8),
    ] {
        assert!(allocate_at(None, size, align, offset, Fill::Any).is_null(), "{size} {align} {offset}");
    }
}

#[test]
fn only_the_pointer_itself_is_the_blocks() {
    let _turn = turn();
    for (align, offset) in [(16, 8), (64, 16), (8, 3), (4096, 100)] {
        let block = at(100, align, offset);
        let start = block.wrapping_sub(offset.wrapping_neg() & (align - 1));
        for other in [start, block.wrapping_add(16), block.wrapping_sub(16), block.wrapping_add(1)] {
            assert!(!owns(UserPtr::new(other)) || !MITIGATIONS.free_checks, "{align} {offset} {other:?}");
        }
        let sent = AtomicPtr::new(block);
        thread::spawn(move || free_at(sent.load(Relaxed))).join().unwrap();
        assert!(!owns(UserPtr::new(block)) || !MITIGATIONS.free_checks);
    }
    is_well();
}

#[test]
fn resizing_keeps_what_it_holds_and_zeros_what_it_gains() {
    let _turn = turn();
    let sizes: &[usize] = if CHECKER { &[40, 6000] } else { &[10, 300, 5000, 200_000, 17 << 20] };
    for (&old, &new) in sizes.iter().flat_map(|old| sizes.iter().map(move |new| (old, new))) {
        for (from, to) in [((16, 8), (16, 8)), ((16, 8), (16, 0)), ((32, 0), (64, 3)), ((4096, 7), (8, 1))] {
            let block = at(old, from.0, from.1);
            let held = usable_size(UserPtr::new(block));
            let target = Target { heap: None, align: to.0, offset: to.1, fill: Fill::Zero };
            // SAFETY: the block is this test's.
            let other = unsafe { reallocate_to(UserPtr::new(block), new, target) };
            assert_eq!(other.addr().wrapping_add(to.1) % to.0, 0, "{old} {new} {from:?} {to:?}");
            let usable = usable_size(UserPtr::new(other));
            assert!(usable >= new);
            // SAFETY: as above.
            let bytes = unsafe { slice::from_raw_parts(other, new) };
            let kept = held.min(new);
            assert!(bytes[..kept].iter().all(|&byte| byte == 0xA5), "{old} {new} {from:?} {to:?}");
            assert!(bytes[kept..].iter().all(|&byte| byte == 0), "{old} {new} {from:?} {to:?}");
            free_at(other);
        }
    }
    is_well();
}

#[test]
fn a_heap_contains_shows_and_ends_them() {
    let heap = new().expect("memory");
    let own = heap.expect_own(Operation::Malloc);
    let block = allocate_at(Some(own), 100, 16, 8, Fill::Any);
    assert!(contains(heap, UserPtr::new(block)) && !contains(heap, UserPtr::new(block.wrapping_sub(8))));
    let mut shown = Vec::new();
    visit(heap, Visit::Blocks, &mut |what| {
        if let Visited::Block(_, start, size) = what {
            shown.push((start.as_ptr(), size));
        }
        true
    });
    assert_eq!(shown, [(block, usable_size(UserPtr::new(block)))]);
    destroy(heap);
    assert!(!owns(UserPtr::new(block)) || !MITIGATIONS.free_checks);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn every_other_pointer_and_a_second_free_die() {
    const TEST: &str = "heap::tests::skew::every_other_pointer_and_a_second_free_die";
    const CASE: &str = "TEST_CASE";
    if !MITIGATIONS.free_checks {
        return;
    }
    let places = [(16, 8), (64, 16), (8, 3), (4096, 100)];
    /// What is done to the block, and what the report says.
    type Deed = (&'static str, fn(*mut u8, usize));
    let deeds: [Deed; 7] = [
        ("double free of 0x", |block, _| {
            free_at(block);
            free_at(block);
        }),
        ("double free of 0x", |block, _| {
            free_at(block);
            let address = block.expose_provenance();
            let _ = thread::spawn(move || free_at(ptr::with_exposed_provenance_mut(address))).join();
        }),
        ("invalid free (never allocated) of 0x", |block, lead| free_at(block.wrapping_sub(lead))),
        ("invalid free (interior pointer) of 0x", |block, _| {
            free_at(block.wrapping_add(16 + block.addr().wrapping_neg() % 16))
        }),
        ("use after free in realloc of 0x", |block, _| {
            free_at(block);
            let target = Target { heap: None, align: 16, offset: 0, fill: Fill::Any };
            // SAFETY: none: that is the misuse.
            unsafe { reallocate_to(UserPtr::new(block), 10, target) };
        }),
        ("use after free in usable_size of 0x", |block, _| {
            free_at(block);
            usable_size(UserPtr::new(block));
        }),
        ("invalid free (never allocated) in usable_size of 0x", |block, lead| {
            usable_size(UserPtr::new(block.wrapping_sub(lead)));
        }),
    ];
    let own = std::env::var(CASE).ok().and_then(|case| case.parse().ok());
    for case in own.map_or(0..places.len() * deeds.len(), |case: usize| case..case + 1) {
        let ((align, offset), (words, deed)) = (places[case / deeds.len()], deeds[case % deeds.len()]);
        Child::of(TEST)
            .with(CASE, &format!("{case}"))
            .run(|| deed(at(100, align, offset), offset.wrapping_neg() & (align - 1)))
            .died_with(&format!("ravelin: {words}"));
    }
}

/// What the report says of an overflow is what the program knows: its pointer, its size, and how far behind that.
#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "starts processes")]
fn an_overflow_is_told_as_the_program_sees_the_block() {
    const TEST: &str = "heap::tests::skew::an_overflow_is_told_as_the_program_sees_the_block";
    const CASE: &str = "TEST_CASE";
    if !MITIGATIONS.canaries {
        return;
    }
    let places = [(16, 8), (64, 24), (8, 3), (4096, 100)];
    let meets: [(&str, fn(*mut u8)); 3] = [
        ("free", free_at),
        ("usable_size", |block| {
            usable_size(UserPtr::new(block));
        }),
        ("collect", |_| collect(Collect::Fully)),
    ];
    let own = std::env::var(CASE).ok().and_then(|case| case.parse().ok());
    for case in own.map_or(0..places.len() * meets.len(), |case: usize| case..case + 1) {
        let ((align, offset), (call, meet)) = (places[case / meets.len()], meets[case % meets.len()]);
        let corpse = Child::of(TEST).with(CASE, &format!("{case}")).run(|| {
            let block = at(200, align, offset);
            let behind = block.wrapping_add(200);
            // SAFETY: in the slack behind the block: that is the misuse.
            let byte = unsafe { behind.read_volatile() };
            // SAFETY: as above.
            unsafe { behind.write_volatile(byte ^ 0x41) };
            std::eprintln!("block {block:p} ");
            meet(block);
        });
        corpse.died_with("ravelin: buffer overflow (200 bytes requested, written at offset 200) in ");
        let pointer = corpse.stderr.split("block ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a pointer");
        corpse.died_with(&format!(
            "ravelin: buffer overflow (200 bytes requested, written at offset 200) in {call} of {pointer} "
        ));
    }
}
