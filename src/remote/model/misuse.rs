//! Blocks that are freed twice: one of the parties says so, at the latest when the owner next collects.

use super::*;
use crate::mitigations::MITIGATIONS;
use crate::sync::{Acquire, Release};
use std::collections::BTreeSet;

/// What the owner does once all threads are done.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Takes its mail: an untold double free is a miss.
    Collects,
    /// Allocates, then takes its mail, and allocates again.
    Allocates,
}

/// All threads are done. Who has found a double free stops the process: then nothing more is promised.
fn finish<R: Rules>(world: &World, then: Then, mut flagged: bool) {
    let page = &world.pages[0];
    let owned = page.owner.owned_by(world.me(0)).expect("the owner is no other");
    let mut got = BTreeSet::new();
    let mut pop = |flagged: &mut bool| match page.pop::<R>(&owned) {
        Ok(Some(block)) => assert!(got.insert(block), "a block has a second owner"),
        Ok(None) => {}
        Err(Flagged) => *flagged = true,
    };
    if let Then::Allocates = then {
        for _ in 0..2 {
            if !flagged {
                pop(&mut flagged);
            }
        }
    }
    flagged = flagged || world.settle::<R>().is_err();
    if !flagged {
        pop(&mut flagged);
    }
}

/// Frees `block` in a thread of its own. The result: whether it was flagged.
fn freer<R: Rules>(world: &Arc<World>, block: usize) -> thread::JoinHandle<bool> {
    let world = Arc::clone(world);
    thread::spawn(move || world.free::<R>(None, &world.pages[0], block).is_err())
}

/// Two other threads free one block. The owner takes its mail meanwhile.
fn remote_and_remote<R: Rules>(then: Then) {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let freers = [freer::<R>(&world, X), freer::<R>(&world, X)];
    let mut flagged = world.take_mail::<R>(0).is_err();
    for freer in freers {
        flagged |= freer.join().expect("no panic");
    }
    finish::<R>(&world, then, flagged);
}

/// The owner frees a block, and another thread does; the owner allocates and collects meanwhile.
fn owner_and_remote<R: Rules>(then: Then) {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let page = &world.pages[0];
    let owned = page.owner.owned_by(world.me(0)).expect("the owner is no other");
    let freer = freer::<R>(&world, X);
    let flagged = world.free::<R>(Some(0), page, X).is_err()
        || page.pop::<R>(&owned).is_err()
        || world.take_mail::<R>(0).is_err()
        || page.pop::<R>(&owned).is_err();
    let flagged = freer.join().expect("no panic") || flagged;
    finish::<R>(&world, then, flagged);
}

/// The owner frees a block, and does not allocate before the thread that frees it as well is done.
fn owner_and_remote_before_pop<R: Rules>(then: Then) {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let freer = freer::<R>(&world, X);
    let flagged = world.free::<R>(Some(0), &world.pages[0], X).is_err();
    let flagged = freer.join().expect("no panic") || flagged;
    finish::<R>(&world, then, flagged);
}

/// Two other threads free a block each, and the owner frees one of them.
fn owner_and_two_remote<R: Rules>(then: Then) {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let page = &world.pages[0];
    let owned = page.owner.owned_by(world.me(0)).expect("the owner is no other");
    let freers = [freer::<R>(&world, X), freer::<R>(&world, Y)];
    let mut flagged = world.free::<R>(Some(0), page, X).is_err()
        || page.pop::<R>(&owned).is_err()
        || page.collect::<R>(&owned).is_err();
    for freer in freers {
        flagged |= freer.join().expect("no panic");
    }
    finish::<R>(&world, then, flagged);
}

/// A thread frees a block and says that it has; the owner hears it and frees the block again. Another thread that frees
/// into the same word may be held up wherever it likes.
fn owner_after_remote<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let done = Arc::new(AtomicU64::new(0));
    let slow = freer::<R>(&world, X);
    let (other, said) = (Arc::clone(&world), Arc::clone(&done));
    let quick = thread::spawn(move || {
        other.free::<R>(None, &other.pages[0], Y).expect("no false alarm");
        said.store(1, Release);
    });
    if done.load(Acquire) == 1 {
        let again = world.free::<R>(Some(0), &world.pages[0], Y);
        assert_eq!(again, Err(Flagged), "a double free was let pass by its own call");
    }
    assert!(!slow.join().expect("no panic"), "no false alarm");
    quick.join().expect("no panic");
}

