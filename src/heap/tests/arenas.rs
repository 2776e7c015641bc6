//! Arenas of the program's: reserved, brought, exclusive, pinned, full, refused.

use super::super::{Fill, HeapHandle, Terms, allocate_in, delete, destroy, new_at};
use super::*;
use crate::geometry::SEGMENT;
use crate::os;
use crate::report::Operation;
use crate::segment::{self, ArenaId, Brought, NoArena, Use};
use crate::testing::alone;
use core::ptr;

const PLAIN: Brought = Brought { committed: true, pinned: false, zero: false };

fn try_of(heap: HeapHandle, size: usize, fill: Fill) -> Option<*mut u8> {
    let start = allocate_in(heap.expect_own(Operation::Malloc), size, GRANULE, Terms::of(fill));
    (!start.is_null()).then_some(start)
}

fn of(heap: HeapHandle, size: usize) -> Held {
    Held::adopt(try_of(heap, size, Fill::Any).expect("memory"), size).expect("memory")
}

fn lies_in(id: ArenaId, pointer: *const u8) -> bool {
    let (start, len) = segment::area(id).expect("an arena");
    (start.addr()..start.addr() + len).contains(&pointer.addr())
}

/// Memory as a program may bring it: whole segments, and all of it written to.
fn brought(segments: usize) -> *mut u8 {
    let span = os::reserve(segments * SEGMENT, SEGMENT, None).expect("address space");
    // SAFETY: just reserved, and nobody else's.
    unsafe { os::open(span) }.expect("memory");
    // SAFETY: as above.
    unsafe { span.start().as_ptr().write_bytes(0xAA, span.len()) };
    span.start().as_ptr()
}

fn manage(start: *mut u8, size: usize, brought: Brought, used_by: Use) -> Result<ArenaId, NoArena> {
    // SAFETY: the tests bring memory of their own, and say what it is like; the rest is what must be refused.
    unsafe { segment::manage(start, size, brought, used_by) }
}

const SIZES: [usize; 5] = [16, 1000, 20_000, 200_000, 3 << 20];

fn sizes() -> &'static [usize] {
    if CHECKER { &SIZES[..2] } else { &SIZES }
}

#[test]
fn an_exclusive_arena_is_used_by_heaps_that_name_it_and_they_use_nothing_else() {
    alone("heap::tests::arenas::an_exclusive_arena_is_used_by_heaps_that_name_it_and_they_use_nothing_else", || {
        let ids = [
            segment::reserve(1, Use::Exclusive).unwrap(),
            manage(brought(1), SEGMENT, PLAIN, Use::Exclusive).unwrap(),
            manage(brought(1), SEGMENT, Brought { pinned: true, ..PLAIN }, Use::Exclusive).unwrap(),
        ];
        for id in ids {
            assert_eq!(segment::area(id).unwrap().1, SEGMENT);
            let heap = new_at(id).unwrap();
            let mine: Vec<Held> = sizes().iter().map(|&size| of(heap, size)).collect();
            let others: Vec<Held> = sizes().iter().map(|&size| Held::of(size)).collect();
            assert!(mine.iter().all(|block| lies_in(id, block.start.as_ptr())));
            assert!(others.iter().all(|block| !ids.iter().any(|&id| lies_in(id, block.start.as_ptr()))));
            free_all(mine);
            free_all(others);
            is_well();
            // All of it, and then no more.
            let size = if CHECKER { 70_000 } else { 1 << 20 };
            let all: Vec<Held> = core::iter::from_fn(|| Held::adopt(try_of(heap, size, Fill::Any)?, size)).collect();
            // Runs are drawn at random, and leave gaps.
            assert!(all.len() * size > SEGMENT / 3 && all.len() * size < SEGMENT, "{}", all.len());
            assert!(all.iter().all(|block| lies_in(id, block.start.as_ptr())));
            assert!(try_of(heap, SEGMENT, Fill::Any).is_none());
            free_all(all);
            of(heap, size).free();
            destroy(heap);
            is_well();
        }
    });
}

