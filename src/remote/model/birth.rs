//! A page is born while a thread is late with the marks of a block of its earlier life.

use super::*;

const REACH: Reach = Reach::Preemptions(6);

/// A thread frees the last block of a page and is held up before it has told anyone; the owner collects the block all the
/// same, because another free of its word was told. The page is given up and born again as another thread's.
fn late_marks<R: Rules>() {
    let world = World::new::<R>(&[(0, &[X, Y])]);
    let page = &world.pages[0];
    world.free::<R>(None, page, Y).expect("no false alarm");
    let other = Arc::clone(&world);
    let late = thread::spawn(move || other.free::<R>(None, &other.pages[0], X).expect("no false alarm"));
    world.take_mail::<R>(0).expect("no false alarm");
    let mut next = None;
    if page.lists(|lists| lists.used) == 0 {
        let owned = page.owner.owned_by(world.me(0)).expect("the owner is no other");
        page.owner.retire(owned);
        let owned = world.bear::<R>(page, 1, &[X, Y]).expect("no false alarm");
        let block = page.pop::<R>(&owned).expect("no false alarm").expect("a block");
        let other = Arc::clone(&world);
        next = Some(thread::spawn(move || other.free::<R>(None, &other.pages[0], block).expect("no false alarm")));
        world.take_mail::<R>(1).expect("no false alarm");
    }
    late.join().expect("no panic");
    if let Some(next) = next {
        next.join().expect("no panic");
    }
    world.settle::<R>().expect("no false alarm");
}

#[test]
fn a_late_mark_of_an_earlier_life_loses_nothing() {
    explore("birth with a late mark", REACH, late_marks::<All>);
}

without! {
    NoBirthCollects: BIRTH_COLLECTS,
    NoBirthCollectsLast: BIRTH_COLLECTS_LAST,
}

#[test]
fn birth_collects_is_needed() {
    must_fail("a freed block is lost", REACH, late_marks::<NoBirthCollects>);
}

#[test]
fn birth_collects_last_is_needed() {
    must_fail("a freed block is lost", REACH, late_marks::<NoBirthCollectsLast>);
}
