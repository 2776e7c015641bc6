//! Several pages under one word of pending marks: every owner learns of its own.

use super::*;

/// Two pages of one owner, a block of each freed by another thread; the owner takes its mail meanwhile.
fn two_pages_of_one_owner<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X]), (0, &[X])]);
    let others = [0, 1].map(|page| {
        let world = Arc::clone(&world);
        thread::spawn(move || world.free::<R>(None, &world.pages[page], X).expect("no false alarm"))
    });
    world.take_mail::<R>(0).expect("no false alarm");
    for other in others {
        other.join().expect("no panic");
    }
    world.settle::<R>().expect("no false alarm");
}

/// Two pages of two owners, a block of each freed by a third thread; both take their mail meanwhile.
fn two_pages_of_two_owners<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X]), (1, &[X])]);
    let other = Arc::clone(&world);
    let freer = thread::spawn(move || {
        for page in &other.pages {
            other.free::<R>(None, page, X).expect("no false alarm");
        }
    });
    let other = Arc::clone(&world);
    let owner = thread::spawn(move || other.take_mail::<R>(1).expect("no false alarm"));
    world.take_mail::<R>(0).expect("no false alarm");
    freer.join().expect("no panic");
    owner.join().expect("no panic");
    world.settle::<R>().expect("no false alarm");
}

#[test]
fn one_owner_learns_of_both_its_pages() {
    explore("two pages of one owner", Reach::All, two_pages_of_one_owner::<All>);
}

#[test]
fn two_owners_learn_of_their_own_pages() {
    explore("two pages of two owners", Reach::All, two_pages_of_two_owners::<All>);
}

without! {
    NoSummarySetBeforeMark: SUMMARY_SET_BEFORE_MARK,
    NoMarkSetBeforeFlag: MARK_SET_BEFORE_FLAG,
    NoFlagsClearedFirst: FLAGS_CLEARED_FIRST,
    NoOwnMarksOnly: OWN_MARKS_ONLY,
}

#[test]
fn summary_set_before_mark_is_needed() {
    must_fail("a freed block is lost", Reach::All, two_pages_of_one_owner::<NoSummarySetBeforeMark>);
}

#[test]
fn mark_set_before_flag_is_needed() {
    must_fail("a freed block is lost", Reach::All, two_pages_of_one_owner::<NoMarkSetBeforeFlag>);
}

#[test]
fn flags_cleared_first_is_needed() {
    must_fail("a freed block is lost", Reach::All, two_pages_of_one_owner::<NoFlagsClearedFirst>);
}

#[test]
fn own_marks_only_is_needed() {
    must_fail("a freed block is lost", Reach::All, two_pages_of_two_owners::<NoOwnMarksOnly>);
}
