//! Pages of ended threads.

use super::super::abandon;
use super::super::thread::GONE;
use super::*;
use crate::options::{self, Setting};
use crate::os;
use crate::remote::Owner;
use crate::segment;
use crate::testing::{alone, turn};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;

fn of_an_ended_thread(count: usize, size: usize) -> Vec<Held> {
    thread::spawn(move || many(count, size)).join().unwrap()
}

#[test]
fn a_thread_that_ends_leaves_only_pages_with_live_blocks() {
    let _turn = turn();
    collect(Collect::Gently);
    let before = abandon::count();
    let block = thread::spawn(|| {
        free_all([16, 2000, 10_000].map(Held::of));
        Held::of(700)
    });
    let block = block.join().unwrap();
    assert_eq!(abandon::count(), before + 1);
    assert_eq!(block.page().face.owner.load(), Owner::Abandoned);
    block.free();
    assert_eq!(abandon::count(), before);
}

#[test]
fn an_empty_abandoned_page_goes_back_at_once() {
    let _turn = turn();
    let blocks = of_an_ended_thread(3, 700);
    let (page, segment) = (blocks[0].page(), blocks[0].segment());
    let slice = page.face.first_slice();
    thread::spawn(move || free_all(blocks)).join().unwrap();
    assert_eq!(page.face.owner.load(), Owner::Nobody);
    assert!(!segment.is_used(slice));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock), ignore = "asks the kernel")]
fn what_threads_had_that_ended_without_a_call_is_found_by_later_ones() {
    alone("heap::tests::threads::what_threads_had_that_ended_without_a_call_is_found_by_later_ones", || {
        let lose = |_| {
            let work = || {
                let block = Held::of(700);
                // As for one that has first allocated in the last round of destructors.
                os::arm_thread_exit(core::ptr::null_mut()).expect("there is a key");
                block
            };
            thread::spawn(work).join().unwrap()
        };
        // A thread that was joined may be known to the kernel for a moment longer.
        let blocks: Vec<Held> = (0..200).map(lose).collect();
        let pages: BTreeSet<_> = blocks.iter().map(|block| core::ptr::from_ref(block.page())).collect();
        let threads = Thread::all().count();
        assert!(threads < 50 && pages.len() < 50, "{threads} threads and {} pages", pages.len());
        free_all(blocks);
        check_heap().expect("a sound heap");
    });
}

#[test]
fn a_thread_adopts_a_few_pages_by_freeing_into_them_and_leaves_the_rest_to_others() {
    alone(
        "heap::tests::threads::a_thread_adopts_a_few_pages_by_freeing_into_them_and_leaves_the_rest_to_others",
        || {
            options::set(Setting::AbandonedLimit, 2);
            let start = Barrier::new(5);
            let mut blocks: Vec<Held> = thread::scope(|scope| {
                let work = || {
                    let blocks = many(3, 700);
                    // Each has its own page: none has ended yet.
                    start.wait();
                    blocks
                };
                let workers: Vec<_> = (0..5).map(|_| scope.spawn(work)).collect();
                workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
            });
            assert_eq!(abandon::count(), 5);
            let pages: Vec<_> = blocks.iter().step_by(3).map(Held::page).collect();
            // Of each page one block; a page is not the next thread's, for that one ended before.
            Held::of(48).free();
            for index in (0..5).rev() {
                blocks.remove(3 * index).free();
            }
            let mine = || pages.iter().filter(|page| page.owned_by(super::thread().me()).is_some()).count();
            assert_eq!((mine(), abandon::count()), (2, 3));
            assert!(pages.iter().all(|page| page.used() == 2), "those left are collected all the same");
            // When these are gone, it may have others.
            free_all(blocks.split_off(6));
            collect(Collect::Fully);
            assert_eq!((mine(), abandon::count()), (0, 3));
            for index in (0..3).rev() {
                blocks.remove(2 * index).free();
            }
            assert_eq!((mine(), abandon::count()), (2, 1));
            free_all(blocks);
            assert_eq!(abandon::count(), 0);
        },
    );
}

