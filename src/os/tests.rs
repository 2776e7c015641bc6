//! What every backend must do. The engine relies on nothing else.

use super::testing::{is_readable, is_writable};
use super::*;
use core::ptr::NonNull;
use std::vec::Vec;

fn reserved(pages: usize) -> Span {
    reserve(pages * page_size(), page_size(), None).expect("address space")
}

fn opened(pages: usize) -> Span {
    let span = reserved(pages);
    // SAFETY: reserved just now.
    unsafe { open(span) }.expect("memory");
    span
}

fn page(span: Span, index: usize) -> Span {
    span.part(index * page_size(), page_size()).expect("inside")
}

/// For open pages of a test's own.
fn write(place: NonNull<u8>, byte: u8) {
    // SAFETY: tests call it for open memory of theirs.
    unsafe { place.write_volatile(byte) };
}

/// For open pages of a test's own.
fn read(place: NonNull<u8>) -> u8 {
    // SAFETY: tests call it for open memory of theirs.
    unsafe { place.read_volatile() }
}

fn done(span: Span) {
    // SAFETY: a test is done with its memory.
    unsafe { release(span) };
}

#[test]
fn a_reservation_is_aligned_as_long_as_asked_and_inaccessible() {
    for align in [page_size(), 1 << 16, 1 << 20, 1 << SEGMENT_SHIFT] {
        let span = reserve(3 * page_size(), align, None).expect("address space");
        assert_eq!((span.address() % align, span.len()), (0, 3 * page_size()));
        assert!(span.address() + span.len() <= 1 << ADDRESS_BITS);
        let last = page(span, 2).start().as_ptr();
        assert!(!is_readable(span.start().as_ptr()) && !is_readable(last));
        done(span);
    }
}

#[test]
fn senseless_reservations_are_refused() {
    assert_eq!(reserve(0, page_size(), None), Err(Errno::INVAL));
    assert_eq!(reserve(page_size() + 1, page_size(), None), Err(Errno::INVAL));
    assert_eq!(reserve(page_size(), 3 * page_size(), None), Err(Errno::INVAL));
    assert_eq!(reserve(page_size(), 0, None), Err(Errno::INVAL));
    assert_eq!(reserve(usize::MAX & !(page_size() - 1), page_size(), None), Err(Errno::NOMEM));
    assert_eq!(reserve(usize::MAX & !(page_size() - 1), 1 << SEGMENT_SHIFT, None), Err(Errno::NOMEM));
    assert_eq!(reserve_table(0), Err(Errno::INVAL));
}

#[test]
fn open_pages_are_zero_and_writable_and_their_neighbours_are_not() {
    let span = reserved(3);
    // SAFETY: reserved just now.
    unsafe { open(page(span, 1)) }.expect("memory");
    let place = page(span, 1).start();
    assert_eq!(read(place), 0);
    write(place, 7);
    assert_eq!(read(place), 7);
    assert!(!is_readable(page(span, 0).start().as_ptr()) && !is_readable(page(span, 2).start().as_ptr()));
    done(span);
}

#[test]
fn closed_pages_are_inaccessible_and_keep_what_they_hold() {
    let span = opened(1);
    write(span.start(), 7);
    // SAFETY: nobody touches it until it is opened again.
    unsafe { close(span) }.expect("closing");
    assert!(!is_readable(span.start().as_ptr()));
    // SAFETY: still reserved.
    unsafe { open(span) }.expect("memory");
    assert_eq!(read(span.start()), 7);
    done(span);
}

#[test]
fn a_ragged_span_is_refused_rather_than_widened() {
    let span = opened(2);
    let ragged = [span.part(16, page_size()), span.part(0, page_size() - 16)];
    for span in ragged.into_iter().flatten() {
        // SAFETY: ours.
        assert_eq!(unsafe { close(span) }, Err(Errno::INVAL));
    }
    assert!(is_writable(span.start().as_ptr()));
    done(span);
}

