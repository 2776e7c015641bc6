//! Blocks that stand alone between guards: what they catch, how the process dies of it, and whom else faults belong to.
//!
//! A child's environment has the option; here in the test process nothing stands alone.

mod handlers;

use super::{Collect, Held, Thread, allocate_aligned, check_heap, collect, free};
use crate::geometry::{LARGE_MAX, UserPtr};
use crate::heap::{Fault, Fill, Terms, allocate_in, destroy, new, reallocate, reallocate_with_layout, usable_size};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os::testing::{Birth, Ending, deny, in_child};
use crate::os::{has_guards, page_size};
use crate::report::{Kind, Operation, Place, set_report_hook};
use crate::segment;
use crate::segment::{Tally, left_out, sampled_in_all, sampled_waiting};
use crate::testing::{Child, Corpse, SURVIVED};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, thread};

/// A child in which one allocation in `every` stands alone. None in builds without it.
fn child(test: &'static str, every: &str) -> Option<Child> {
    let path: &'static str = String::leak(format!("heap::tests::sampled::{test}"));
    MITIGATIONS.sampled_guards.then(|| Child::of(path).with("RAVELIN_SAMPLED_GUARDS", every))
}

/// Plays one of several scenes, each in a child of its own: the child finds the number of its scene in its environment.
fn scene(test: &'static str, name: &str, deed: impl FnOnce()) -> Option<Corpse> {
    match std::env::var("TEST_SCENE") {
        Ok(wanted) if wanted != name => None,
        _ => Some(child(test, "1")?.with("TEST_SCENE", name).run(deed)),
    }
}

fn made() -> u64 {
    sampled_in_all().sum()
}

/// Live ones.
fn alone() -> usize {
    Tally::take().sampled.blocks
}

fn place(start: NonNull<u8>, offset: isize) -> *mut u8 {
    start.as_ptr().wrapping_offset(offset)
}

fn read(start: NonNull<u8>, offset: isize) {
    // SAFETY: no memory safety is claimed: it is the misuse.
    unsafe { place(start, offset).read_volatile() };
}

fn write(start: NonNull<u8>, offset: isize) {
    // SAFETY: as above.
    unsafe { place(start, offset).write_volatile(b'!') };
}

/// Writes where no guard is. What is there may by chance be what would be written: then nothing is.
fn change(start: NonNull<u8>, offset: isize) {
    // SAFETY: as above.
    let byte = unsafe { place(start, offset).read_volatile() };
    // SAFETY: as above.
    unsafe { place(start, offset).write_volatile(byte ^ 0x21) };
}

/// A block that ends where its guard begins, or begins where one ends; a huge one does the latter.
fn block(size: usize, is_right: bool) -> NonNull<u8> {
    loop {
        let start = NonNull::new(allocate_aligned(size, 16)).unwrap();
        let left = start.addr().get() % page_size();
        if (left == 0) != is_right || size.is_multiple_of(page_size()) || size > LARGE_MAX {
            return start;
        }
    }
}

#[test]
fn an_access_beyond_a_block_or_after_its_free_dies_with_its_story() {
    type Misuse = (&'static str, fn(), &'static str);
    let misuses: [Misuse; 10] = [
        ("over", || write(block(160, true), 160), "buffer overflow (1 byte past the end) in write at 0x"),
        ("over_read", || read(block(100, true), 112), "buffer overflow (13 bytes past the end) in read at 0x"),
        ("under", || read(block(100, false), -1), "buffer underflow (1 byte before the start) in read at 0x"),
        ("under_write", || write(block(24, false), -32), "buffer underflow (32 bytes before the start) in write at 0x"),
        ("empty", || write(block(0, true), 0), "buffer overflow (1 byte past the end) in write at 0x"),
        ("large", || write(block(300_000, true), 300_016), "buffer overflow (17 bytes past the end) in write at 0x"),
        (
            "huge",
            || write(block(LARGE_MAX + 1, false), LARGE_MAX as isize + 4096),
            "buffer overflow (1 byte past the end) in write",
        ),
        ("freed_read", || read(freed(100), 99), "use after free (99 bytes from the start) in read at 0x"),
        ("freed_write", || write(freed(5000), 1), "use after free (1 byte from the start) in write at 0x"),
        ("freed_huge", || write(freed(LARGE_MAX + 1), 1), "use after free in write at 0x"),
    ];
    for (name, deed, words) in misuses {
        let Some(corpse) = scene("an_access_beyond_a_block_or_after_its_free_dies_with_its_story", name, deed) else {
            continue;
        };
        corpse.died_with(&("ravelin: ".to_string() + words));
        let is_huge = name.ends_with("huge");
        let has_stack = |deed: &str| {
            let title = format!("ravelin| {deed} by thread ");
            let mut lines = corpse.stderr.lines().skip_while(|line| !line.starts_with(&title)).skip(1);
            lines.next().is_some_and(|line| line.starts_with("ravelin|   0x") && line.contains(" ravelin-"))
        };
        assert_eq!(has_stack("allocated"), !is_huge, "{corpse:?}");
        assert_eq!(has_stack("freed"), name.starts_with("freed") && !is_huge, "{corpse:?}");
    }
}