#[test]
fn a_deleted_heaps_pages_stay_in_their_exclusive_arena() {
    alone("heap::tests::arenas::a_deleted_heaps_pages_stay_in_their_exclusive_arena", || {
        let id = segment::reserve(SEGMENT, Use::Exclusive).unwrap();
        let heap = new_at(id).unwrap();
        let mut mine: Vec<Held> = (0..4).flat_map(|_| sizes().iter().map(|&size| of(heap, size))).collect();
        // Some are free by then, or on their way.
        let mut gone: Vec<Held> = (0..mine.len() / 4).map(|index| mine.swap_remove(index)).collect();
        let remote = gone.split_off(gone.len() / 2);
        free_all(gone);
        std::thread::spawn(move || free_all(remote)).join().unwrap();
        delete(heap);
        let rest = mine.split_off(mine.len() / 2);
        // Frees into pages of nobody's: whoever frees might adopt one.
        free_all(mine);
        let others: Vec<Held> =
            (0..if CHECKER { 10 } else { 200 }).flat_map(|_| sizes()[..2].iter().map(|&size| Held::of(size))).collect();
        assert!(others.iter().all(|block| !lies_in(id, block.start.as_ptr())));
        free_all(others);
        free_all(rest);
        is_well();
    });
}

#[test]
#[cfg_attr(miri, ignore = "needs a process of its own")]
fn a_shared_arena_is_used_by_all() {
    alone("heap::tests::arenas::a_shared_arena_is_used_by_all", || {
        let id = manage(brought(2), 2 * SEGMENT + 1, PLAIN, Use::Shared).unwrap();
        assert_eq!(segment::area(id).unwrap().1, 2 * SEGMENT);
        let blocks: Vec<Held> = sizes().iter().map(|&size| Held::of(size)).collect();
        assert!(blocks.iter().any(|block| lies_in(id, block.start.as_ptr())));
        free_all(blocks);
        is_well();
    });
}

#[test]
fn what_was_brought_dirty_is_zero_where_zeros_are_asked_for_and_wiped_when_given_back() {
    alone(
        "heap::tests::arenas::what_was_brought_dirty_is_zero_where_zeros_are_asked_for_and_wiped_when_given_back",
        || {
            for pinned in [false, true] {
                let start = brought(1);
                let id = manage(start, SEGMENT, Brought { pinned, ..PLAIN }, Use::Exclusive).unwrap();
                let heap = new_at(id).unwrap();
                let mut places = Vec::new();
                for round in 0..3 {
                    for &size in sizes() {
                        let block = try_of(heap, size, Fill::Zero).unwrap();
                        // SAFETY: the block is this test's.
                        let bytes = unsafe { core::slice::from_raw_parts_mut(block, size) };
                        assert!(bytes.iter().all(|&byte| byte == 0), "{size} {round}");
                        bytes.fill(0x55);
                        places.push((block, size));
                        if round > 0 {
                            free(UserPtr::new(block));
                            places.pop();
                        }
                    }
                    collect(Collect::Fully);
                }
                destroy(heap);
                collect(Collect::Fully);
                if !MOCK {
                    // SAFETY: the test's memory, of which nobody else uses a byte any more.
                    let span = unsafe { os::Span::new(NonNull::new(start).unwrap(), SEGMENT) };
                    // SAFETY: as above.
                    unsafe { os::open(span) }.unwrap();
                }
                for (place, size) in places {
                    // SAFETY: accessible, as above; initialised by the kernel or by the wipe.
                    let bytes = unsafe { core::slice::from_raw_parts(place, size) };
                    assert!(bytes.iter().all(|&byte| byte == 0), "{size} is not wiped");
                }
            }
        },
    );
}