#[test]
fn a_guarded_page_is_inaccessible_and_zero_once_the_guard_is_off() {
    let span = opened(3);
    (0..3).for_each(|index| write(page(span, index).start(), 7));
    let middle = page(span, 1);
    // SAFETY: ours, and not touched until the guard is off.
    let guarded = unsafe { guard(middle) };
    if !has_guards() {
        // A kernel without guards says so; an emulator may say anything, which is why the probe does not trust it.
        return done(span);
    }
    assert_eq!(guarded, Ok(()));
    assert!(!is_readable(middle.start().as_ptr()));
    assert_eq!((read(page(span, 0).start()), read(page(span, 2).start())), (7, 7));
    // SAFETY: ours.
    unsafe { unguard(middle) }.expect("taking off");
    assert!(is_writable(middle.start().as_ptr()));
    assert_eq!(read(middle.start()), 0);
    done(span);
}

#[test]
fn a_guard_stays_when_the_protection_under_it_changes() {
    if !has_guards() {
        return;
    }
    let span = opened(1);
    // SAFETY: ours, and not touched until the guard is off.
    unsafe { guard(span) }.expect("guards");
    // SAFETY: as above.
    unsafe { close(span) }.expect("closing");
    // SAFETY: as above.
    unsafe { open(span) }.expect("memory");
    assert!(!is_readable(span.start().as_ptr()));
    // SAFETY: ours.
    unsafe { unguard(span) }.expect("taking off");
    assert!(is_writable(span.start().as_ptr()));
    done(span);
}

#[test]
fn renewed_pages_are_writable_and_zero_whatever_they_were() {
    let span = opened(4);
    (0..4).for_each(|index| write(page(span, index).start(), 7));
    // SAFETY: ours, and not touched until it is renewed.
    let _ = unsafe { guard(page(span, 1)) };
    // SAFETY: as above.
    unsafe { close(page(span, 2)) }.expect("closing");
    let middle = span.part(page_size(), 2 * page_size()).expect("a part");
    // SAFETY: nobody needs what they held.
    unsafe { renew(middle) }.expect("memory");
    for place in [middle.start(), page(span, 2).start()] {
        assert!(is_writable(place.as_ptr()));
        assert_eq!(read(place), 0);
    }
    assert_eq!((read(span.start()), read(page(span, 3).start())), (7, 7));
    done(span);
}

#[test]
fn purged_pages_read_as_zero_and_others_keep_theirs() {
    let span = opened(2);
    write(span.start(), 7);
    write(page(span, 1).start(), 8);
    // SAFETY: nobody needs the first page.
    unsafe { purge(page(span, 0)) }.expect("purging");
    assert_eq!((read(span.start()), read(page(span, 1).start())), (0, 8));
    done(span);
}

#[test]
fn a_table_reads_as_zero_and_is_writable_where_it_is_opened() {
    let table = reserve_table(64 * page_size()).expect("address space");
    let place = page(table, 63).start();
    assert_eq!(read(place), 0);
    assert!(!is_writable(place.as_ptr()));
    // SAFETY: ours.
    unsafe { open(page(table, 63)) }.expect("memory");
    write(place, 7);
    assert_eq!((read(place), read(table.start())), (7, 0));
    assert!(!is_writable(table.start().as_ptr()));
    done(table);
}

#[test]
fn moved_pages_keep_what_they_hold_and_the_rest_is_zero() {
    for pages in [2, 4] {
        let (from, to) = (opened(2), reserved(pages));
        write(from.start(), 7);
        write(page(from, 1).start(), 8);
        // SAFETY: two reservations of ours.
        unsafe { move_pages(from, to) }.expect("moving");
        let bytes: Vec<u8> = (0..pages).map(|index| read(page(to, index).start())).collect();
        assert_eq!(bytes, [7, 8, 0, 0][..pages]);
        assert!(is_writable(page(to, pages - 1).start().as_ptr()));
        done(from);
        done(to);
    }
}

#[test]
fn what_pages_were_moved_from_stays_ours_and_is_empty() {
    let (from, to) = (opened(2), reserved(4));
    write(from.start(), 7);
    // SAFETY: two reservations of ours.
    unsafe { move_pages(from, to) }.expect("moving");
    assert!((0..2).all(|index| is_writable(page(from, index).start().as_ptr())));
    assert_eq!(read(from.start()), 0);
    write(from.start(), 9);
    assert_eq!((read(from.start()), read(to.start())), (9, 7));
    // SAFETY: ours, and nobody touches it until it is released.
    unsafe { close(from) }.expect("closing");
    done(from);
    done(to);
}

