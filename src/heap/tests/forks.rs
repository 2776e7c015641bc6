//! What other threads were in the middle of when the process forked.

use super::*;
use crate::entropy::Rng;
use crate::options::{self, Setting};
use crate::os;
use crate::os::testing::{Birth, Ending, in_child};
use crate::segment::{self, Home, Role, Run};
use crate::sync::{AtomicBool, Relaxed};
use crate::testing::alone;
use core::sync::atomic::Ordering::AcqRel;
use std::sync::{Barrier, Mutex};
use std::thread;

/// Does `deed` in another thread, which then waits while a child of this process does `work`.
fn forked_after(deed: impl FnOnce() + Send, work: impl FnOnce() -> i32) {
    let barrier = Barrier::new(2);
    let ending = thread::scope(|scope| {
        scope.spawn(|| {
            deed();
            barrier.wait();
            barrier.wait();
        });
        barrier.wait();
        let ending = in_child(Birth::Fork, work);
        barrier.wait();
        ending
    });
    assert_eq!(ending, Some(Ending::Exit(0)));
}

/// Has another thread do `deed` to a large block, and sees that the child gives back what that had.
fn ended_in_the_child(deed: impl Fn(&'static Segment, &'static Page) + Sync) {
    for size in [200_000, LARGE_MAX + 1] {
        let block = Held::of(size);
        let (segment, page) = (block.segment(), block.page());
        let slice = page.face.first_slice();
        forked_after(
            || deed(segment, page),
            || {
                collect(Collect::Fully);
                let is_kept = is_kept(segment, slice);
                is_well();
                i32::from(is_kept)
            },
        );
    }
}

/// Whether a large block that starts there has kept its slices or its mapping.
fn is_kept(segment: &Segment, slice: usize) -> bool {
    segment.role() == Role::Huge || segment.is_used(slice)
}

#[test]
fn what_a_thread_without_a_heap_has_freed_half_is_taken_back() {
    alone("heap::tests::forks::what_a_thread_without_a_heap_has_freed_half_is_taken_back", || {
        let blocks = many(5, 700);
        let page = blocks[0].page();
        let before = page.used();
        let spot = blocks[0].segment().tables().spot(Granule::of(blocks[0].address()));
        let address = blocks[0].address();
        let post = || {
            if MITIGATIONS.zero_on_free {
                page.wipe(page.face.block(address));
            }
            spot.remote.fetch_or(spot.mask(), AcqRel); // and is stopped before it tells anybody
        };
        forked_after(post, || {
            collect(Collect::Gently);
            i32::from(page.used() != before - 1)
        });
    });
}

#[test]
fn a_large_block_that_a_thread_was_freeing_is_given_back() {
    alone("heap::tests::forks::a_large_block_that_a_thread_was_freeing_is_given_back", || {
        ended_in_the_child(|segment, page| segment::claim_single(segment, page).expect("it is live"));
    });
}

#[test]
fn a_large_block_that_a_thread_was_making_is_given_back() {
    alone("heap::tests::forks::a_large_block_that_a_thread_was_making_is_given_back", || {
        // As far as a thread is that has just made it of a freed one, and not put it down.
        ended_in_the_child(|_, page| page.face.take_in_hand());
    });
}

#[test]
fn a_large_block_that_a_thread_had_made_inaccessible_is_not_handed_out_like_that() {
    alone("heap::tests::forks::a_large_block_that_a_thread_had_made_inaccessible_is_not_handed_out_like_that", || {
        // What is freed is handed out next.
        options::set(Setting::QuarantineCount, 0);
        for size in [200_000, LARGE_MAX + 1] {
            let block = Held::of(size);
            let (segment, page) = (block.segment(), block.page());
            let free_half = || {
                segment::claim_single(segment, page).expect("it is live");
                segment::retire_half(segment, page); // and is stopped before it tells anybody
            };
            forked_after(free_half, || {
                for _ in 0..3 {
                    Held::of(size).free();
                }
                is_well();
                0
            });
        }
    });
}

#[test]
fn an_empty_page_that_another_threads_heap_kept_serves_the_child() {
    alone("heap::tests::forks::an_empty_page_that_another_threads_heap_kept_serves_the_child", || {
        let some = || free_all(many(3 * page_holds(700), 700));
        forked_after(some, || {
            some();
            collect(Collect::Fully);
            is_well();
            0
        });
    });
}