fn freed(size: usize) -> NonNull<u8> {
    let start = block(size, true);
    free(UserPtr::new(start.as_ptr()));
    start
}

#[test]
fn other_threads_and_children_of_a_fork_die_in_the_same_way() {
    let test = "other_threads_and_children_of_a_fork_die_in_the_same_way";
    let thread = scene(test, "thread", || {
        let start = block(64, true).addr();
        let fault = move || write(NonNull::without_provenance(start), 64);
        thread::spawn(fault).join().unwrap();
    });
    let remote = scene(test, "freed by another", || {
        let start = block(64, true).addr();
        thread::spawn(move || free(UserPtr::new(core::ptr::without_provenance_mut(start.get())))).join().unwrap();
        read(NonNull::without_provenance(start), 0);
    });
    let fork = scene(test, "fork", || {
        let start = block(64, true);
        // In the child std's handlers are gone, and so would ours be: it is installed anew with its first allocation.
        let ending = in_child(Birth::Fork, || {
            drop(Held::of(64));
            write(start, 64);
            0
        });
        assert_eq!(ending, Some(Ending::Signal(libc::SIGABRT)));
        std::process::abort();
    });
    for (corpse, words) in [
        (thread, "ravelin: buffer overflow (1 byte past the end) in write at 0x"),
        (remote, "ravelin: use after free (0 bytes from the start) in read at 0x"),
        (fork, "ravelin: buffer overflow (1 byte past the end) in write at 0x"),
    ] {
        if let Some(corpse) = corpse {
            corpse.died_with(words);
        }
    }
}

#[test]
fn what_misses_the_guards_is_found_in_the_margins_by_whoever_meets_the_block() {
    let test = "what_misses_the_guards_is_found_in_the_margins_by_whoever_meets_the_block";
    let over = scene(test, "over", || {
        let start = block(100, true);
        change(start, 101);
        free(UserPtr::new(start.as_ptr()));
    });
    let far = scene(test, "far", || {
        let start = block(100, false);
        change(start, 4000);
        free(UserPtr::new(start.as_ptr()));
    });
    let under = scene(test, "under", || {
        let start = block(100, true);
        change(start, -1);
        let address = start.addr().get();
        thread::spawn(move || free(UserPtr::new(core::ptr::without_provenance_mut(address)))).join().unwrap();
    });
    let moved = scene(test, "moved", || {
        let start = block(100, true);
        change(start, 100);
        // SAFETY: the block is this test's.
        unsafe { reallocate(UserPtr::new(start.as_ptr()), 100) };
    });
    let asked = scene(test, "asked", || {
        let start = block(100, true);
        change(start, 102);
        usable_size(UserPtr::new(start.as_ptr()));
    });
    let ended = scene(test, "ended", || {
        let heap = new().unwrap();
        let own = heap.expect_own(Operation::Malloc);
        let start = NonNull::new(allocate_in(own, 100, 2048, Terms::of(Fill::Any))).unwrap();
        change(start, 103);
        destroy(heap);
    });
    let collected = scene(test, "collected", || {
        let start = block(100, true);
        change(start, 105);
        collect(Collect::Fully);
    });
    let checked = scene(test, "checked", || {
        let start = block(100, true);
        assert!(check_heap().is_ok_and(|census| census.alone >= 1));
        change(start, 105);
        let corruption = check_heap().unwrap_err();
        assert_eq!((corruption.fault(), corruption.address()), (Fault::Overflow, start.addr().get()));
    });
    for (corpse, words) in [
        (over, "ravelin: buffer overflow (2 bytes past the end) in free of 0x"),
        (far, "ravelin: buffer overflow (3901 bytes past the end) in free of 0x"),
        (under, "ravelin: buffer underflow (1 byte before the start) in free of 0x"),
        (moved, "ravelin: buffer overflow (1 byte past the end) in realloc of 0x"),
        (asked, "ravelin: buffer overflow (3 bytes past the end) in usable_size of 0x"),
        (ended, "ravelin: buffer overflow (4 bytes past the end) in heap_destroy of 0x"),
        // Without canaries a collection checks nothing.
        (
            collected.filter(|_| MITIGATIONS.canaries),
            "ravelin: buffer overflow (6 bytes past the end) in collect of 0x",
        ),
    ] {
        if let Some(corpse) = corpse {
            corpse.died_with(words);
        }
    }
    if let Some(corpse) = checked {
        assert_eq!(corpse.code, Some(0), "{corpse:?}");
    }
}

