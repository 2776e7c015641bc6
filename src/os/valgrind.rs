//! What memcheck is told (feature `valgrind`): where a block begins and ends its life, and when an access is our own.
//!
//! ```text
//!   | what was requested | trailer |      addressable | not     a live block
//!   | link ....................... |      not                   a free one: the program may not touch it, we do
//! ```
//!
//! memcheck cannot tell our accesses from the program's: all code is the client's. So whoever works on memory that the program may
//! not touch is [`quiet`], and every function that a program can call is, as long as it works. What it calls back is not.
//!
//! A block begins its life quietly, and ends it aloud, before anything is looked at: so the report on a double free is
//! memcheck's, who knows both callers, and then ours.

use super::Span;
use super::backend::valgrind::ask_valgrind;
use crate::mitigations::VALGRIND;
use core::ptr::NonNull;

/// The requests' numbers, from valgrind.h and memcheck.h: part of valgrind's ABI.
const CHANGE_ERROR_DISABLEMENT: usize = 0x1801;
const MALLOCLIKE: usize = 0x1301;
const FREELIKE: usize = 0x1302;
const RESIZE_IN_PLACE: usize = 0x130b;
const MAKE_NO_ACCESS: usize = 0x4d43_0000;
const MAKE_DEFINED: usize = 0x4d43_0002;

/// As long as it lives, no access of this thread's is an error to memcheck.
#[derive(Debug)]
pub(crate) struct Quiet(());

/// From now on the accesses are our own.
#[inline(always)]
pub(crate) fn quiet() -> Quiet {
    tell([CHANGE_ERROR_DISABLEMENT, 1, 0, 0, 0, 0]);
    Quiet(())
}

impl Drop for Quiet {
    #[inline(always)]
    fn drop(&mut self) {
        tell([CHANGE_ERROR_DISABLEMENT, usize::MAX, 0, 0, 0, 0]);
    }
}

/// The process is about to end: nobody who is [`quiet`] goes on, and memcheck need not wonder that one still is.
#[cold]
pub(crate) fn speak_up() {
    if VALGRIND {
        // More often than functions here call one another, and harmless once nobody is quiet any more.
        for _ in 0..16 {
            tell([CHANGE_ERROR_DISABLEMENT, usize::MAX, 0, 0, 0, 0]);
        }
    }
}

/// The program's own function is called by one who is [`quiet`].
#[inline(always)]
pub(crate) fn aloud<T>(program: impl FnOnce() -> T) -> T {
    tell([CHANGE_ERROR_DISABLEMENT, usize::MAX, 0, 0, 0, 0]);
    let answer = program();
    tell([CHANGE_ERROR_DISABLEMENT, 1, 0, 0, 0, 0]);
    answer
}

/// Whether a program may count on what a new block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// It may not read it before it has written.
    Anything,
    /// Zeros, or what an old block held.
    Something,
}

/// What memcheck takes the block for: one of nothing has a byte, for mimalloc's `realloc` to nothing promises that it is zero.
#[inline(always)]
fn told(size: usize) -> usize {
    size.max(1)
}

/// Memory that will be blocks: the program may not touch it until it is. Or guards: of these the kernel alone would know.
#[inline(always)]
pub(crate) fn nobody_may_access(memory: Span) {
    tell([MAKE_NO_ACCESS, memory.address(), memory.len(), 0, 0, 0]);
}

/// The program gets a block of `size` bytes, of the `room` that is there.
#[inline(always)]
pub(crate) fn block_begins(start: NonNull<u8>, size: usize, room: usize, holds: Holds) {
    let (address, size) = (start.addr().get(), told(size));
    tell([MALLOCLIKE, address, size, 0, usize::from(holds == Holds::Something), 0]);
    nobody_may_touch_behind(address, size, room);
}

/// What lies behind a block's end.
#[inline(always)]
fn nobody_may_touch_behind(address: usize, size: usize, room: usize) {
    tell([MAKE_NO_ACCESS, address.wrapping_add(size), room.saturating_sub(size), 0, 0, 0]);
}

/// The program gives back what it says is a block.
#[inline(always)]
pub(crate) fn block_ends(address: usize) {
    if address != 0 {
        tell([FREELIKE, address, 0, 0, 0, 0]);
    }
}

/// A block has another size where it stands, and perhaps more room. What it gains is zero.
#[inline(always)]
pub(crate) fn block_changes(address: usize, old: usize, new: usize, room: usize) {
    let (old, new) = (told(old), told(new));
    if old != new {
        tell([RESIZE_IN_PLACE, address, old, new, 0, 0]);
    }
    tell([MAKE_DEFINED, address.wrapping_add(old), new.saturating_sub(old), 0, 0, 0]);
    nobody_may_touch_behind(address, new, room);
}

#[inline(always)]
fn tell(request: [usize; 6]) {
    if VALGRIND {
        ask_valgrind(&request);
    }
}
