//! Pages that change their owner: one owner at a time, nothing lost on the way.

use super::*;
use crate::remote::Spot;

/// Frees a block, or does not come to it.
fn freer<R: Rules>(world: &Arc<World>, who: Option<Who>, block: usize) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || {
        world.pages[0].write(block);
        world.free::<R>(who, &world.pages[0], block).expect("no false alarm");
    })
}

/// A thread exits while another frees into its page and a third looks for one to adopt.
fn exit_free_adopt<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let freer = freer::<R>(&world, None, X);
    let other = Arc::clone(&world);
    let adopter = thread::spawn(move || other.adopt::<R>(1, &other.pages[0]).expect("no false alarm"));
    world.exit::<R>(0, &world.pages[0]).expect("no false alarm");
    freer.join().expect("no panic");
    adopter.join().expect("no panic");
    world.settle::<R>().expect("no false alarm");
}

/// A thread exits while all blocks of its page are freed by two others.
fn exit_free_free<R: Rules>(who: Option<Who>) {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let freers = [freer::<R>(&world, who, X), freer::<R>(&world, None, Y)];
    world.exit::<R>(0, &world.pages[0]).expect("no false alarm");
    for freer in freers {
        freer.join().expect("no panic");
    }
    let owner = world.pages[0].owner.load();
    assert!(who.is_some() || owner == Owner::Nobody, "an empty page was kept");
    world.settle::<R>().expect("no false alarm");
}

/// An abandoned page is adopted and abandoned again while another thread frees into it and a third looks into it without
/// collecting it.
fn adopt_exit_visit<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    world.exit::<R>(0, &world.pages[0]).expect("no false alarm");
    let freer = freer::<R>(&world, None, X);
    let other = Arc::clone(&world);
    let adopter = thread::spawn(move || {
        other.adopt::<R>(1, &other.pages[0]).expect("no false alarm");
        other.exit::<R>(1, &other.pages[0]).expect("no false alarm");
    });
    if let Some(claimed) = world.pages[0].owner.claim::<R>() {
        world.pages[0].give_away::<R>(claimed).expect("no false alarm");
    }
    freer.join().expect("no panic");
    adopter.join().expect("no panic");
    world.settle::<R>().expect("no false alarm");
}

/// A thread exits; the next one is given its mailbox and adopts its page, while a third is late with its flag.
fn exit_adopt_same_mailbox<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let freer = freer::<R>(&world, None, X);
    let page = &world.pages[0];
    world.exit::<R>(0, page).expect("no false alarm");
    world.adopt::<R>(0, page).expect("no false alarm");
    world.take_mail::<R>(0).expect("no false alarm");
    freer.join().expect("no panic");
    world.settle::<R>().expect("no false alarm");
}

/// Two threads claim one abandoned page.
fn claim_claim<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    world.exit::<R>(0, &world.pages[0]).expect("no false alarm");
    let other = Arc::clone(&world);
    let adopter = thread::spawn(move || other.adopt::<R>(1, &other.pages[0]).expect("no false alarm"));
    world.adopt::<R>(0, &world.pages[0]).expect("no false alarm");
    adopter.join().expect("no panic");
    world.settle::<R>().expect("no false alarm");
}

#[test]
fn a_page_that_is_adopted_while_it_is_freed_into_has_one_owner_and_loses_nothing() {
    explore("exit, free, adopt", Reach::Preemptions(3), exit_free_adopt::<All>);
}

#[test]
fn a_page_that_is_emptied_while_its_thread_exits_is_retired_once_and_only_when_empty() {
    explore("exit, free, free", Reach::Preemptions(2), || exit_free_free::<All>(None));
}

#[test]
fn a_page_that_is_kept_by_who_frees_into_it_loses_nothing() {
    explore("exit, free and keep, free", Reach::Preemptions(2), || exit_free_free::<All>(Some(1)));
}

#[test]
fn a_page_that_changes_its_owner_twice_under_a_visitor_loses_nothing() {
    explore("adopt, exit, visit, free", Reach::Preemptions(3), adopt_exit_visit::<All>);
}

#[test]
fn a_mailbox_that_serves_the_next_thread_loses_nothing() {
    explore("exit, adopt with the same mailbox", Reach::All, exit_adopt_same_mailbox::<All>);
}

#[test]
fn a_page_is_claimed_by_one() {
    explore("claim, claim", Reach::All, claim_claim::<All>);
}

/// The block of a page of one is freed by three threads.
fn three_free_a_single_block<R: Rules>() {
    let single = Arc::new((OwnerWord::from(AtomicPtr::new(ptr::null_mut())), AtomicU64::new(1), AtomicU64::new(0)));
    single.0.bear_single();
    let claim = |(owner, state, remote): &(OwnerWord, AtomicU64, AtomicU64)| {
        // `segment::free_single`.
        Spot { state, remote, bit: 0 }.look()?;
        owner.claim_single::<R>()?;
        state.fetch_and(!1, core::sync::atomic::Ordering::AcqRel);
        Ok::<(), Flagged>(())
    };
    let others = [0, 1].map(|_| {
        let single = Arc::clone(&single);
        thread::spawn(move || claim(&single).is_ok())
    });
    let mine = claim(&single).is_ok();
    let won = others.into_iter().map(|other| other.join().expect("no panic")).chain([mine]).filter(|won| *won);
    assert_eq!(won.count(), 1, "a block of a page of one is freed once");
    assert_eq!(single.0.load(), Owner::Nobody);
}

#[test]
fn of_several_who_free_a_single_block_one_wins() {
    explore("three frees of a single block", Reach::All, three_free_a_single_block::<All>);
}

without! {
    NoOwnerReadLast: OWNER_READ_LAST,
    NoLookAfterChange: LOOK_AFTER_CHANGE,
    NoLookWrites: LOOK_WRITES,
    NoClaimBySwap: CLAIM_BY_SWAP,
    NoSingleBySwap: SINGLE_BY_SWAP,
}

#[test]
fn owner_read_last_is_needed() {
    must_fail("a freed block is lost", Reach::Preemptions(3), exit_free_adopt::<NoOwnerReadLast>);
}

#[test]
fn look_after_change_is_needed() {
    must_fail("a freed block is lost", Reach::Preemptions(3), exit_free_adopt::<NoLookAfterChange>);
}

#[test]
fn look_writes_is_needed() {
    must_fail("a freed block is lost", Reach::Preemptions(3), exit_free_adopt::<NoLookWrites>);
}

#[test]
fn claim_by_swap_is_needed() {
    must_fail("Causality violation", Reach::All, claim_claim::<NoClaimBySwap>);
}

#[test]
fn single_by_swap_is_needed() {
    must_fail("a block of a page of one is freed once", Reach::All, three_free_a_single_block::<NoSingleBySwap>);
}