#[test]
fn moved_pages_can_be_moved_again() {
    let mut held = opened(1);
    write(held.start(), 7);
    for pages in 2..6 {
        let to = reserved(pages);
        // SAFETY: two reservations of ours.
        unsafe { move_pages(held, to) }.expect("moving");
        done(held);
        held = to;
        write(page(held, pages - 1).start(), pages as u8);
    }
    let bytes: Vec<u8> = (0..5).map(|index| read(page(held, index).start())).collect();
    assert_eq!(bytes, [7, 2, 3, 4, 5]);
    done(held);
}

#[test]
fn pages_do_not_move_into_a_smaller_place() {
    let (from, to) = (opened(2), reserved(1));
    write(from.start(), 7);
    // SAFETY: two reservations of ours; `to` is not used again.
    assert_eq!(unsafe { move_pages(from, to) }, Err(Errno::INVAL));
    assert_eq!(read(from.start()), 7);
    done(from);
}

#[test]
fn a_part_can_be_released_alone() {
    let span = opened(3);
    done(page(span, 0));
    done(page(span, 2));
    write(page(span, 1).start(), 7);
    assert_eq!(read(page(span, 1).start()), 7);
    done(page(span, 1));
}

#[test]
fn every_kind_of_call_is_counted() {
    let before = calls();
    let (from, to) = (opened(1), reserved(1));
    // SAFETY: ours; nobody needs the contents.
    let purged = unsafe { purge(from) };
    // SAFETY: ours, and not touched until the guard is off.
    let guarded = unsafe { guard(from) };
    // SAFETY: ours.
    let unguarded = unsafe { unguard(from) };
    // SAFETY: two reservations of ours.
    let moved = unsafe { move_pages(from, to) };
    let _ = present(from, &mut [0; 1]);
    done(from);
    if moved.is_ok() {
        done(to);
    }
    let _ = random(&mut [0; 1]);
    let failed = [purged, guarded, unguarded, moved].iter().filter(|result| result.is_err()).count();
    // Other tests count as well.
    let after = calls();
    assert!(after.reserve >= before.reserve + 2 && after.release > before.release && after.protect > before.protect);
    assert!(after.guard > before.guard && after.unguard > before.unguard && after.purge > before.purge);
    assert!(after.remap > before.remap && after.random > before.random && after.ask > before.ask);
    assert!(after.failed >= before.failed + failed as u64);
}

#[test]
fn random_bytes_are_not_the_same_twice() {
    let (mut first, mut second) = ([0; 300], [0; 300]);
    random(&mut first).expect("randomness");
    random(&mut second).expect("randomness");
    assert_ne!(first, second);
    assert!(first.iter().filter(|byte| **byte == 0).count() < 30);
}

#[test]
fn a_thread_s_words_start_at_zero_and_are_its_own() {
    // In threads of the test's own: the engine may use those of this one.
    let other = std::thread::spawn(|| {
        assert!(local().is_null());
        assert_eq!(local_state(), 0);
        let mut place = 0_u8;
        let ours = (&raw mut place).cast();
        set_local(ours);
        set_local_state(41);
        let inner = std::thread::spawn(|| {
            let fresh = (local().is_null(), local_state());
            set_local_state(2);
            fresh
        });
        assert_eq!(inner.join().expect("the thread does not panic"), (true, 0));
        assert_eq!((local(), local_state()), (ours, 41));
        set_local_state(42);
        assert_eq!((local(), local_state()), (ours, 42));
        set_local(core::ptr::null_mut());
        set_local_state(0);
    });
    other.join().expect("the thread does not panic");
}

#[test]
fn threads_have_numbers_of_their_own_and_keep_them() {
    let ours = thread_id();
    assert_ne!(ours, 0);
    assert_eq!(ours, thread_id());
    assert_ne!(ours, std::thread::spawn(thread_id).join().expect("the thread does not panic"));
    assert_eq!(process_id(), std::process::id());
}

#[test]
fn a_waiter_returns_at_once_when_the_word_has_changed() {
    crate::sync::model(|| wait(&crate::sync::AtomicU32::new(1), 0));
}

#[test]
fn errno_can_be_kept() {
    let before = errno();
    set_errno(33);
    assert_eq!(errno(), 33);
    set_errno(before);
}

#[test]
fn time_does_not_go_back() {
    let now = milliseconds();
    assert!(milliseconds() >= now);
}

#[test]
fn the_machine_has_limits() {
    assert!(map_limit() > 0);
    assert!(page_size().is_power_of_two() && page_size() >= 4096);
}
