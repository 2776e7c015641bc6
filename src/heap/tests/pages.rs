//! A page's way through its heap.

use super::*;
use crate::page::{TRAILER, VOIDS, roomy};
use crate::testing::turn;
use core::ptr::{eq, from_ref};
use std::thread;
use std::vec;

/// In a thread of its own, with a heap that nobody else has used, and no abandoned page of a class to adopt.
fn in_a_new_heap(deed: impl FnOnce() + Send) {
    let _turn = turn();
    Held::of(16).free();
    collect(Collect::Gently);
    thread::scope(|scope| {
        scope
            .spawn(|| {
                not_waiting();
                deed();
            })
            .join()
            .unwrap();
    });
}

fn queue(size: usize) -> Vec<*const Page> {
    thread_of_test().heap.queue(class_for(size)).iter().map(from_ref).collect()
}

fn full() -> Vec<*const Page> {
    thread_of_test().heap.full.iter().map(from_ref).collect()
}

fn thread_of_test() -> &'static Thread {
    super::thread()
}

/// Two pages of a class: the first full, the second with one block.
fn two_pages(size: usize) -> (Vec<Held>, Vec<Held>) {
    let first = many(page_holds(size), size);
    let second = many(1, size);
    assert!(!eq(first[0].page(), second[0].page()));
    (first, second)
}

#[test]
fn a_full_page_comes_back_at_the_tail_when_enough_of_it_is_free() {
    in_a_new_heap(|| {
        let (mut first, second) = two_pages(1024);
        let (a, b) = (first[0].page(), second[0].page());
        assert_eq!(queue(1024), [from_ref(b)]);
        assert_eq!(full(), [from_ref(a)]);
        let enough = roomy(first.len() as u32) as usize;
        free_all(first.drain(..enough - 1));
        assert_eq!(full(), [from_ref(a)], "not for a few blocks");
        first.pop().unwrap().free();
        assert_eq!(queue(1024), [from_ref(b), from_ref(a)]);
        assert!(full().is_empty());
        // So what was freed first waits longest: the next blocks are the other page's.
        let next = Held::of(1024);
        assert!(eq(next.page(), b));
        free_all(first.into_iter().chain(second).chain([next]));
        is_well();
    });
}

fn idle() -> Vec<*const Page> {
    thread_of_test().heap.idle.iter().map(from_ref).collect()
}

#[test]
fn a_page_that_empties_beside_others_is_put_aside_and_used_again_as_it_is() {
    in_a_new_heap(|| {
        let (first, mut second) = two_pages(1024);
        let page = first[0].page();
        let key = page.key();
        free_all(first);
        assert_eq!((queue(1024), idle()), (vec![from_ref(second[0].page())], vec![from_ref(page)]));
        assert!(full().is_empty());
        check_heap().expect("a sound heap");
        // What is idle comes back when the other page is full, if that is soon.
        thread_of_test().heap.beats.store(0, crate::sync::Relaxed);
        second.extend(many(page_holds(1024) - 1, 1024));
        assert_eq!(idle(), [from_ref(page)]);
        let next = Held::of(1024);
        assert!(eq(next.page(), page) && idle().is_empty());
        assert_eq!(page.key(), key, "not born again");
        free_all(second.into_iter().chain([next]));
        is_well();
    });
}

#[test]
fn an_idle_page_is_given_up_when_another_class_wants_memory_or_when_time_has_passed() {
    in_a_new_heap(|| {
        let blocks = many(4 * page_holds(1024), 1024);
        free_all(blocks);
        assert_eq!(idle().len(), 3);
        let last = *idle().last().unwrap();
        let other = Held::of(48);
        assert!(idle().len() == 2 && !idle().contains(&last), "the longest idle first");
        for _ in 0..crate::heap::malloc::IDLE_BEATS {
            thread_of_test().heap.beat(None);
        }
        assert_eq!(idle().len(), 1);
        collect(Collect::Gently);
        assert!(idle().is_empty());
        other.free();
        is_well();
    });
}

