//! Each system call of an operation failing in turn.
//!
//! An operation is done again and again: with its first call that can fail failing, with its second, and so on until it
//! has no such call any more; and the same with all calls failing from there on. Whichever it is, the operation gives null
//! or succeeds, what was live is as it was, and afterwards everything works. After some rounds of all this nothing has grown.
//!
//! Only the lack of randomness may end the process. So what draws randomness runs in a process of its own for each call,
//! and the failed call is told on stderr.

use super::super::{
    Fill, HeapHandle, Terms, allocate_in, allocate_zeroed, backing, default, delete, destroy, new, new_at, reallocate,
    reallocate_with_layout, set_default,
};
use super::*;
use crate::geometry::{MEDIUM_MAX, SEGMENT, SLICE};
use crate::options::{self, Setting};
use crate::os::mock::{self, Failing, advance_clock, fail_from, fail_nth, set_guards, set_map_limit};
use crate::report::Operation;
use crate::segment::{self, NoArena, Role, Use};
use crate::testing::{Child, alone};
use std::string::ToString;
use std::thread;

/// What fails: one call, or all from one on.
#[derive(Clone, Copy, Debug)]
struct Plan {
    kind: usize,
    call: u64,
}

impl Plan {
    const KINDS: [fn(u64) -> Failing; 2] = [fail_nth, fail_from];

    /// From now on, for the calling thread.
    fn start(self) -> Failing {
        Plan::KINDS[self.kind](self.call)
    }
}

/// More calls than any operation has.
const MANY: u64 = 2000;

/// What must not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Footprint {
    segments: usize,
    threads: usize,
    reserved: usize,
    reservations: usize,
}

impl Footprint {
    fn now() -> Footprint {
        Footprint {
            segments: segment::segments().count(),
            threads: Thread::all().count(),
            reserved: segment::reserved(),
            reservations: mock::reservations(),
        }
    }
}

/// Does `deed` on what `prepare` made, with each of its calls failing in turn; `after` cleans up. How many calls it has.
fn each_call_fails<S>(prepare: impl Fn() -> S + Sync, deed: impl Fn(&mut S) + Sync, after: impl Fn(S) + Sync) -> u64 {
    let mut calls = 0;
    let mut footprints = Vec::new();
    for _ in 0..3 {
        for kind in 0..Plan::KINDS.len() {
            let passed = (1..MANY)
                .find(|&call| {
                    let fired = thread::scope(|scope| {
                        let work = scope.spawn(|| {
                            let mut state = prepare();
                            let failing = Plan { kind, call }.start();
                            deed(&mut state);
                            let fired = failing.fired();
                            drop(failing);
                            after(state);
                            is_well();
                            fired
                        });
                        work.join().expect("no promise was broken")
                    });
                    collect(Collect::Fully);
                    !fired
                })
                .expect("an end");
            calls = calls.max(passed - 1);
        }
        footprints.push(Footprint::now());
    }
    assert_eq!(footprints[1], footprints[2], "something grows");
    calls
}

/// The same for one allocation of a heap that has its randomness.
fn each_call_of_an_allocation_fails(allocate: impl Fn() -> Option<Held> + Sync) -> u64 {
    let prepare = || (many(3, 32), None);
    each_call_fails(
        prepare,
        |(_, block)| *block = allocate(),
        |(kept, block)| {
            free_all(kept);
            block.into_iter().for_each(Held::free);
            allocate().expect("memory").free();
        },
    )
}

#[test]
fn a_page_of_every_class_is_born_or_not() {
    alone("heap::tests::injection::a_page_of_every_class_is_born_or_not", || {
        for class in Class::all().step_by(5) {
            assert_ne!(each_call_of_an_allocation_fails(|| Held::try_of(class.block_size())), 0);
        }
    });
}

#[test]
fn a_large_block_is_made_or_not() {
    alone("heap::tests::injection::a_large_block_is_made_or_not", || {
        for size in [MEDIUM_MAX + 1, 3 * SLICE, LARGE_MAX] {
            assert_ne!(each_call_of_an_allocation_fails(|| Held::try_of(size)), 0);
        }
    });
}

#[test]
fn a_huge_block_is_made_or_not() {
    alone("heap::tests::injection::a_huge_block_is_made_or_not", || {
        for size in [LARGE_MAX + 1, 3 * SEGMENT] {
            assert_ne!(each_call_of_an_allocation_fails(|| Held::try_of(size)), 0);
        }
    });
}