#[test]
fn a_second_free_and_a_wrong_layout_are_what_they_are_anywhere() {
    let test = "a_second_free_and_a_wrong_layout_are_what_they_are_anywhere";
    if !MITIGATIONS.free_checks {
        return;
    }
    let twice = scene(test, "twice", || free(UserPtr::new(freed(100).as_ptr())));
    let inside = scene(test, "inside", || free(UserPtr::new(place(block(100, true), 16))));
    let size = scene(test, "size", || {
        let start = block(100, true);
        crate::heap::free_with_layout(UserPtr::new(start.as_ptr()), 99, 1);
    });
    let align = scene(test, "align", || {
        let start = allocate_aligned(128, 64);
        crate::heap::free_with_layout(UserPtr::new(start), 128, 32);
    });
    for (corpse, words) in [
        (twice, "ravelin: double free of 0x"),
        (inside, "ravelin: invalid free (interior pointer) of 0x"),
        (size, "ravelin: wrong layout (size 99, alignment 1) in dealloc of 0x"),
        (align, "ravelin: wrong layout (size 128, alignment 32) in dealloc of 0x"),
    ] {
        let needs_layouts = words.contains("layout");
        if let Some(corpse) = corpse.filter(|_| MITIGATIONS.layout_checks || !needs_layouts) {
            corpse.died_with(words);
            assert!(corpse.stderr.contains("ravelin| allocated by thread "));
        }
    }
}

#[test]
fn the_hook_gets_the_place_and_who_allocated_and_freed() {
    let Some(child) = child("the_hook_gets_the_place_and_who_allocated_and_freed", "1") else { return };
    let corpse = child.run(|| {
        set_report_hook(|report| {
            assert_eq!((report.kind(), report.operation()), (Kind::UseAfterFree, Operation::Read));
            assert_eq!(report.place(), Some(Place::Inside(7)));
            let stacks = [report.allocated_by(), report.freed_by()].map(|stack| stack.expect("noted"));
            assert!(stacks.iter().all(|stack| stack.thread() == report.thread() && stack.frames().count() > 2));
            // Neither on the signal stack, which is small, nor in a handler, where a fault would kill.
            let large = std::vec![1_u8; 1 << 20];
            let deep = core::hint::black_box([1_u8; 256 * 1024]);
            std::eprintln!("hook: {}", large.len() + deep.len());
        });
        read(freed(100), 7);
    });
    corpse.died_with("ravelin: use after free (7 bytes from the start) in read at 0x");
    assert!(corpse.stderr.contains("hook: 1310720"), "{corpse:?}");
}

