//! How a process really dies: whatever hook and handlers do, by SIGABRT and with one line.

use super::*;
use crate::report::{BlockFacts, set_report_hook};
use crate::testing::{Child, Corpse};
use core::time::Duration;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// Runs a deed of the test of that name, here, in a child.
fn corpse(test: &'static str, deed: impl FnOnce()) -> Corpse {
    Child::of(test).run(deed)
}

fn report(kind: Kind) -> Report {
    Report::new(kind, Operation::Free, 0x1230)
}

const LINE: &str = "ravelin: double free of 0x1230 by thread ";

fn say(text: &str) {
    os::write_error(text.as_bytes());
}

fn handle_abort(handler: extern "C" fn(i32)) {
    // SAFETY: the handler has the signature that a handler has.
    unsafe { libc::signal(libc::SIGABRT, handler as libc::sighandler_t) };
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_report_is_one_line_and_the_process_dies_of_sigabrt() {
    let corpse = corpse("report::death::tests::a_report_is_one_line_and_the_process_dies_of_sigabrt", || {
        die(&report(Kind::DoubleFree).of_block(BlockFacts::new(64, 0x1000, 3)))
    });
    corpse.died_with("ravelin: double free of 0x1230 (block of class 64, page 0x1000, segment 3) by thread ");
    assert!(corpse.stderr.ends_with('\n'));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_broken_invariant_is_named_and_ends_the_process() {
    let corpse = corpse("report::death::tests::a_broken_invariant_is_named_and_ends_the_process", || {
        internal("two heaps have a page", Operation::Collect, 0x1230)
    });
    corpse.died_with("ravelin: internal error (two heaps have a page) in collect at 0x1230 by thread ");
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn the_hook_is_called_once_with_the_report_and_after_the_line() {
    let corpse = corpse("report::death::tests::the_hook_is_called_once_with_the_report_and_after_the_line", || {
        set_report_hook(|report| {
            assert!(is_reporter() && dying());
            die_if_dying();
            std::eprintln!("hook: {report}");
        });
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
    let lines: std::vec::Vec<_> = corpse.stderr.lines().filter(|line| line.contains("double free")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].strip_prefix("ravelin: "), lines[1].strip_prefix("hook: "));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn the_first_hook_stays() {
    let corpse = corpse("report::death::tests::the_first_hook_stays", || {
        let first: fn(&Report) = |_| say("first\n");
        set_report_hook(first);
        set_report_hook(first);
        set_report_hook(|_| say("second\n"));
        die(&report(Kind::DoubleFree))
    });
    let expected = "ravelin: warning: a report hook is set already; the new one is not used";
    assert_eq!(corpse.ours()[0], expected);
    assert_eq!(corpse.ours().len(), 2);
    assert!(corpse.stderr.contains("first\n") && !corpse.stderr.contains("second\n"));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_hook_that_panics_cannot_save_the_process() {
    let corpse = corpse("report::death::tests::a_hook_that_panics_cannot_save_the_process", || {
        set_report_hook(|_| panic!("the hook gives up"));
        let _ = std::panic::catch_unwind(|| die(&report(Kind::DoubleFree)));
    });
    corpse.died_with(LINE);
    assert!(corpse.stderr.contains("the hook gives up"));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_hook_that_reports_again_ends_the_process_at_once() {
    let corpse = corpse("report::death::tests::a_hook_that_reports_again_ends_the_process_at_once", || {
        set_report_hook(|_| {
            say("hook\n");
            die(&report(Kind::Foreign))
        });
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
    assert!(corpse.lived < Duration::from_millis(GRACE), "{corpse:?}");
    assert_eq!(corpse.stderr.matches("hook\n").count(), 1);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_hook_may_take_some_slow_paths_but_not_for_ever() {
    let corpse = corpse("report::death::tests::a_hook_may_take_some_slow_paths_but_not_for_ever", || {
        set_report_hook(|_| {
            (0..SLOW_PATHS).for_each(|_| die_if_dying());
            say("enough\n");
            die_if_dying();
            say("too much\n");
        });
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
    assert!(corpse.stderr.contains("enough\n") && !corpse.stderr.contains("too much\n"));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_hook_that_waits_for_a_thread_in_the_allocator_ends_when_the_grace_is_over() {
    let name = "report::death::tests::a_hook_that_waits_for_a_thread_in_the_allocator_ends_when_the_grace_is_over";
    let corpse = corpse(name, || {
        set_report_hook(|_| thread::spawn(die_if_dying).join().unwrap());
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_handler_that_returns_cannot_save_the_process() {
    extern "C" fn handler(_: i32) {
        die_if_dying();
        say("handler\n");
    }
    let corpse = corpse("report::death::tests::a_handler_that_returns_cannot_save_the_process", || {
        handle_abort(handler);
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
    assert_eq!(corpse.stderr.matches("handler\n").count(), 1);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn an_ignored_signal_cannot_save_the_process() {
    let corpse = corpse("report::death::tests::an_ignored_signal_cannot_save_the_process", || {
        // SAFETY: asks for the signal to be ignored.
        unsafe { libc::signal(libc::SIGABRT, libc::SIG_IGN) };
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_handler_that_reports_again_is_not_called_again() {
    extern "C" fn handler(_: i32) {
        say("handler\n");
        die(&report(Kind::Foreign))
    }
    let corpse = corpse("report::death::tests::a_handler_that_reports_again_is_not_called_again", || {
        handle_abort(handler);
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
    assert!(corpse.lived < Duration::from_millis(GRACE), "{corpse:?}");
    assert_eq!(corpse.stderr.matches("handler\n").count(), 1);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_handler_that_never_returns_ends_with_its_slow_paths() {
    extern "C" fn handler(_: i32) {
        (0..SLOW_PATHS_RAISED).for_each(|_| die_if_dying());
        say("enough\n");
        loop {
            die_if_dying();
        }
    }
    let corpse = corpse("report::death::tests::a_handler_that_never_returns_ends_with_its_slow_paths", || {
        handle_abort(handler);
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
    assert!(corpse.stderr.contains("enough\n"));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_slow_path_on_a_shallower_stack_ends_the_process() {
    extern "C" fn handler(_: i32) {
        die_if_dying();
        say("still deep\n");
        // As if this were a frame above the report's, to which the handler has jumped.
        STACK.store(stack_depth().wrapping_sub(1 << 12), SeqCst);
        die_if_dying();
        say("jumped away\n");
    }
    let corpse = corpse("report::death::tests::a_slow_path_on_a_shallower_stack_ends_the_process", || {
        handle_abort(handler);
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
    assert!(corpse.stderr.contains("still deep\n") && !corpse.stderr.contains("jumped away\n"));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn two_threads_that_report_at_once_write_one_line() {
    let corpse = corpse("report::death::tests::two_threads_that_report_at_once_write_one_line", || {
        let start = Barrier::new(2);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    die(&report(Kind::DoubleFree))
                });
            }
        });
    });
    corpse.died_with(LINE);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn other_threads_stop_in_their_next_slow_path_and_let_the_hook_finish() {
    let corpse =
        corpse("report::death::tests::other_threads_stop_in_their_next_slow_path_and_let_the_hook_finish", || {
            set_report_hook(|_| {
                thread::spawn(|| {
                    assert!(dying() && !is_reporter());
                    say("other\n");
                    die_if_dying();
                    say("went on\n");
                });
                thread::sleep(Duration::from_millis(GRACE / 10));
                say("hook\n");
            });
            die(&report(Kind::DoubleFree))
        });
    corpse.died_with(LINE);
    assert!(corpse.stderr.contains("other\n") && corpse.stderr.contains("hook\n"));
    assert!(!corpse.stderr.contains("went on\n"));
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_reporter_that_is_gone_is_followed_by_the_next_thread_in_a_slow_path() {
    extern "C" fn handler(_: i32) {
        // A handler that has jumped away, as far as others can see; this thread allocates no more.
        loop {
            thread::park();
        }
    }
    let corpse =
        corpse("report::death::tests::a_reporter_that_is_gone_is_followed_by_the_next_thread_in_a_slow_path", || {
            handle_abort(handler);
            thread::spawn(|| die(&report(Kind::DoubleFree)));
            while !dying() {
                thread::yield_now();
            }
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(30) {
                die_if_dying();
            }
        });
    corpse.died_with(LINE);
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_child_forked_by_the_hook_counts_as_the_reporter() {
    let corpse = corpse("report::death::tests::a_child_forked_by_the_hook_counts_as_the_reporter", || {
        set_report_hook(|_| {
            // SAFETY: the child does nothing but what may be done after a fork.
            let child = unsafe { libc::fork() };
            if child == 0 {
                assert!(is_reporter());
                die_if_dying();
                say("child\n");
                die(&report(Kind::Foreign))
            }
            let mut status = 0;
            // SAFETY: writes to the number that it is given.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(libc::WTERMSIG(status), libc::SIGABRT);
            say("parent\n");
        });
        die(&report(Kind::DoubleFree))
    });
    corpse.died_with(LINE);
    // An emulator has its word between them.
    let (child, parent) = (corpse.stderr.find("child\n"), corpse.stderr.find("parent\n"));
    assert!(child.is_some() && child < parent, "{corpse:?}");
}