/// Has another thread claim slices and do `deed` with them, and sees that the child has them back, and this process has not.
fn released_in_the_child(deed: impl Fn(&Run) + Sync) {
    let claimed = Mutex::new(None);
    let is_used = || {
        let run: Run = claimed.lock().expect("nobody panics").expect("slices");
        run.segment.is_used(run.first) && run.segment.is_used(run.first + 1)
    };
    // A thread that is no more has registered the handlers: neither the one that claims nor the one that forks has a heap.
    thread::spawn(|| Held::of(48).free()).join().expect("it does not panic");
    let claim = || {
        let run = segment::claim(Home::ANY, 2).expect("memory");
        deed(&run);
        *claimed.lock().expect("nobody panics") = Some(run);
    };
    forked_after(claim, || i32::from(is_used()));
    assert!(is_used());
}

#[test]
fn slices_that_a_thread_had_claimed_for_a_page_are_given_back() {
    alone("heap::tests::forks::slices_that_a_thread_had_claimed_for_a_page_are_given_back", || {
        released_in_the_child(|_| ());
    });
}

#[test]
fn a_page_that_a_thread_had_given_up_half_is_given_back() {
    alone("heap::tests::forks::a_page_that_a_thread_had_given_up_half_is_given_back", || {
        released_in_the_child(|run| {
            let me = Thread::current_or_new().expect("memory").me();
            let class = Class::of(100).expect("a class");
            let (page, owned) = segment::bear(run, class, me, &Rng::new()).expect("a page");
            page.face.take_blocks_in_hand(run.first, run.count);
            page.face.owner.retire(owned.expect("nothing was freed late")); // and is stopped before it takes the lock
        });
    });
}

#[test]
fn slices_that_the_forking_thread_itself_had_claimed_stay_its_own() {
    alone("heap::tests::forks::slices_that_the_forking_thread_itself_had_claimed_stay_its_own", || {
        // As a handler of a signal may find them that forks.
        let run = segment::claim(Home::ANY, 1).expect("memory");
        forked_after(|| (), || i32::from(!run.segment.is_used(run.first)));
        segment::space::release(&run);
    });
}

#[test]
fn metadata_that_a_thread_had_just_taken_is_spare_again() {
    alone("heap::tests::forks::metadata_that_a_thread_had_just_taken_is_spare_again", || {
        let made = || Thread::all().count();
        let take = || {
            Thread::current_or_new().expect("memory");
            Thread::take_as_it_is().expect("memory");
        };
        // Both the thread's own and what it has just taken; and this thread has none.
        forked_after(take, || {
            let spare = made();
            let taken = (0..spare).filter(|_| Thread::take().is_some() && made() == spare).count();
            i32::from(spare != 2 || taken != spare)
        });
    });
}

#[test]
fn handlers_that_were_registered_before_ours_may_allocate() {
    alone("heap::tests::forks::handlers_that_were_registered_before_ours_may_allocate", || {
        extern "C" fn work() {
            free_all([48, 3000, 100_000, 500_000, LARGE_MAX + 1].map(Held::of));
            collect(Collect::Fully);
        }
        os::at_fork(work, work, work).expect("memory");
        Held::of(48).free();
        let (start, stop) = (Barrier::new(3), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    while !stop.load(Relaxed) {
                        work();
                    }
                });
            }
            start.wait();
            let child = || {
                work();
                is_well();
                0
            };
            let endings: Vec<_> = (0..20).map(|_| in_child(Birth::Fork, child)).collect();
            stop.store(true, Relaxed);
            assert_eq!(endings, [const { Some(Ending::Exit(0)) }; 20]);
        });
        is_well();
    });
}

#[test]
fn a_thread_that_is_alone_may_fork_while_it_holds_the_lock() {
    // As a handler of a signal does that interrupts it. In a child, for a test has the harness's thread beside it.
    alone("heap::tests::forks::a_thread_that_is_alone_may_fork_while_it_holds_the_lock", || {
        Held::of(48).free();
        let ending = in_child(Birth::Fork, || {
            let locked = segment::space::lock();
            let inner = in_child(Birth::Fork, || 0);
            let is_held = segment::space::try_lock().is_none();
            drop(locked);
            let outer = in_child(Birth::Fork, || {
                Held::of(500_000).free();
                0
            });
            free_all([48, 3000, 500_000].map(Held::of));
            i32::from(!is_held || [inner, outer] != [Some(Ending::Exit(0)); 2])
        });
        assert_eq!(ending, Some(Ending::Exit(0)));
    });
}