/// A thread without a heap frees a block again while the owner collects it and gives the page up.
fn heapless_after_retire<R: Rules>(then: Then) {
    let world = World::new::<R>(&[(0, &[X])]);
    let page = &world.pages[0];
    world.free::<R>(None, page, X).expect("no false alarm");
    let freer = freer::<R>(&world, X);
    let mut flagged = world.take_mail::<R>(0).is_err();
    if !flagged && page.lists(|lists| lists.used) == 0 {
        let owned = page.owner.owned_by(world.me(0)).expect("the owner is no other");
        page.owner.retire(owned);
        match world.bear::<R>(page, 0, &[X]) {
            Ok(owned) => flagged = page.pop::<R>(&owned).is_err(),
            Err(Flagged) => flagged = true,
        }
    }
    let flagged = freer.join().expect("no panic") || flagged;
    finish::<R>(&world, then, flagged);
}

/// A thread exits while two others free one block of its page; with it the page may become empty, and be given up. Then the
/// page is adopted, or born again.
fn exit_and_two_remote<R: Rules>(blocks: &[usize]) {
    let world = World::new::<R>(&[(0, blocks)]);
    let page = &world.pages[0];
    let freers = [freer::<R>(&world, X), freer::<R>(&world, X)];
    let mut flagged = world.exit::<R>(0, page).is_err();
    for freer in freers {
        flagged |= freer.join().expect("no panic");
    }
    flagged = flagged
        || match page.owner.load() {
            Owner::Nobody => world.bear::<R>(page, 1, blocks).is_err(),
            _ => world.adopt::<R>(1, page).is_err(),
        };
    assert!(flagged, "a double free was missed");
}

/// What a build without state bits cannot find is not looked for.
fn caught(name: &str, reach: Reach, scenario: fn()) {
    if MITIGATIONS.free_checks {
        explore(name, reach, scenario);
    }
}

fn caught_whatever_then(name: &str, reach: Reach, scenario: fn(Then)) {
    if MITIGATIONS.free_checks {
        for then in [Then::Collects, Then::Allocates] {
            explore(&std::format!("{name}, {then:?}"), reach, move || scenario(then));
        }
    }
}

fn needed(message: &str, reach: Reach, scenario: impl Fn() + Send + Sync + 'static) {
    if MITIGATIONS.free_checks {
        must_fail(message, reach, scenario);
    }
}

#[test]
fn a_block_freed_by_two_other_threads_is_flagged() {
    caught_whatever_then("X by two others", Reach::All, remote_and_remote::<All>);
}

#[test]
fn a_block_freed_by_its_owner_and_another_is_flagged_while_the_owner_allocates() {
    caught_whatever_then("X by owner and another", Reach::All, owner_and_remote::<All>);
}

#[test]
fn a_block_freed_by_its_owner_and_another_is_not_handed_out() {
    caught_whatever_then("X by owner and another, then pop", Reach::All, owner_and_remote_before_pop::<All>);
}

#[test]
fn a_block_freed_by_its_owner_and_another_is_flagged_while_a_third_frees_beside_it() {
    caught_whatever_then("X by owner and another, Y by a third", Reach::Preemptions(3), owner_and_two_remote::<All>);
}

#[test]
fn a_free_by_the_owner_after_one_by_another_dies_in_its_own_call() {
    caught("Y by another, then by the owner", Reach::All, owner_after_remote::<All>);
}

#[test]
fn a_block_freed_again_while_its_page_is_given_up_and_born_is_flagged() {
    caught_whatever_then("X by one without a heap, and its page given up", Reach::All, heapless_after_retire::<All>);
}

#[test]
fn a_block_freed_twice_while_its_thread_exits_is_flagged() {
    caught("X by two others, and exit", Reach::Preemptions(3), || exit_and_two_remote::<All>(&[X, Y]));
}

#[test]
fn a_block_freed_twice_while_its_page_is_given_up_is_flagged_at_birth() {
    caught("X by two others, and the page given up", Reach::Preemptions(3), || exit_and_two_remote::<All>(&[X]));
}

without! {
    NoBirthCollects: BIRTH_COLLECTS,
    NoSummarySeen: SUMMARY_SEEN,
    NoFreeTestsRemote: FREE_TESTS_REMOTE,
    NoPopTestsRemote: POP_TESTS_REMOTE,
    NoStateBehindRemote: STATE_BEHIND_REMOTE,
}

#[test]
fn birth_collects_is_needed() {
    needed("a double free was missed", Reach::Preemptions(3), || exit_and_two_remote::<NoBirthCollects>(&[X]));
}

#[test]
fn summary_seen_is_needed() {
    needed("a double free was let pass by its own call", Reach::All, owner_after_remote::<NoSummarySeen>);
}

#[test]
fn free_tests_remote_is_needed() {
    needed("a double free was let pass by its own call", Reach::All, owner_after_remote::<NoFreeTestsRemote>);
}

#[test]
fn pop_tests_remote_is_needed() {
    needed("a block has a second owner", Reach::All, || {
        owner_and_remote_before_pop::<NoPopTestsRemote>(Then::Allocates)
    });
}

#[test]
fn state_behind_remote_is_needed() {
    needed("a double free was missed", Reach::All, || remote_and_remote::<NoStateBehindRemote>(Then::Collects));
}