#[test]
fn a_block_of_wide_alignment_is_made_or_not() {
    alone("heap::tests::injection::a_block_of_wide_alignment_is_made_or_not", || {
        for align in [4096, 2 * SLICE, 2 << 20, 64 << 20] {
            assert_ne!(each_call_of_an_allocation_fails(|| Held::try_aligned(5000, align)), 0);
        }
    });
}

#[test]
fn zeroed_memory_is_zero_or_not_given() {
    alone("heap::tests::injection::zeroed_memory_is_zero_or_not_given", || {
        // A large block that is freed is always closed, so that the next needs a call.
        options::set(Setting::ClosingRate, 1 << 40);
        for size in [1000, 100_000, 300_000, LARGE_MAX + 1] {
            let dirty = || {
                let mut dirty = Vec::new();
                for _ in 0..3 {
                    let block = Held::of(size);
                    // SAFETY: a block of that size.
                    unsafe { block.start.as_ptr().write_bytes(0xab, size) };
                    dirty.push(block);
                }
                dirty.into_iter().for_each(Held::free_unchecked);
            };
            let deed = |_: &mut ()| {
                let Some(start) = NonNull::new(allocate_zeroed(size)) else { return };
                // SAFETY: a block of that size.
                let bytes = unsafe { core::slice::from_raw_parts(start.as_ptr(), size) };
                assert!(bytes.iter().all(|&byte| byte == 0));
                // The next must not find these clean.
                // SAFETY: as above.
                unsafe { start.as_ptr().write_bytes(0xcd, size) };
                free(UserPtr::new(start.as_ptr()));
            };
            let page_of_another_class = || Held::of(32).free();
            let calls = if size > MEDIUM_MAX {
                each_call_fails(dirty, deed, drop)
            } else {
                // The page of a small one is made only once, and dirty when it is given up.
                each_call_fails(page_of_another_class, deed, |()| dirty())
            };
            assert_ne!(calls, 0);
        }
    });
}

#[test]
fn a_block_grows_and_shrinks_or_stays_as_it_was() {
    alone("heap::tests::injection::a_block_grows_and_shrinks_or_stays_as_it_was", || {
        let ways = [
            (100, 10_000),
            (10_000, 200_000),
            (200_000, 400_000),
            (400_000, LARGE_MAX + 1),
            (LARGE_MAX + 1, 3 * LARGE_MAX),
            (3 * LARGE_MAX, LARGE_MAX),
            (3 * LARGE_MAX, 100),
        ];
        for (from, to) in ways {
            let calls = each_call_fails(
                || Held::of(from),
                |block| {
                    // SAFETY: a live block of this thread.
                    let new = unsafe { reallocate(block.pointer(), to) };
                    block.start = NonNull::new(new).unwrap_or(block.start);
                    block.begins_as_written(if new.is_null() { from } else { from.min(to) });
                },
                Held::free_unchecked,
            );
            assert_ne!(calls, 0);
        }
    });
}

#[test]
fn a_block_that_does_not_get_the_size_of_its_layout_is_as_it_was() {
    alone("heap::tests::injection::a_block_that_does_not_get_the_size_of_its_layout_is_as_it_was", || {
        for guarded in [true, false] {
            set_guards(guarded);
            for (from, to) in [(LARGE_MAX + 1, 3 * LARGE_MAX), (3 * LARGE_MAX, LARGE_MAX + 1), (400_000, 200_000)] {
                let calls = each_call_fails(
                    || Held::of(from),
                    |block| {
                        // SAFETY: a live block of this thread.
                        let new = unsafe { reallocate_with_layout(None, block.pointer(), from, GRANULE, to) };
                        block.start = NonNull::new(new).unwrap_or(block.start);
                        block.begins_as_written(if new.is_null() { from } else { from.min(to) });
                    },
                    Held::free_unchecked,
                );
                assert_ne!(calls, 0);
            }
        }
    });
}

#[test]
fn a_collection_gives_back_or_keeps() {
    alone("heap::tests::injection::a_collection_gives_back_or_keeps", || {
        for how in [Collect::Gently, Collect::Fully] {
            let prepare = || {
                free_all([1000, 100_000, 300_000, LARGE_MAX + 1].map(Held::of));
                // What is dirty ages when one purge comes by, and goes when the next one does.
                advance_clock(1000);
                collect(Collect::Gently);
                let block = Held::of(3000);
                advance_clock(1000);
                block
            };
            assert_ne!(each_call_fails(prepare, |_| collect(how), Held::free), 0);
        }
    });
}