#[test]
#[cfg_attr(miri, ignore = "needs a process of its own")]
fn what_is_no_such_memory_is_refused() {
    alone("heap::tests::arenas::what_is_no_such_memory_is_refused", || {
        let start = brought(3);
        let refused = |start: *mut u8, size: usize, brought: Brought| {
            assert_eq!(manage(start, size, brought, Use::Shared), Err(NoArena), "{start:?} {size}");
        };
        refused(ptr::null_mut(), SEGMENT, PLAIN);
        refused(start.wrapping_add(4096), 2 * SEGMENT, PLAIN);
        refused(start, SEGMENT - 1, PLAIN);
        refused(start, 0, PLAIN);
        refused(start, usize::MAX, PLAIN);
        refused(ptr::without_provenance_mut(SEGMENT.wrapping_neg()), SEGMENT, PLAIN);
        refused(ptr::without_provenance_mut(1 << (os::ADDRESS_BITS - 1)), SEGMENT, PLAIN);
        refused(start, SEGMENT, Brought { committed: false, pinned: true, zero: false });
        // With a hole.
        let hole = start.wrapping_add(SEGMENT + SEGMENT / 2);
        // SAFETY: a page of this test's.
        unsafe { os::release(os::Span::new(NonNull::new(hole).unwrap(), os::page_size())) };
        refused(start, 3 * SEGMENT, PLAIN);
        // Ours: of an arena that has segments, and of one that has none yet.
        let mine = Held::of(16);
        refused(mine.start.as_ptr().wrapping_sub(mine.address() % SEGMENT), SEGMENT, PLAIN);
        mine.free();
        let id = segment::reserve(2 * SEGMENT, Use::Exclusive).unwrap();
        refused(segment::area(id).unwrap().0, SEGMENT, PLAIN);
        // What is left of it is memory.
        assert!(manage(start, SEGMENT, PLAIN, Use::Shared).is_ok());
        refused(start, SEGMENT, PLAIN);
        assert_eq!(segment::area(ArenaId(0)).or(segment::area(ArenaId(-1))).or(segment::area(ArenaId(3))), None);
        assert_eq!(segment::reserve(usize::MAX, Use::Shared), Err(NoArena));
        is_well();
    });
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "asks the kernel for maps of its own")]
fn memory_that_cannot_be_written_is_refused_and_shared_memory_is_not() {
    alone("heap::tests::arenas::memory_that_cannot_be_written_is_refused_and_shared_memory_is_not", || {
        let size = 2 * SEGMENT;
        // SAFETY: a file of this test's, and maps of it.
        let (writable, readable) = unsafe {
            let file = libc::memfd_create(c"brought".as_ptr(), 0);
            assert!(file >= 0 && libc::ftruncate(file, size as i64) == 0);
            let writable =
                libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, file, 0);
            let path = std::format!("/proc/self/fd/{file}\0");
            let reader = libc::open(path.as_ptr().cast(), libc::O_RDONLY);
            (writable, libc::mmap(ptr::null_mut(), size, libc::PROT_READ, libc::MAP_SHARED, reader, 0))
        };
        let align = |start: *mut libc::c_void| start.cast::<u8>().wrapping_add(start.addr().wrapping_neg() % SEGMENT);
        assert_eq!(manage(align(readable), SEGMENT, PLAIN, Use::Shared), Err(NoArena));
        let id = manage(align(writable), SEGMENT, Brought { zero: true, ..PLAIN }, Use::Exclusive).unwrap();
        let heap = new_at(id).unwrap();
        for _ in 0..3 {
            for &size in sizes() {
                let block = try_of(heap, size, Fill::Zero).unwrap();
                // SAFETY: the block is this test's.
                let bytes = unsafe { core::slice::from_raw_parts_mut(block, size) };
                assert!(bytes.iter().all(|&byte| byte == 0), "{size}");
                bytes.fill(0x55);
                free(UserPtr::new(block));
            }
            collect(Collect::Fully);
        }
        destroy(heap);
        is_well();
    });
}

#[test]
fn there_are_only_so_many_arenas() {
    alone("heap::tests::arenas::there_are_only_so_many_arenas", || {
        if CHECKER {
            return;
        }
        let made = core::iter::from_fn(|| segment::reserve(SEGMENT, Use::Exclusive).ok()).count();
        assert_eq!(made, 112);
        assert_eq!(manage(brought(1), SEGMENT, PLAIN, Use::Shared), Err(NoArena));
        is_well();
    });
}

#[test]
fn a_heap_in_no_arena_has_no_memory() {
    for id in [0, -1, 100, i32::MAX, i32::MIN] {
        let heap = new_at(ArenaId(id)).unwrap();
        for size in [16, 5000, 200_000, LARGE_MAX + 1] {
            assert!(try_of(heap, size, Fill::Any).is_none(), "{id}");
        }
        destroy(heap);
    }
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "the mock's machine has what tests set aside")]
fn gigantic_pages_that_the_system_has_not_are_refused() {
    let has_some = std::fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages")
        .is_ok_and(|text| text.trim() != "0");
    if !has_some {
        for node in [None, Some(0), Some(63), Some(1000)] {
            assert_eq!(segment::reserve_gigantic(2, node, 100, Use::Shared), Err(NoArena));
        }
    }
    assert_eq!(segment::reserve_gigantic(0, None, 100, Use::Shared), Err(NoArena));
}

#[cfg(all(ravelin_mock, not(miri)))]
#[test]
fn as_many_gigantic_pages_are_taken_as_there_are() {
    alone("heap::tests::arenas::as_many_gigantic_pages_are_taken_as_there_are", || {
        os::mock::set_gigantic(1);
        let (id, count) = segment::reserve_gigantic(3, Some(0), 1000, Use::Exclusive).unwrap();
        assert_eq!((count, segment::area(id).unwrap().1), (1, os::GIGANTIC));
        let heap = new_at(id).unwrap();
        let blocks: Vec<Held> = SIZES.iter().map(|&size| of(heap, size)).collect();
        assert!(blocks.iter().all(|block| lies_in(id, block.start.as_ptr())));
        free_all(blocks);
        destroy(heap);
        is_well();
    });
}
