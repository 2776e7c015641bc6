//! Reserve, open, close, guard, purge, move: as on Linux, but nothing faults.

use super::controls::{guards, may_fail};
use super::pages::{Page, Protection, books};
use crate::os::calls::{COUNTERS, counted};
use crate::os::{Errno, Span};
use core::ptr::NonNull;

/// The size of an OS page here.
pub(super) const PAGE: usize = 4096;

/// The kernel's page in bytes.
#[inline]
pub(crate) fn page_size() -> usize {
    PAGE
}

/// Reserves `len` bytes, a whole number of OS pages, at a multiple of `align`. The hint is not followed.
///
/// # Errors
/// ENOMEM; EINVAL if `len` is zero or not of whole pages, or `align` not a power of two.
pub(crate) fn reserve(len: usize, align: usize, _hint: Option<usize>) -> Result<Span, Errno> {
    let reserved = may_fail(Errno::NOMEM).and_then(|()| books().reserve(len, align, Protection::Closed));
    counted(&COUNTERS.reserve, reserved)
}

/// Reserves `len` bytes that read as zero.
///
/// # Errors
/// As [`reserve`].
pub(crate) fn reserve_table(len: usize) -> Result<Span, Errno> {
    let reserved = may_fail(Errno::NOMEM).and_then(|()| books().reserve(len, PAGE, Protection::Readable));
    counted(&COUNTERS.reserve, reserved)
}

/// Gives address space back.
///
/// # Safety
/// - Nothing in `span` is used again.
pub(crate) unsafe fn release(span: Span) {
    let _ = counted(&COUNTERS.release, books().release(span));
}

/// Makes the span readable and writable.
///
/// # Safety
/// - The span is ours, and nobody counts on its pages to fault.
///
/// # Errors
/// ENOMEM; also when a page of it is not reserved.
pub(crate) unsafe fn open(span: Span) -> Result<(), Errno> {
    counted(&COUNTERS.protect, protect(span, Protection::Open))
}

/// Makes the span inaccessible; what it holds is kept.
///
/// # Safety
/// - The span is ours, and nobody touches it before it is opened again.
///
/// # Errors
/// ENOMEM; also when a page of it is not reserved.
pub(crate) unsafe fn close(span: Span) -> Result<(), Errno> {
    counted(&COUNTERS.protect, protect(span, Protection::Closed))
}

/// Protections and guards are two things to the kernel: a guard stays when the protection under it changes.
fn protect(span: Span, protection: Protection) -> Result<(), Errno> {
    may_fail(Errno::NOMEM)?;
    for page in books().pages(span)? {
        page.under = protection;
        if page.protection != Some(Protection::Guarded) {
            page.protection = Some(protection);
            page.dirty |= protection == Protection::Open;
        }
    }
    Ok(())
}

/// Drops what the span holds and makes it inaccessible.
///
/// # Safety
/// - The span is ours, and nobody touches it before [`unguard`].
///
/// # Errors
/// EINVAL when [the machine has no guards](super::set_guards).
pub(crate) unsafe fn guard(span: Span) -> Result<(), Errno> {
    let guarded = change(span, guards(), |page| page.protection = Some(Protection::Guarded));
    counted(&COUNTERS.guard, guarded)
}

/// Takes such guards off.
///
/// # Safety
/// - The span is ours, and nobody counts on its pages to fault.
///
/// # Errors
/// EINVAL when [the machine has no guards](super::set_guards).
pub(crate) unsafe fn unguard(span: Span) -> Result<(), Errno> {
    let unguarded = may_fail(Errno::INVAL).and_then(|()| {
        let mut books = books();
        for page in books.pages(span)?.iter_mut().filter(|page| page.protection == Some(Protection::Guarded)) {
            page.protection = Some(page.under);
            page.dirty = page.under == Protection::Open;
        }
        if guards() { Ok(()) } else { Err(Errno::INVAL) }
    });
    counted(&COUNTERS.unguard, unguarded)
}

/// Puts new memory in the place of what the span was: open, zero and without guards.
///
/// # Safety
/// - The span is ours, nobody needs its contents, and nobody counts on its pages to fault.
///
/// # Errors
/// ENOMEM; also when a page of it is not reserved.
pub(crate) unsafe fn renew(span: Span) -> Result<(), Errno> {
    let renewed = may_fail(Errno::NOMEM).and_then(|()| {
        for (index, page) in books().pages(span)?.iter_mut().enumerate() {
            if page.dirty {
                zero(span, index);
            }
            *page = Page { protection: Some(Protection::Open), under: Protection::Open, dirty: true };
        }
        Ok(())
    });
    counted(&COUNTERS.renew, renewed)
}

/// Whether [`guard`] works here.
pub(crate) fn has_guards() -> bool {
    guards()
}

/// Drops what the span holds: it reads as zero afterwards.
///
/// # Safety
/// - The span is ours, and nobody needs its contents.
///
/// # Errors
/// EINVAL, as for locked memory.
pub(crate) unsafe fn purge(span: Span) -> Result<(), Errno> {
    counted(&COUNTERS.purge, change(span, true, |_| {}))
}

