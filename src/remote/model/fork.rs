//! fork: the child finds every word as it was at one moment, in the middle of whatever the other threads were doing.

use super::*;
use crate::mitigations::MITIGATIONS;
use crate::remote::settle;

/// The owner collects a block that another thread has freed. A third looks at the two bits of it as a fork would keep them:
/// had it seen the remote bit gone and the state bit still set, the block would be live for ever in the child.
fn fork_during_collect<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X])]);
    world.free::<R>(None, &world.pages[0], X).expect("no false alarm");
    let other = Arc::clone(&world);
    let fork = thread::spawn(move || {
        let spot = other.pages[0].spot(X);
        // What the collector wrote before it cleared the remote bit is seen by whoever sees that.
        assert!(spot.is_posted() || !spot.is_out(), "the child loses a block");
    });
    world.take_mail::<R>(0).expect("no false alarm");
    fork.join().expect("no panic");
}

/// In the child: of the two frees that the fork has cut short, one had come no further than its bit.
fn settle_after_half_a_free<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X, FAR])]);
    let page = &world.pages[0];
    for block in [X, FAR] {
        let spot = page.spot(block);
        spot.remote.fetch_or(spot.mask(), crate::sync::AcqRel);
    }
    page.summary.fetch_or(1, crate::sync::AcqRel);
    let owned = page.owner.owned_by(world.me(0)).expect("the owner is no other");
    settle::<R>(&page.bits(), &page.summary, &owned);
    assert!([X, FAR].iter().all(|block| !page.spot(*block).is_out()), "the child loses a block");
}

/// In the child: a page is settled and its lists are made anew while another thread of the child frees into it.
fn settle_while_others_free<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let page = &world.pages[0];
    page.summary.store(u64::MAX, crate::sync::Relaxed);
    let others = [X, Y].map(|block| {
        let other = Arc::clone(&world);
        thread::spawn(move || {
            other.pages[0].write(block);
            other.free::<R>(None, &other.pages[0], block).expect("no false alarm");
        })
    });
    let owned = page.owner.owned_by(world.me(0)).expect("the owner is no other");
    settle::<R>(&page.bits(), &page.summary, &owned);
    // `Page::rebuild`.
    let free: Vec<_> = [X, Y].into_iter().filter(|block| !page.spot(*block).is_out()).collect();
    for block in &free {
        page.write(*block);
    }
    page.lists(|lists| *lists = Lists { used: 2 - free.len(), free });
    for other in others {
        other.join().expect("no panic");
    }
    world.settle::<R>().expect("no false alarm");
}

#[test]
fn a_fork_in_the_middle_of_a_collect_loses_no_block() {
    if MITIGATIONS.free_checks {
        explore("fork during collect", Reach::All, fork_during_collect::<All>);
    }
}

#[test]
fn a_page_that_is_settled_while_others_free_into_it_loses_no_block() {
    if MITIGATIONS.free_checks {
        explore("settle while others free", Reach::Preemptions(3), settle_while_others_free::<All>);
    }
}

without! {
    NoStateClearedFirst: STATE_CLEARED_FIRST,
    NoChildEmptiesAll: CHILD_EMPTIES_ALL,
}

#[test]
fn state_cleared_first_is_needed() {
    if MITIGATIONS.free_checks {
        must_fail("the child loses a block", Reach::All, fork_during_collect::<NoStateClearedFirst>);
    }
}

#[test]
fn a_free_that_had_come_no_further_than_its_bit_is_completed_in_the_child() {
    if MITIGATIONS.free_checks {
        explore("settle after half a free", Reach::All, settle_after_half_a_free::<All>);
    }
}

#[test]
fn child_empties_all_is_needed() {
    if MITIGATIONS.free_checks {
        must_fail("the child loses a block", Reach::All, settle_after_half_a_free::<NoChildEmptiesAll>);
    }
}