#[test]
fn such_a_block_is_of_its_very_size_and_layout_and_moves_when_it_is_resized() {
    let test = "such_a_block_is_of_its_very_size_and_layout_and_moves_when_it_is_resized";
    let Some(child) = child(test, "1") else { return };
    let corpse = child.run(|| {
        let before = made();
        let sizes = [0, 1, 15, 16, 17, 100, 1000, 4095, 4096, 4097, 70_000, 131_073, 1 << 20];
        for (size, align) in
            sizes.into_iter().flat_map(|size| [1, 16, 32, 256, 4096, 65_536].map(|align| (size, align)))
        {
            let start = allocate_aligned(size, align);
            assert!(!start.is_null() && start.addr().is_multiple_of(align.max(16)), "{size} {align}");
            assert_eq!(usable_size(UserPtr::new(start)), size);
            let held = Held::adopt(start, size).unwrap();
            // SAFETY: the block is this test's.
            let same = unsafe { reallocate_with_layout(None, held.pointer(), size, align, size) };
            assert_eq!(same, start);
            // SAFETY: as above.
            let other = unsafe { reallocate_with_layout(None, held.pointer(), size, align, size + 1) };
            assert!(other != start && !other.is_null());
            let moved = Held { start: NonNull::new(other).unwrap(), ..held };
            moved.begins_as_written(size);
            crate::heap::free_with_layout(moved.pointer(), size + 1, align);
        }
        assert_eq!(made() - before, 2 * 13 * 6);
        assert_eq!((alone(), left_out()), (0, 0));
        assert!(sampled_waiting() > 0);
    });
    assert_eq!(corpse.code, Some(0), "{corpse:?}");
}

#[test]
fn one_in_n_stands_alone_whatever_the_size() {
    for every in [7, 1000] {
        let name = every.to_string();
        let Some(corpse) = scene_of("one_in_n_stands_alone_whatever_the_size", &name, every) else { continue };
        assert_eq!(corpse.code, Some(0), "{corpse:?}");
    }
}

fn scene_of(test: &'static str, name: &str, every: usize) -> Option<Corpse> {
    match std::env::var("TEST_SCENE") {
        Ok(wanted) if wanted != name => None,
        _ => Some(child(test, name)?.with("TEST_SCENE", name).run(|| coverage(every))),
    }
}

/// Allocates and frees blocks of several sizes at random, and counts how many of each stood alone.
fn coverage(every: usize) {
    const SIZES: [usize; 6] = [16, 48, 200, 1000, 3000, 6000];
    let rounds = every * 200;
    let mut live: Vec<Held> = Vec::new();
    let mut counts = SIZES.map(|_| 0_u64);
    let rng = crate::entropy::Rng::new();
    for _ in 0..rounds * SIZES.len() {
        let which = rng.below(SIZES.len() as u32) as usize;
        counts[which] += 1;
        live.push(Held::of(SIZES[which]));
        if live.len() > 300 {
            live.swap_remove(rng.below(300) as usize).free();
        }
    }
    let by_class: Vec<u64> = sampled_in_all().collect();
    for (size, count) in SIZES.into_iter().zip(counts) {
        let class = crate::geometry::Class::of(size).unwrap();
        let found = by_class[class.index()] as f64;
        let expected = count as f64 / every as f64;
        std::eprintln!("one in {every}, {size} bytes: {found} of {count}, expected {expected}");
        // About 200 with a standard deviation of at most 15; the sum is bound more tightly below.
        assert!((found - expected).abs() < 90.0, "{size}: {found} of {count}");
    }
    let (made, expected) = (made() as f64, (rounds * SIZES.len()) as f64 / every as f64);
    assert!((made - expected).abs() < 0.1 * expected, "{made} of {expected}");
    live.into_iter().for_each(Held::free);
}

#[test]
fn freed_ones_wait_in_turn_and_no_longer_than_the_pool_is_large() {
    let Some(child) = child("freed_ones_wait_in_turn_and_no_longer_than_the_pool_is_large", "1") else { return };
    let corpse = child.with("RAVELIN_SAMPLED_POOL", "640KiB").run(|| {
        // Ten wait; the eleventh lets the first go.
        let first = freed(100).addr().get() >> 16;
        let others: Vec<usize> = (0..9).map(|_| freed(100).addr().get() >> 16).collect();
        assert!(!others.contains(&first));
        assert_eq!(sampled_waiting(), 640 << 10);
        (0..200).for_each(|_| _ = freed(100));
        assert_eq!(sampled_waiting(), 640 << 10);
        segment::release_sampled();
        assert_eq!(sampled_waiting(), 0);
    });
    assert_eq!(corpse.code, Some(0), "{corpse:?}");
}

