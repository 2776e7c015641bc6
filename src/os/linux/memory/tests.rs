//! What only a real kernel does.

use super::super::testing::{
    Birth, Ending, deny, describe, has_map_flag, ignores_advice, in_child, is_readable, shared_words,
};
use super::*;
use region::Protection;
use std::vec::Vec;

fn opened(pages: usize) -> Span {
    let span = reserve(pages * page_size(), page_size(), None).expect("address space");
    // SAFETY: reserved just now.
    unsafe { open(span) }.expect("memory");
    span
}

fn done(span: Span) {
    // SAFETY: a test is done with its memory.
    unsafe { release(span) };
}

fn protection(span: Span) -> Protection {
    region::query(span.start().as_ptr()).expect("a map").protection()
}

#[test]
fn the_kernel_s_own_list_agrees_on_protections() {
    let span = opened(3);
    let middle = span.part(page_size(), page_size()).expect("inside");
    // SAFETY: nobody touches it.
    unsafe { close(middle) }.expect("closing");
    let all: Vec<_> = (0..3).filter_map(|index| span.part(index * page_size(), page_size())).map(protection).collect();
    assert_eq!(
        all,
        [Protection::READ_WRITE, Protection::NONE, Protection::READ_WRITE],
        "{}",
        describe(span.start().as_ptr())
    );
    done(span);
}

#[test]
fn a_guard_costs_no_map() {
    if !has_guards() {
        return;
    }
    let span = opened(3);
    let middle = span.part(page_size(), page_size()).expect("inside");
    // SAFETY: ours, and not touched again.
    unsafe { guard(middle) }.expect("guards");
    // Still one map with one protection, yet the page faults.
    let map = region::query(span.start().as_ptr()).expect("a map").as_range();
    assert!(map.start <= span.address() && span.address() + span.len() <= map.end);
    assert!(!is_readable(middle.start().as_ptr()));
    done(span);
}

#[test]
fn the_hint_is_followed_where_nothing_is_and_never_over_something() {
    let align = 1 << 21;
    let taken = reserve(align, align, None).expect("address space");
    let address = taken.address();
    let elsewhere = reserve(align, align, Some(address)).expect("address space");
    assert_ne!(elsewhere.address(), address);
    done(taken);
    let again = reserve(align, align, Some(address)).expect("address space");
    // Another test's thread may have been faster; then it is still a reservation.
    if again.address() != address {
        assert_eq!(again.address() % align, 0);
    }
    let crooked = reserve(page_size(), align, Some(address + page_size())).expect("address space");
    assert_eq!(crooked.address() % align, 0);
    [elsewhere, again, crooked].into_iter().for_each(done);
}

#[test]
fn locked_memory_refuses_guards_and_purges_with_einval() {
    let span = opened(1);
    let place = span.start().as_ptr();
    // SAFETY: a page of the test's own.
    assert_eq!(unsafe { libc::mlock(place.cast(), page_size()) }, 0, "the machine lets one page be locked");
    // SAFETY: ours; nobody needs the contents.
    let purged = unsafe { purge(span) };
    // SAFETY: ours; nobody touches it if it succeeds.
    let guarded = unsafe { guard(span) };
    if has_guards() {
        assert_eq!((purged, guarded), (Err(Errno::INVAL), Err(Errno::INVAL)));
    }
    done(span);
}

#[test]
fn advice_reaches_the_kernel() {
    if ignores_advice() {
        return;
    }
    let span = opened(1);
    let place = span.start().as_ptr();
    // SAFETY: ours.
    unsafe { hide_from_dumps(span) }.expect("advice");
    // SAFETY: ours.
    unsafe { no_huge_pages(span) }.expect("advice");
    // SAFETY: ours, and a child can live with zeros.
    unsafe { wipe_on_fork(span) }.expect("advice");
    for flag in ["dd", "nh", "wf"] {
        // `None` where the kernel keeps no such list.
        assert_ne!(has_map_flag(place, flag), Some(false), "{flag}");
    }
    done(span);
}

#[test]
fn pages_of_two_maps_do_not_move() {
    let from = opened(2);
    // SAFETY: nobody touches the second page.
    unsafe { close(from.part(page_size(), page_size()).expect("inside")) }.expect("closing");
    // SAFETY: open.
    unsafe { from.start().write_volatile(7) };
    let to = reserve(3 * page_size(), page_size(), None).expect("address space");
    // SAFETY: two reservations of ours; `to` is not used again.
    assert!(unsafe { move_pages(from, to) }.is_err());
    // SAFETY: as it was: open.
    assert_eq!(unsafe { from.start().read_volatile() }, 7);
    done(from);
}

#[test]
fn a_filter_s_refusals_are_errors_and_not_the_end() {
    let span = opened(2);
    let answers = shared_words(5);
    let report = |index: usize, answer: Result<(), Errno>| {
        // SAFETY: one of the five shared words.
        let place = unsafe { answers.add(index) };
        // SAFETY: shared with this child only.
        unsafe { place.write(answer.map_or_else(|error| error.0 as u64, |()| 0)) };
    };
    let ending = in_child(Birth::Fork, || {
        if !deny(&[libc::SYS_madvise, libc::SYS_mprotect, libc::SYS_mremap, libc::SYS_munmap, libc::SYS_mmap]) {
            return 77;
        }
        report(0, reserve(page_size(), page_size(), None).map(|_| ()));
        // SAFETY: ours in this child.
        report(1, unsafe { close(span) });
        // SAFETY: as above.
        report(2, unsafe { guard(span) });
        // SAFETY: as above.
        report(3, unsafe { purge(span) });
        // SAFETY: as above; refused before anything moves.
        report(4, unsafe { move_pages(span, span) });
        // SAFETY: as above; refused, so still ours.
        unsafe { release(span) };
        i32::from(probe_guard())
    });
    if ending != Some(Ending::Exit(77)) {
        assert_eq!(ending, Some(Ending::Exit(0)));
        // SAFETY: the child has ended; the five words are there.
        let answers = unsafe { core::slice::from_raw_parts(answers, 5) };
        let [reserved, others @ ..] = answers else { unreachable!("five words") };
        // musl calls a refused mmap a lack of memory.
        assert!([Errno(libc::EPERM), Errno::NOMEM].contains(&Errno(*reserved as i32)), "{reserved}");
        assert_eq!(others, [libc::EPERM as u64; 4]);
    }
    done(span);
}

#[test]
fn a_limit_on_address_space_is_seen_and_kept() {
    if ignores_advice() {
        return; // such a machine does not keep limits either
    }
    use crate::os::address_space_limit;
    let ending = in_child(Birth::Fork, || {
        let limit = libc::rlimit { rlim_cur: 1 << 30, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: lowers a limit of this child.
        if unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } != 0 || address_space_limit() != Some(1 << 30)
        {
            return 1;
        }
        match reserve(1 << 31, page_size(), None) {
            Err(Errno::NOMEM) => 0,
            _ => 2,
        }
    });
    assert_eq!(ending, Some(Ending::Exit(0)));
}