/// Which OS pages of the span have memory at hand: all of them.
///
/// # Errors
/// ENOSYS, as where a filter refuses the call. EINVAL if the bytes are not as many as the OS pages.
pub(crate) fn present(span: Span, bytes: &mut [u8]) -> Result<(), Errno> {
    if bytes.len().checked_mul(PAGE) != Some(span.len()) {
        return Err(Errno::INVAL);
    }
    counted(&COUNTERS.ask, may_fail(Errno(38)))?;
    bytes.fill(1);
    Ok(())
}

/// Zeroes a span and changes its pages.
fn change(span: Span, possible: bool, mut change: impl FnMut(&mut Page)) -> Result<(), Errno> {
    may_fail(Errno::INVAL)?;
    let mut books = books();
    let pages = books.pages(span)?;
    if !possible {
        return Err(Errno::INVAL);
    }
    for (index, page) in pages.iter_mut().enumerate() {
        // Only what was writable can differ from zero: the rest of a large reservation is not touched.
        if page.dirty {
            zero(span, index);
        }
        change(page);
        page.dirty = page.protection == Some(Protection::Open);
    }
    Ok(())
}

fn zero(span: Span, index: usize) {
    if let Some(page) = span.part(index.wrapping_mul(PAGE), PAGE) {
        // SAFETY: the page is reserved (`pages` has checked it), and the caller of `guard` or `purge` needs no contents.
        unsafe { page.start().write_bytes(0, PAGE) };
    }
}

/// Moves the pages of `from` to the start of `to`, which is as long or longer. `from` stays ours and open, and reads as zero.
///
/// # Safety
/// - Both spans are ours, do not overlap, and nobody needs what `to` held.
/// - `from` is open, and nobody touches it meanwhile.
///
/// # Errors
/// ENOMEM; EFAULT when `from` is not open; EINVAL when `to` is the shorter. `from` is then as it was, but `to` is no longer
/// ours.
pub(crate) unsafe fn move_pages(from: Span, to: Span) -> Result<(), Errno> {
    let moved = may_fail(Errno::NOMEM).and_then(|()| move_open(from, to));
    if moved.is_err() {
        let _ = books().release(to);
    }
    counted(&COUNTERS.remap, moved)
}

fn move_open(from: Span, to: Span) -> Result<(), Errno> {
    const FAULT: Errno = Errno(14);
    if to.len() < from.len() {
        return Err(Errno::INVAL);
    }
    let mut books = books();
    if books.pages(from)?.iter().any(|page| page.protection != Some(Protection::Open)) {
        return Err(FAULT);
    }
    for (index, page) in books.pages(to)?.iter_mut().enumerate() {
        if page.dirty {
            zero(to, index);
        }
        *page = Page { protection: Some(Protection::Open), under: Protection::Open, dirty: true };
    }
    let (source, target): (NonNull<u8>, NonNull<u8>) = (from.start(), to.start());
    // SAFETY: both ranges are reserved (checked above), `to` is as long as `from`, and the caller says that they do not overlap.
    unsafe { source.copy_to_nonoverlapping(target, from.len()) };
    // SAFETY: reserved, and open: the caller has given its contents up.
    unsafe { source.write_bytes(0, from.len()) };
    Ok(())
}

/// Accepts the span, and seals nothing.
///
/// # Safety
/// - The span is ours.
///
/// # Errors
/// ENOSYS.
pub(crate) unsafe fn seal(_: Span) -> Result<(), Errno> {
    counted(&COUNTERS.seal, may_fail(Errno(38)))
}

/// Would read as zero in a child.
///
/// # Safety
/// - The span is ours, and a child can live with the zeros.
///
/// # Errors
/// EINVAL, as on an old kernel.
pub(crate) unsafe fn wipe_on_fork(span: Span) -> Result<(), Errno> {
    advise(span)
}

/// Would be left out of core dumps.
///
/// # Safety
/// - The span is ours.
///
/// # Errors
/// EINVAL, as on an old kernel.
pub(crate) unsafe fn hide_from_dumps(span: Span) -> Result<(), Errno> {
    advise(span)
}

/// Would be backed with huge pages.
///
/// # Safety
/// - The span is ours.
///
/// # Errors
/// EINVAL, as on a kernel without them.
pub(crate) unsafe fn want_huge_pages(span: Span) -> Result<(), Errno> {
    advise(span)
}

fn advise(span: Span) -> Result<(), Errno> {
    let advised = may_fail(Errno::INVAL).and_then(|()| books().pages(span).map(|_| ()));
    counted(&COUNTERS.advise, advised)
}

/// Nothing is far away here.
pub(crate) fn fetch_ahead(_: *const u8) {}

/// What the page at `address` allows; `None` where nothing is reserved.
pub(crate) fn protection_of(address: usize) -> Option<Protection> {
    books().page_at(address)?.protection
}

/// How many reservations there are.
pub(crate) fn reservations() -> usize {
    books().count()
}
