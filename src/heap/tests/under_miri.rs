//! Threads that meet in the engine: small enough for Miri, which finds data races, undefined behaviour and pointers
//! without provenance on the way. `cargo xtask miri` runs these.

use super::*;
use crate::heap::thread::GONE;
use crate::os;
use crate::remote::Owner;
use crate::testing::turn;
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread;

#[test]
fn blocks_freed_by_another_thread_come_back_to_their_owner() {
    let _turn = turn();
    let blocks = many(20, 104);
    let before = thread().collected();
    thread::spawn(move || free_all(blocks)).join().unwrap();
    collect(Collect::Gently);
    assert_eq!(thread().collected() - before, 20);
    is_well();
}

#[test]
fn two_threads_free_into_a_page_that_its_owner_allocates_from() {
    let _turn = turn();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (sender, inbox) = channel::<Held>();
                scope.spawn(move || free_all(inbox));
                sender
            })
            .collect();
        let mut mine = Vec::new();
        for turn in 0..60 {
            let block = Held::of(48);
            match turn % 3 {
                2 => mine.push(block),
                other => senders[other].send(block).unwrap(),
            }
        }
        free_all(mine);
        check_heap().expect("a sound heap");
    });
    is_well();
}

#[test]
fn threads_hand_blocks_round_while_all_allocate() {
    const THREADS: usize = 3;
    let _turn = turn();
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel::<Held>()).unzip();
    thread::scope(|scope| {
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let next = senders[(number + 1) % THREADS].clone();
            scope.spawn(move || {
                for turn in 0..12 {
                    next.send(Held::of(16 + turn % 4 * 200)).unwrap();
                    if let Ok(block) = inbox.try_recv() {
                        block.free();
                    }
                }
                drop(next);
                // The others may have ended by now, and their pages be abandoned.
                free_all(inbox);
            });
        }
        drop(senders);
    });
    is_well();
}

#[test]
fn a_page_whose_thread_has_ended_is_adopted_by_who_needs_its_class() {
    let _turn = turn();
    let block = thread::spawn(|| Held::of(704)).join().unwrap();
    let page = block.page();
    assert_eq!(page.face.owner.load(), Owner::Abandoned);
    let other = thread::spawn(move || {
        // A thread without a page of this class looks for one before it makes one.
        let other = Held::of(696);
        assert!(core::ptr::eq(other.page(), page));
        block.free();
        other
    });
    other.join().unwrap().free();
    is_well();
}

#[test]
fn a_block_freed_into_an_abandoned_page_is_taken_back_at_once() {
    let _turn = turn();
    let (first, second) = thread::spawn(|| (Held::of(304), Held::of(304))).join().unwrap();
    let page = first.page();
    Held::of(16).free();
    first.free();
    assert!(page.owned_by(thread().me()).is_some(), "{:?}", page.face.owner.load());
    second.free();
    is_well();
}

#[test]
fn threads_race_to_free_into_the_page_of_an_ended_one() {
    let _turn = turn();
    let mut blocks = thread::spawn(|| many(12, 400)).join().unwrap();
    let start = Barrier::new(2);
    let half = blocks.split_off(6);
    thread::scope(|scope| {
        for part in [blocks, half] {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                free_all(part);
            });
        }
    });
    is_well();
}

#[test]
fn a_page_is_given_up_while_others_free_into_it() {
    let _turn = turn();
    let (sender, inbox) = channel::<Held>();
    let freer = thread::spawn(move || free_all(inbox));
    thread::spawn(move || {
        for block in many(8, 200) {
            sender.send(block).unwrap();
        }
        // Ends, and so abandons its page, while the blocks come back.
    })
    .join()
    .unwrap();
    freer.join().unwrap();
    is_well();
}

#[test]
fn a_thread_whose_heap_is_gone_allocates_and_frees() {
    let _turn = turn();
    let mine = Held::of(64);
    let theirs = thread::spawn(move || {
        // As after the last round of destructors.
        os::set_local_state(GONE);
        let blocks = [Held::of(64), Held::of(5000), Held::of(300_000)];
        assert!(Thread::current().is_none());
        mine.free();
        let [small, medium, large] = blocks;
        medium.free();
        large.free();
        small
    })
    .join()
    .unwrap();
    theirs.free();
    is_well();
}

#[test]
fn a_thread_that_only_frees_needs_no_heap() {
    let _turn = turn();
    let abandoned = thread::spawn(|| Held::of(904)).join().unwrap();
    let (small, large) = (Held::of(904), Held::of(300_000));
    thread::spawn(move || {
        free_all([abandoned, small, large]);
        assert!(Thread::current().is_none());
    })
    .join()
    .unwrap();
    is_well();
}

#[test]
fn large_and_huge_blocks_change_hands_and_sizes() {
    let _turn = turn();
    let (large, huge) = (Held::of(200_000), Held::of(2 * LARGE_MAX));
    thread::spawn(move || {
        large.free();
        // SAFETY: this thread has it now.
        let start = unsafe { super::super::reallocate(huge.pointer(), 2 * LARGE_MAX - 100_000) };
        assert_eq!(start.addr(), huge.address());
        // SAFETY: as above.
        let start = unsafe { super::super::reallocate(UserPtr::new(start), LARGE_MAX) };
        let shrunk = Held { start: NonNull::new(start).unwrap(), ..huge };
        shrunk.begins_as_written(LARGE_MAX);
        shrunk.free_unchecked();
    })
    .join()
    .unwrap();
    collect(Collect::Fully);
    is_well();
}

#[test]
fn metadata_of_ended_threads_serves_the_next() {
    let _turn = turn();
    let count = || Thread::all().count();
    thread::spawn(|| Held::of(32).free()).join().unwrap();
    let before = count();
    for _ in 0..4 {
        thread::spawn(|| Held::of(32).free()).join().unwrap();
    }
    assert_eq!(count(), before);
}

/// The last by its name: a guard that was refused is not asked for again by any test in the same process.
#[test]
#[cfg(any(miri, ravelin_mock))]
fn whatever_call_fails_all_is_as_it_was() {
    use crate::os::mock::fail_nth;
    use crate::testing::alone;
    alone("heap::tests::under_miri::whatever_call_fails_all_is_as_it_was", || {
        for size in [1600, 200_000] {
            let calls = (1..).find(|&call| {
                let kept = Held::of(48);
                collect(Collect::Fully);
                let failing = fail_nth(call);
                Held::try_of(size).into_iter().for_each(Held::free);
                let fired = failing.fired();
                drop(failing);
                kept.free();
                !fired
            });
            assert!(calls > Some(1), "{size} bytes ask nothing of the system");
        }
        is_well();
    });
}
