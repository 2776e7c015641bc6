//! Correct frees by other threads: no false alarm, nothing lost, whatever the owner does meanwhile.

use super::*;
use crate::mitigations::MITIGATIONS;

/// What the owner does while others free.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    /// Takes its mail.
    TakesMail,
    /// Frees a block of its own, allocates, and takes its mail.
    FreesAndAllocates,
    /// Allocates until the page is empty, collects it without having been told, and allocates again.
    RunsOut,
}

/// A block of the owner's own, in the same word as `X`.
const OWN: usize = 2;

/// Two threads free a block each of one page, while its owner is busy with it.
fn two_threads_free<R: Rules>(second: usize, group_shift: u32, meanwhile: Meanwhile) {
    let world = World::grouped::<R>(group_shift, &[(0, &[X, second, OWN])]);
    let others = [X, second].map(|block| {
        let world = Arc::clone(&world);
        thread::spawn(move || {
            world.pages[0].write(block);
            world.free::<R>(None, &world.pages[0], block).expect("no false alarm");
        })
    });
    let page = &world.pages[0];
    let owned = page.owner.owned_by(world.me(0)).expect("the owner is no other");
    match meanwhile {
        Meanwhile::TakesMail => world.take_mail::<R>(0).expect("no false alarm"),
        Meanwhile::FreesAndAllocates => {
            world.free::<R>(Some(0), page, OWN).expect("no false alarm");
            page.pop::<R>(&owned).expect("no false alarm");
            world.take_mail::<R>(0).expect("no false alarm");
        }
        Meanwhile::RunsOut => {
            page.collect::<R>(&owned).expect("no false alarm");
            page.pop::<R>(&owned).expect("no false alarm");
            page.collect::<R>(&owned).expect("no false alarm");
            page.pop::<R>(&owned).expect("no false alarm");
        }
    }
    for other in others {
        other.join().expect("no panic");
    }
    world.settle::<R>().expect("no false alarm");
}

fn reaches_owner<R: Rules>(reach: Reach, second: usize, group_shift: u32, meanwhile: Meanwhile) {
    let name = std::format!("frees of {X} and {second}, groups of 2^{group_shift} words, {meanwhile:?}");
    explore(&name, reach, move || two_threads_free::<R>(second, group_shift, meanwhile));
}

#[test]
fn two_remote_frees_into_one_word_come_back_while_the_owner_takes_its_mail() {
    reaches_owner::<All>(Reach::All, Y, 0, Meanwhile::TakesMail);
}

#[test]
fn two_remote_frees_into_one_word_come_back_while_the_owner_frees_and_allocates() {
    reaches_owner::<All>(Reach::Preemptions(4), Y, 0, Meanwhile::FreesAndAllocates);
}

#[test]
fn two_remote_frees_into_one_word_come_back_while_the_owner_collects_untold() {
    reaches_owner::<All>(Reach::Preemptions(4), Y, 0, Meanwhile::RunsOut);
}

#[test]
fn two_remote_frees_under_two_bits_of_the_summary_come_back() {
    reaches_owner::<All>(Reach::All, FAR, 0, Meanwhile::TakesMail);
    reaches_owner::<All>(Reach::All, FAR, 0, Meanwhile::RunsOut);
}

#[test]
fn two_remote_frees_into_two_words_under_one_bit_of_the_summary_come_back() {
    reaches_owner::<All>(Reach::All, FAR, 1, Meanwhile::TakesMail);
    reaches_owner::<All>(Reach::Preemptions(4), FAR, 1, Meanwhile::RunsOut);
}

without! {
    NoStateAskedOnce: STATE_ASKED_ONCE,
    NoBitSetFirst: BIT_SET_FIRST,
    NoMarksClearedFirst: MARKS_CLEARED_FIRST,
    NoSummaryClearedFirst: SUMMARY_CLEARED_FIRST,
    NoZerosWritten: ZEROS_WRITTEN,
}

#[test]
fn state_asked_once_is_needed() {
    if MITIGATIONS.free_checks {
        must_fail("no false alarm", Reach::All, || two_threads_free::<NoStateAskedOnce>(Y, 0, Meanwhile::TakesMail));
    }
}

#[test]
fn bit_set_first_is_needed() {
    must_fail("a freed block is lost", Reach::All, || two_threads_free::<NoBitSetFirst>(Y, 0, Meanwhile::TakesMail));
}

#[test]
fn marks_cleared_first_is_needed() {
    must_fail("a freed block is lost", Reach::All, || {
        two_threads_free::<NoMarksClearedFirst>(Y, 0, Meanwhile::TakesMail)
    });
}

#[test]
fn summary_cleared_first_is_needed() {
    must_fail("a freed block is lost", Reach::All, || {
        two_threads_free::<NoSummaryClearedFirst>(Y, 0, Meanwhile::TakesMail)
    });
}

#[test]
fn zeros_written_is_needed() {
    must_fail("a freed block is lost", Reach::All, || two_threads_free::<NoZerosWritten>(FAR, 1, Meanwhile::TakesMail));
}
