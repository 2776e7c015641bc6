//! Every call that can fail, failing: it says so, changes nothing, and works the next time.

use super::*;
use crate::os::{self, Errno, Span};
use core::ffi::c_void;

const PAGE: usize = 4096;

/// A call, and the error that it fails with.
type OnSpan = (fn(Span) -> Result<(), Errno>, Errno);
type Alone = (fn() -> Result<(), Errno>, Errno);

fn opened() -> Span {
    let span = os::reserve(PAGE, PAGE, None).expect("memory");
    // SAFETY: reserved just now.
    unsafe { os::open(span) }.expect("memory");
    // SAFETY: open.
    unsafe { span.start().write(7) };
    span
}

fn done(span: Span) {
    // SAFETY: a test is done with its memory.
    unsafe { os::release(span) };
}

#[test]
fn every_call_on_a_span_can_fail_and_then_has_changed_nothing() {
    let span = opened();
    let calls: [OnSpan; 7] = [
        // SAFETY: the page is ours, and nobody else touches it.
        (|span| unsafe { os::open(span) }, Errno::NOMEM),
        // SAFETY: as above.
        (|span| unsafe { os::close(span) }, Errno::NOMEM),
        // SAFETY: as above.
        (|span| unsafe { os::guard(span) }, Errno::INVAL),
        // SAFETY: as above.
        (|span| unsafe { os::unguard(span) }, Errno::INVAL),
        // SAFETY: as above.
        (|span| unsafe { os::purge(span) }, Errno::INVAL),
        // SAFETY: as above.
        (|span| unsafe { os::wipe_on_fork(span) }, Errno::INVAL),
        // SAFETY: as above.
        (|span| unsafe { os::hide_from_dumps(span) }, Errno::INVAL),
    ];
    for (number, (call, error)) in calls.iter().enumerate() {
        let failing = fail_nth(1);
        assert_eq!(call(span), Err(*error), "call {number}");
        assert!(failing.fired());
        assert_eq!(protection_of(span.address()), Some(Protection::Open), "call {number}");
        // SAFETY: open, and nothing has purged it.
        assert_eq!(unsafe { span.start().read() }, 7, "call {number}");
    }
    for (number, (call, _)) in calls.iter().enumerate() {
        assert_eq!(call(span), Ok(()), "call {number}");
    }
    done(span);
}

#[test]
fn reservations_can_fail() {
    for reserve in [|| os::reserve(PAGE, PAGE, None), || os::reserve_table(PAGE)] {
        let failing = fail_nth(1);
        assert_eq!(reserve(), Err(Errno::NOMEM));
        drop(failing);
        done(reserve().expect("memory"));
    }
}

#[test]
fn a_move_that_fails_keeps_the_source_and_gives_the_target_up() {
    let (from, to) = (opened(), os::reserve(2 * PAGE, PAGE, None).expect("memory"));
    let failing = fail_nth(1);
    // SAFETY: two reservations of ours; `to` is not used again.
    assert_eq!(unsafe { os::move_pages(from, to) }, Err(Errno::NOMEM));
    drop(failing);
    // SAFETY: open still.
    assert_eq!(unsafe { from.start().read() }, 7);
    assert_eq!(protection_of(to.address()), None);
    // SAFETY: nobody needs it open.
    unsafe { os::close(from) }.expect("closing");
    let to = os::reserve(2 * PAGE, PAGE, None).expect("memory");
    // SAFETY: as above.
    assert_eq!(unsafe { os::move_pages(from, to) }, Err(Errno(14)), "only open pages move");
    done(from);
}

extern "C" fn nothing() {}

extern "C" fn nothing_with(_: *mut c_void) {}

#[test]
fn the_rest_that_can_fail_can_fail() {
    let calls: [Alone; 4] = [
        (|| os::random(&mut [0; 8]), Errno(libc::ENOSYS)),
        (|| os::at_fork(nothing, nothing, nothing), Errno::NOMEM),
        (|| os::at_exit(nothing), Errno::NOMEM),
        (|| os::make_thread_exit_key(nothing_with), Errno::AGAIN),
    ];
    // Only failing: succeeding would take the place of the engine's own handlers.
    for (number, (call, error)) in calls.iter().enumerate() {
        let failing = fail_nth(1);
        assert_eq!(call(), Err(*error), "call {number}");
        assert!(failing.fired());
    }
}

#[test]
fn what_is_not_reserved_is_refused_as_the_kernel_does() {
    let span = os::reserve(2 * PAGE, PAGE, None).expect("memory");
    done(span.part(PAGE, PAGE).expect("inside"));
    assert_eq!(protection_of(span.address()), Some(Protection::Closed));
    assert_eq!(protection_of(span.address() + PAGE), None);
    // SAFETY: refused, for the second page is gone.
    assert_eq!(unsafe { os::open(span) }, Err(Errno::NOMEM));
    assert_eq!(protection_of(span.address()), Some(Protection::Closed));
    done(span.part(0, PAGE).expect("inside"));
    // SAFETY: refused, for both are gone.
    assert_eq!(unsafe { os::purge(span) }, Err(Errno::NOMEM));
}

#[test]
fn a_failure_is_counted() {
    let before = os::calls().failed;
    let _failing = fail_from(1);
    assert!(os::reserve(PAGE, PAGE, None).is_err());
    assert!(os::random(&mut [0]).is_err());
    assert!(os::calls().failed >= before + 2);
}
