//! The helper's own tests. The allocator is played: a function that reports and aborts.

use core::time::Duration;
use ravelin_testing::{Child, Expect, child, guilty, in_child, look, say, words};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, abort};
use std::thread;

const POINTER: *const u8 = core::ptr::without_provenance(0x12c0);

fn thread_id() -> i64 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::syscall(libc::SYS_gettid) }
}

/// What a hardened allocator does.
fn report(words: &str) -> ! {
    eprintln!("ravelin: {words} of 0x12c0 (block of class 64, page 0x1000, segment 0) by thread {}", thread_id());
    abort()
}

fn fails(work: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).expect_err("it should have failed");
    panic.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn a_deed_that_dies_in_the_guilty_call_is_told_by_report_pointer_and_thread() {
    let ending = in_child!(|| guilty(POINTER, || report("double free")));
    ending.dies_of(words::DOUBLE_FREE).dies_later_of("double");
    assert_eq!(ending.signal(), Some(libc::SIGABRT));
    assert_eq!(ending.told().map(|(pointer, _)| pointer), Some(0x12c0));
    assert!(
        fails(|| drop(ending.dies_of(words::WILD_POINTER).clone())).contains("should begin with \"invalid free (wild")
    );
    assert!(fails(|| drop(ending.survives().clone())).contains("should not have been flagged: ravelin: double free"));
    assert!(fails(|| drop(ending.faults().clone())).contains("died of SIGABRT"));
}

mod inner {
    use super::*;

    #[test]
    fn a_test_in_a_module_finds_its_name_from_within_a_closure_too() {
        let start = || in_child!(|| guilty(POINTER, || report("double free")));
        start().dies_of(words::DOUBLE_FREE);
    }
}

#[test]
fn what_comes_back_from_the_guilty_call_has_not_died_there() {
    let ending = in_child!(|| {
        guilty(POINTER, || ());
        report("double free");
    });
    ending.dies_later_of(words::DOUBLE_FREE);
    assert_eq!(
        ending.check(Expect::Dies(&[words::DOUBLE_FREE])).unwrap_err().to_string(),
        "the guilty call returned, and it died later"
    );
}

#[test]
fn what_is_not_caught_says_so() {
    let ending = in_child!(|| guilty(POINTER, || ()));
    let message = fails(|| drop(ending.dies_of(words::DOUBLE_FREE).clone()));
    assert!(message.starts_with(
        "it should have been stopped with \"double free\", but the guilty call returned, and it exited with code 0"
    ));
    assert!(message.contains("\n    misuse: before 0x12c0 by "), "{message}");
    ending.survives();
}

#[test]
fn a_report_of_another_pointer_or_thread_is_not_the_expected_one() {
    let ending = in_child!(|| guilty(POINTER.wrapping_add(16), || report("double free")));
    assert!(ending.check(Expect::Dies(&["double free"])).unwrap_err().to_string().contains("should be of 0x12d0"));
    ending.assert(Expect::Reports(&["double free"]));
    let ending = in_child!(|| {
        look(POINTER);
        thread::scope(|scope| scope.spawn(|| report("double free")).join().map(|_: ()| ()).unwrap());
    });
    assert!(ending.check(Expect::DiesLater(&["double free"])).unwrap_err().to_string().contains("by thread"));
}

#[test]
fn two_reports_are_one_too_many_and_warnings_are_none() {
    let ending = in_child!(|| {
        eprintln!("ravelin: warning: an option is unknown");
        eprintln!("ravelin: double free of 0x12c0 by thread 1");
        report("double free")
    });
    assert!(ending.check(Expect::Reports(&["double free"])).unwrap_err().to_string().contains("second report"));
    let ending = in_child!(|| {
        eprintln!("ravelin: warning: an option is unknown");
        report("double free")
    });
    ending.dies_of("double free");
}

#[test]
fn an_access_faults() {
    let access = || {
        // SAFETY: none: that is no memory.
        unsafe { POINTER.read_volatile() };
    };
    let ending = in_child!(|| guilty(POINTER, access));
    ending.faults();
    assert!(ending.check(Expect::Dies(&["double free"])).unwrap_err().to_string().contains("died of SIGSEGV"));
}

#[test]
fn each_of_several_deeds_is_its_own() {
    let words = ["double free", "use after free", "wrong layout"];
    for word in words {
        in_child!(|| guilty(POINTER, || report(word))).dies_of(word);
    }
    in_child!(|| ()).survives();
}

#[test]
fn a_hung_child_is_killed_and_its_children_with_it() {
    let ending = child!().timeout(Duration::from_millis(300)).run(|| {
        drop(Command::new("sleep").arg("1000").spawn());
        look(POINTER);
        thread::sleep(Duration::from_secs(1000));
    });
    assert!(ending.timed_out() && ending.lived() < Duration::from_secs(30));
    assert_eq!(ending.told().map(|(pointer, _)| pointer), Some(0x12c0));
    assert_eq!(ending.check(Expect::Survives).unwrap_err().to_string(), "it was still running after 300ms");
}

#[test]
fn a_child_that_leaves_one_behind_is_not_waited_for() {
    let ending = in_child!(|| drop(Command::new("sleep").arg("3").spawn()));
    assert!(ending.lived() < Duration::from_secs(2));
    ending.survives();
}

#[test]
fn a_panic_in_the_deed_is_neither_a_death_nor_survival() {
    let ending = in_child!(|| panic!("the deed cannot be done"));
    assert!(ending.stderr().contains("the deed cannot be done"));
    assert!(ending.check(Expect::Survives).is_err() && ending.check(Expect::Dies(&["double free"])).is_err());
}

#[test]
fn a_wrong_name_is_said_to_be_one() {
    let message = fails(|| drop(Child::of_test("no_such_test").run(|| ())));
    assert!(message.starts_with("the child never came to the deed: is \"no_such_test\" the test's name"), "{message}");
}

#[test]
fn a_child_whose_time_is_over_before_the_deed_is_not_said_to_have_a_wrong_name() {
    let message = fails(|| {
        // What stands before the deed is the child's too.
        let before = std::env::var("SLOW").is_ok();
        thread::sleep(Duration::from_secs(if before { 1000 } else { 0 }));
        drop(child!().timeout(Duration::from_millis(300)).env("SLOW", "1").run(|| ()));
    });
    assert!(message.starts_with("the child was killed after 300ms, before it came to the deed"), "{message}");
}

#[test]
fn the_environment_and_long_words_arrive() {
    let ending = child!().env("SAID", "a word").run(|| {
        say(format_args!("{}", std::env::var("SAID").expect("it is set")));
        (0..20_000).for_each(|number| println!("line {number}"));
    });
    assert!(ending.survives().has_said("a word") && ending.has_said("line 19999"));
}