#[test]
fn free_goes_on_whatever_the_system_refuses() {
    alone("heap::tests::injection::free_goes_on_whatever_the_system_refuses", || {
        for size in [300_000, LARGE_MAX + 1] {
            let prepare = || {
                advance_clock(1000);
                many(3, size).into_iter().map(Some).collect::<Vec<_>>()
            };
            let deed = |blocks: &mut Vec<_>| free_all(blocks.iter_mut().filter_map(Option::take));
            let calls = each_call_fails(prepare, deed, drop);
            assert!(calls != 0 || !MITIGATIONS.free_checks, "what checks also closes");
        }
    });
}

#[test]
fn without_guards_each_call_may_fail_as_well() {
    alone("heap::tests::injection::without_guards_each_call_may_fail_as_well", || {
        set_guards(false);
        for size in [48, 100_000, 300_000, LARGE_MAX + 1] {
            assert_ne!(each_call_of_an_allocation_fails(|| Held::try_of(size)), 0);
        }
        set_guards(true);
    });
}

#[test]
fn at_the_limit_of_maps_each_call_may_fail_as_well() {
    alone("heap::tests::injection::at_the_limit_of_maps_each_call_may_fail_as_well", || {
        set_guards(false);
        set_map_limit(6);
        for size in [48, 100_000, 300_000, LARGE_MAX + 1] {
            // Perhaps none: what cannot be closed again needs not be opened.
            each_call_of_an_allocation_fails(|| Held::try_of(size));
        }
    });
}

#[test]
fn a_segment_that_could_not_be_made_leaves_nothing_behind() {
    alone("heap::tests::injection::a_segment_that_could_not_be_made_leaves_nothing_behind", || {
        let shared = || segment::segments().filter(|segment| segment.role() == Role::Shared).count();
        // A segment has room for one such block.
        let size = LARGE_MAX - SLICE;
        let mut blocks = many(1, size);
        // Once in the arena that is there; once when all its segments are taken.
        for segments in [1, segment::reserved() / SEGMENT] {
            while shared() < segments {
                blocks.push(Held::of(size));
            }
            let before = shared();
            let mut calls = 0;
            loop {
                let attempt = || {
                    let _failing = fail_from(calls + 1);
                    Held::try_of(size)
                };
                let first = attempt();
                let footprint = Footprint::now();
                let made = first.into_iter().chain((0..5).filter_map(|_| attempt())).next();
                if let Some(block) = made {
                    blocks.push(block);
                    break;
                }
                assert_eq!(Footprint::now(), footprint, "call {}", calls + 1);
                calls += 1;
            }
            // What was made before the call that failed is used by the next attempt: there are fewer calls each time.
            assert!(calls > 1, "{calls} calls");
            assert_eq!(shared(), before + 1);
        }
        free_all(blocks);
        is_well();
    });
}

/// Does `deed` in a process of its own for each of its calls failing in turn: it is told which, starts the plan, and tells
/// whether that call came. Only without randomness may the process die.
fn each_call_fails_in_a_process_of_its_own(test: &'static str, prepare: impl Fn(), deed: impl Fn(Plan) -> bool) {
    const CALL: &str = "FAIL_CALL";
    const KIND: &str = "FAIL_KIND";
    const DONE: &str = "that was all";
    let no_randomness = ["mock: failed with errno ", &libc::ENOSYS.to_string(), "\n"].concat();
    for kind in 0..Plan::KINDS.len() {
        let mut deaths = 0;
        let calls = (1..MANY).find(|call| {
            let child = Child::of(test).with(CALL, &call.to_string()).with(KIND, &kind.to_string());
            let corpse = child.run(|| {
                // In the child: the plan is the parent's.
                let variable = |name| std::env::var(name).unwrap().parse::<u64>().unwrap();
                mock::fail_aloud();
                prepare();
                if !deed(Plan { kind: variable(KIND) as usize, call: variable(CALL) }) {
                    std::eprintln!("{DONE}");
                }
                is_well();
            });
            if corpse.signal == Some(libc::SIGABRT) && corpse.stderr.contains(&no_randomness) {
                assert!(corpse.ours()[0].starts_with("ravelin: no source of randomness"), "{corpse:?}");
                deaths += 1;
            } else {
                assert_eq!(corpse.code, Some(0), "call {call}, kind {kind}: {}\n{corpse:?}", corpse.stderr);
            }
            corpse.stderr.contains(DONE)
        });
        std::eprintln!("kind {kind}: {calls:?} calls, {deaths} deaths");
        assert!(calls.is_some_and(|calls| calls > 1));
    }
}