#[test]
fn a_thread_adopts_a_page_with_room_and_leaves_full_ones() {
    alone("heap::tests::threads::a_thread_adopts_a_page_with_room_and_leaves_full_ones", || {
        // Several that are full, and one that is not.
        let full = if CHECKER { 1 } else { 5 } * page_holds(3000);
        let mut blocks = of_an_ended_thread(full + 1, 3000);
        let pages = abandon::count();
        let roomy = blocks[full].page();
        for _ in 0..3 {
            let block = of_an_ended_thread(1, 3000).remove(0);
            assert!(core::ptr::eq(block.page(), roomy));
            assert_eq!(abandon::count(), pages);
            blocks.push(block);
        }
        free_all(blocks);
        assert_eq!(abandon::count(), 0);
    });
}

#[test]
fn a_collection_looks_after_abandoned_pages() {
    let _turn = turn();
    let mut blocks = of_an_ended_thread(20, 700);
    let page = blocks[0].page();
    // As by threads that found the page claimed: the marks are set, and nobody has collected.
    let owned = page.face.owner.claim::<crate::remote::All>().expect("abandoned");
    free_all(blocks.drain(..15));
    assert_eq!(page.used(), 20);
    assert!(page.face.owner.abandon::<crate::remote::All>(page.summary(), owned), "there is something to collect");
    collect(Collect::Gently);
    assert_eq!(page.used(), 5);
    free_all(blocks);
}

#[test]
fn a_page_claimed_by_another_takes_frees_meanwhile() {
    let _turn = turn();
    let mut blocks = of_an_ended_thread(2, 700);
    let page = blocks[0].page();
    let owned = page.face.owner.claim::<crate::remote::All>().expect("abandoned");
    assert!(page.face.owner.claim::<crate::remote::All>().is_none(), "one at a time");
    blocks.pop().unwrap().free();
    assert_eq!(page.face.owner.load(), Owner::Busy);
    assert!(page.face.owner.abandon::<crate::remote::All>(page.summary(), owned), "there is something to collect");
    free_all(blocks);
    is_well();
}

#[test]
fn a_thread_without_a_heap_finds_its_page_again() {
    let _turn = turn();
    collect(Collect::Fully);
    let pages = thread::spawn(|| {
        os::set_local_state(GONE);
        let blocks = many(30, 640);
        let pages: std::collections::BTreeSet<usize> =
            blocks.iter().map(|block| core::ptr::from_ref(block.page()).addr()).collect();
        free_all(blocks);
        pages.len()
    });
    assert_eq!(pages.join().unwrap(), 1, "each moment's heap adopts the page of the last");
    is_well();
}

#[test]
#[cfg_attr(miri, ignore = "many threads")]
fn threads_that_come_and_go_leave_nothing_behind() {
    alone("heap::tests::threads::threads_that_come_and_go_leave_nothing_behind", || {
        let footprint = || (segment::segments().count(), Thread::all().count(), segment::reserved());
        let round = || {
            let mut kept: Vec<Held> = Vec::new();
            for _ in 0..200 {
                let given = core::mem::take(&mut kept);
                let thread = thread::spawn(move || {
                    let mut blocks: Vec<Held> =
                        [16, 48, 700, 5000, 100_000].into_iter().flat_map(|s| many(9, s)).collect();
                    free_all(given);
                    let kept = blocks.split_off(22);
                    free_all(blocks);
                    kept
                });
                kept = thread.join().unwrap();
            }
            free_all(kept);
            collect(Collect::Fully);
        };
        round();
        let before = footprint();
        (0..3).for_each(|_| round());
        assert_eq!(footprint(), before);
        assert_eq!(abandon::count(), 0);
    });
}

#[test]
#[cfg_attr(miri, ignore = "many threads")]
fn of_threads_that_start_first_and_together_none_is_forgotten() {
    let test = "heap::tests::threads::of_threads_that_start_first_and_together_none_is_forgotten";
    for _ in 0..20 {
        alone(test, || {
            const THREADS: usize = 8;
            let start = Barrier::new(THREADS);
            thread::scope(|scope| {
                let workers: Vec<_> = (0..THREADS)
                    .map(|_| {
                        scope.spawn(|| {
                            start.wait();
                            Held::of(48).free();
                        })
                    })
                    .collect();
                workers.into_iter().for_each(|worker| worker.join().unwrap());
            });
            assert_eq!(Thread::all().filter(|thread| thread.is_active()).count(), 0);
        });
    }
}