#[test]
fn where_guards_cost_maps_their_number_is_bounded_and_the_rest_are_ordinary_blocks() {
    let test = "where_guards_cost_maps_their_number_is_bounded_and_the_rest_are_ordinary_blocks";
    let Some(child) = child(test, "1") else { return };
    let corpse = child.with("RAVELIN_GUARD_LIMIT", "100").run(|| {
        if !deny(&[libc::SYS_madvise]) {
            return;
        }
        assert!(!has_guards());
        let blocks: Vec<Held> = (0..1000).map(|_| Held::of(100)).collect();
        assert!((40..=60).contains(&alone()), "{}", alone());
        assert!(made() as usize + left_out() >= 1000, "{} {}", made(), left_out());
        assert!(check_heap().is_ok());
        let alone = blocks.iter().find(|held| held.page().face.is_sampled()).expect("some stand alone").start;
        let fault = in_child(Birth::Fork, || {
            write(alone, 4096);
            0
        });
        assert!(matches!(fault, Some(Ending::Signal(_))));
        blocks.into_iter().for_each(Held::free);
        Held::of(100).free();
    });
    assert_eq!(corpse.code, Some(0), "{corpse:?}");
}

#[test]
fn a_thread_that_ends_and_an_exhausted_pool_lose_nothing() {
    let Some(child) = child("a_thread_that_ends_and_an_exhausted_pool_lose_nothing", "1") else { return };
    let corpse = child.with("RAVELIN_SAMPLED_POOL", "0").run(|| {
        let blocks = thread::spawn(|| (0..100).map(Held::of).collect::<Vec<_>>()).join().unwrap();
        assert_eq!(alone(), 100);
        blocks.into_iter().for_each(Held::free);
        let segments = Tally::take().segments;
        for _ in 0..2000 {
            Held::of(64).free();
        }
        assert_eq!((alone(), sampled_waiting(), Tally::take().segments), (0, 0, segments));
        assert!(Thread::current().is_some());
    });
    assert_eq!(corpse.code, Some(0), "{corpse:?}");
}

/// The attack: a stale pointer reads what the block's next owner keeps there.
#[test]
fn a_stale_pointer_reads_its_successor_s_secret_without_and_dies_with() {
    let test = "a_stale_pointer_reads_its_successor_s_secret_without_and_dies_with";
    let steal = || {
        let stale = freed(64);
        let secrets: Vec<NonNull<u8>> = (0..5000).map(|_| NonNull::new(allocate_aligned(64, 16)).unwrap()).collect();
        for secret in &secrets {
            // SAFETY: a block of this test's.
            unsafe { secret.as_ptr().write(b'S') };
        }
        // SAFETY: no memory safety is claimed: it is the attack.
        let stolen = unsafe { stale.as_ptr().read_volatile() };
        std::process::exit(if stolen == b'S' { 42 } else { 0 });
    };
    for every in ["0", "1"] {
        let corpse = match std::env::var("TEST_SCENE") {
            Ok(wanted) if wanted != every => continue,
            _ => child(test, every).map(|child| child.with("TEST_SCENE", every).run(steal)),
        };
        match (corpse, every) {
            // Where blocks wait in a quarantine, the successor comes later.
            (Some(_), "0") if MITIGATIONS.quarantine => {}
            (Some(corpse), "0") => assert_eq!(corpse.code, Some(42), "{corpse:?}"),
            (Some(corpse), _) => corpse.died_with("ravelin: use after free (0 bytes from the start) in read at 0x"),
            (None, _) => {}
        }
    }
}

#[test]
fn nothing_stands_alone_unless_it_is_asked_for() {
    assert_eq!(options::get(Setting::SampledGuards), 0);
    let held = Held::of(100);
    assert!(!held.page().face.is_sampled());
    held.free();
}