/// Allocates with a plan, and frees without.
fn allocate_once(size: usize, plan: Plan) -> bool {
    let failing = plan.start();
    let block = Held::try_of(size);
    let fired = failing.fired();
    drop(failing);
    block.into_iter().for_each(Held::free);
    fired
}

#[test]
fn the_first_allocation_of_a_process_succeeds_or_gives_null() {
    let test = "heap::tests::injection::the_first_allocation_of_a_process_succeeds_or_gives_null";
    each_call_fails_in_a_process_of_its_own(test, || {}, |plan| allocate_once(48, plan));
}

#[test]
fn the_first_large_allocation_of_a_process_succeeds_or_gives_null() {
    let test = "heap::tests::injection::the_first_large_allocation_of_a_process_succeeds_or_gives_null";
    each_call_fails_in_a_process_of_its_own(test, || {}, |plan| allocate_once(300_000, plan));
}

#[test]
fn a_thread_starts_and_ends_whatever_fails() {
    let test = "heap::tests::injection::a_thread_starts_and_ends_whatever_fails";
    each_call_fails_in_a_process_of_its_own(
        test,
        || Held::of(48).free(),
        |plan| {
            let work = move || {
                let failing = plan.start();
                Held::try_of(48).into_iter().for_each(Held::free);
                let fired = failing.fired();
                // Goes on over the end of the thread.
                core::mem::forget(failing);
                fired
            };
            thread::spawn(work).join().unwrap()
        },
    );
}

#[test]
fn a_heap_begins_lives_and_ends_whatever_fails() {
    alone("heap::tests::injection::a_heap_begins_lives_and_ends_whatever_fails", || {
        let of = |heap: HeapHandle, size: usize| {
            let own = heap.expect_own(Operation::Malloc);
            Held::adopt(allocate_in(own, size, GRANULE, Terms::of(Fill::Any)), size)
        };
        for dies in [false, true] {
            let calls = each_call_fails(
                || {
                    let heap = new().expect("memory");
                    let blocks = [48, 5000, 300_000].map(|size| of(heap, size).expect("memory"));
                    (heap, Vec::from(blocks))
                },
                |(kept, blocks)| {
                    let Some(heap) = new() else { return };
                    set_default(heap);
                    let mine: Vec<Held> = [16, 3000, 200_000, LARGE_MAX + 1]
                        .into_iter()
                        .flat_map(|size| [of(heap, size), Held::try_of(size)])
                        .flatten()
                        .collect();
                    blocks.extend(of(*kept, 2000));
                    mine.iter().for_each(Held::check);
                    if dies {
                        destroy(heap);
                    } else {
                        delete(heap);
                        blocks.extend(mine);
                    }
                },
                |(kept, blocks)| {
                    assert_eq!(default(), backing());
                    free_all(blocks);
                    destroy(kept);
                },
            );
            assert_ne!(calls, 0);
        }
    });
}

#[test]
fn an_arena_is_made_or_nothing_is_left_of_it() {
    alone("heap::tests::injection::an_arena_is_made_or_nothing_is_left_of_it", || {
        for kind in 0..Plan::KINDS.len() {
            for call in 1..MANY {
                Held::of(16).free();
                let before = (segment::reserved(), mock::reservations());
                let failing = Plan { kind, call }.start();
                let made = segment::reserve(3 * SEGMENT, Use::Exclusive);
                let fired = failing.fired();
                drop(failing);
                match made {
                    Ok(id) => {
                        let heap = new_at(id).expect("memory");
                        let own = heap.expect_own(Operation::Malloc);
                        assert!(!allocate_in(own, 100, GRANULE, Terms::of(Fill::Any)).is_null());
                        destroy(heap);
                    }
                    // Metadata may have grown by a slab, which the next arena uses.
                    Err(NoArena) => {
                        assert_eq!(segment::reserved(), before.0);
                        assert!(mock::reservations() <= before.1 + 1);
                    }
                }
                is_well();
                if !fired {
                    break;
                }
            }
        }
    });
}