#[test]
#[cfg_attr(miri, ignore = "takes half an hour")]
fn no_more_than_four_mib_of_pages_are_idle() {
    in_a_new_heap(|| {
        let blocks = many(70 * page_holds(1024), 1024);
        free_all(blocks);
        assert_eq!(idle().len(), 64);
        check_heap().expect("a sound heap");
        collect(Collect::Gently);
        assert_eq!(thread_of_test().heap.pages().count(), 0);
        is_well();
    });
}

#[test]
fn the_only_page_of_a_class_is_kept_for_some_rounds_when_it_is_empty() {
    in_a_new_heap(|| {
        let block = Held::of(1024);
        let page = block.page();
        block.free();
        let rounds = |count: u32| {
            (0..count * crate::heap::malloc::IDLE_BEATS).for_each(|_| thread_of_test().heap.beat(None));
        };
        rounds(14);
        assert_eq!(queue(1024), [from_ref(page)]);
        rounds(2);
        assert!(queue(1024).is_empty(), "its time is over");
        // A loop over one block does not give its page a new life at each turn.
        let mut lives = 0;
        let mut last = core::ptr::null();
        for _ in 0..100 {
            Held::of(1024).free();
            lives += usize::from(queue(1024) != [last]);
            last = queue(1024)[0];
        }
        assert!(lives <= 100 / 16, "{lives} lives");
        is_well();
    });
}

#[test]
fn a_collection_gives_empty_pages_up_whatever_their_patience() {
    in_a_new_heap(|| {
        free_all([16, 100, 1024, 10_000].map(Held::of));
        assert_eq!(thread_of_test().heap.pages().count(), 4);
        collect(Collect::Gently);
        assert_eq!(thread_of_test().heap.pages().count(), 0);
        is_well();
    });
}

#[test]
fn a_full_page_that_others_have_emptied_is_found_by_a_collection() {
    in_a_new_heap(|| {
        let (first, second) = two_pages(1024);
        thread::spawn(move || free_all(first)).join().unwrap();
        assert_eq!(full().len(), 1);
        collect(Collect::Gently);
        assert!(full().is_empty());
        assert_eq!(queue(1024), [from_ref(second[0].page())]);
        free_all(second);
    });
}

#[test]
fn the_next_slow_path_takes_what_others_have_freed() {
    in_a_new_heap(|| {
        let (mut first, second) = two_pages(1024);
        let page = first[0].page();
        let given = first.split_off(first.len() / 2);
        let count = given.len();
        thread::spawn(move || free_all(given)).join().unwrap();
        assert_eq!(page.used() as usize, first.len() + count, "used until they are collected");
        Held::of(48).free();
        assert_eq!(page.used() as usize, first.len());
        assert!(full().is_empty());
        free_all(first.into_iter().chain(second));
    });
}

#[test]
fn the_table_names_the_first_page_of_the_class_for_every_small_size() {
    in_a_new_heap(|| {
        let sizes = [usize::from(VOIDS), 1, 16, 17, 128, 129, 160, 161, 1000, 1024 - TRAILER];
        let blocks = sizes.map(Held::of);
        for (size, block) in sizes.iter().zip(&blocks) {
            assert!(eq(thread_of_test().heap.direct(padded(*size)), block.page()), "{size}");
        }
        free_all(blocks);
        collect(Collect::Gently);
        for size in sizes {
            assert!(eq(thread_of_test().heap.direct(padded(size)), &crate::page::EMPTY), "{size}");
        }
    });
}

#[test]
fn the_census_counts_every_block_once() {
    in_a_new_heap(|| {
        let before = check_heap().expect("a sound heap");
        let mut blocks: Vec<Held> = [16, 100, 1024, 10_000].into_iter().flat_map(|size| many(20, size)).collect();
        let census = check_heap().expect("a sound heap");
        assert_eq!(census.live, before.live + 80);
        let given = blocks.split_off(70);
        thread::spawn(move || free_all(given)).join().unwrap();
        let census = check_heap().expect("a sound heap");
        let posted = if crate::mitigations::MITIGATIONS.free_checks { 10 } else { 0 };
        assert_eq!((census.live, census.posted), (before.live + 80 - posted, before.posted + posted));
        free_all(blocks);
        collect(Collect::Gently);
        assert_eq!(check_heap().expect("a sound heap").live, before.live);
    });
}
