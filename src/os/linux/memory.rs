//! Reserve, open, close, guard, purge, move.
//!
//! Every mapping is private, anonymous and NORESERVE: address space costs nothing until it is touched.

use super::error::{last, outcome};
use crate::os::calls::{COUNTERS, counted};
use crate::os::{Errno, Span, arch, valgrind};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU8, Ordering::Relaxed};
use libc::{c_int, c_void};

/// Not in the C library's headers yet: Linux 6.13.
const MADV_GUARD_INSTALL: c_int = 102;
const MADV_GUARD_REMOVE: c_int = 103;

/// The kernel's page in bytes: 4, 16 or 64 KiB.
#[inline]
pub(crate) fn page_size() -> usize {
    // Said as a power of two, which the compiler knows not to be 0: a division by it cannot panic, and is none.
    1_usize.wrapping_shl(region::page::size().trailing_zeros())
}

/// Reserves `len` bytes of inaccessible address space, a whole number of OS pages, at a multiple of `align`.
///
/// With a `hint` that address is tried first, and taken only if nothing is there; otherwise the kernel chooses.
///
/// # Errors
/// The kernel's: no address space left, or `len` zero. EINVAL if `len` or `align` is not of whole pages or `align` is
/// not a power of two.
pub(crate) fn reserve(len: usize, align: usize, hint: Option<usize>) -> Result<Span, Errno> {
    counted(&COUNTERS.reserve, reserve_aligned(len, align, hint))
}

fn reserve_aligned(len: usize, align: usize, hint: Option<usize>) -> Result<Span, Errno> {
    let page = page_size();
    if !align.is_power_of_two() || !is_whole(align.max(page)) || !is_whole(len) {
        return Err(Errno::INVAL);
    }
    if let Some(address) = hint
        && let Some(span) = reserve_at(address, len, align)
    {
        return Ok(span);
    }
    if align <= page {
        return map(ptr::null_mut(), len, libc::PROT_NONE, 0);
    }
    // Take enough that an aligned range must be inside, and give back both ends.
    let extra = align.wrapping_sub(page); // align > page
    let whole = map(ptr::null_mut(), len.checked_add(extra).ok_or(Errno::NOMEM)?, libc::PROT_NONE, 0)?;
    let head = whole.address().wrapping_neg() & align.wrapping_sub(1);
    let (Some(before), Some(span)) = (whole.part(0, head), whole.part(head, len)) else {
        return Err(Errno::INVAL); // cannot be: head <= extra, since both addresses are of whole pages
    };
    let behind = whole.part(head.wrapping_add(len), extra.wrapping_sub(head));
    for end in [Some(before), behind].into_iter().flatten().filter(|end| end.len() != 0) {
        // SAFETY: nobody else knows of the range yet, and the end is outside what is handed out.
        let _ = unsafe { unmap(end) }; // on failure (map limit) the end stays reserved: address space, no memory
    }
    Ok(span)
}

/// The range at exactly this address, if nothing is mapped there.
fn reserve_at(address: usize, len: usize, align: usize) -> Option<Span> {
    if address == 0 || address & align.wrapping_sub(1) != 0 {
        return None;
    }
    let span = map(ptr::without_provenance_mut(address), len, libc::PROT_NONE, libc::MAP_FIXED_NOREPLACE).ok()?;
    if span.address() == address {
        return Some(span);
    }
    // A kernel before 4.17 takes the flag for a mere wish.
    // SAFETY: mapped by this call, known to nobody.
    let _ = unsafe { unmap(span) };
    None
}

/// Reserves `len` bytes that read as zero and cannot be written until they are [opened](open); no huge pages.
///
/// # Errors
/// The kernel's: no address space left. EINVAL if `len` is zero or not of whole pages.
pub(crate) fn reserve_table(len: usize) -> Result<Span, Errno> {
    if !is_whole(len) {
        return Err(Errno::INVAL);
    }
    let span = counted(&COUNTERS.reserve, map(ptr::null_mut(), len, libc::PROT_READ, 0))?;
    // SAFETY: the mapping is new and ours; the advice changes no contents.
    let _ = unsafe { no_huge_pages(span) }; // a kernel without huge pages refuses, rightly
    Ok(span)
}

fn map(address: *mut c_void, len: usize, protection: c_int, flags: c_int) -> Result<Span, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | flags;
    // SAFETY: without MAP_FIXED (only FIXED_NOREPLACE may come in) a new mapping replaces nothing.
    let start = unsafe { libc::mmap(address, len, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(last());
    }
    let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
    // SAFETY: the kernel has just mapped `len` bytes at `start`.
    Ok(unsafe { Span::new(start, len) })
}

/// Gives address space back to the kernel.
///
/// # Safety
/// - Nothing in `span` is used again: another mapping may appear there at once.
pub(crate) unsafe fn release(span: Span) {
    // SAFETY: the caller's promise.
    let result = unsafe { unmap(span) };
    // A failure (splitting a map at the map limit) leaves the range as it was: leaked, never used again.
    let _ = counted(&COUNTERS.release, result);
}

/// # Safety
/// As [`release`].
unsafe fn unmap(span: Span) -> Result<(), Errno> {
    // SAFETY: the span is ours and the caller gives it up.
    outcome(unsafe { libc::munmap(span.start().as_ptr().cast(), span.len()) })
}

/// Makes the span readable and writable. Pages never touched, or purged, read as zero.
///
/// # Safety
/// - The span is ours, and nobody counts on its pages to fault.
///
/// # Errors
/// The kernel's: at the map limit, or when memory is not overcommitted.
pub(crate) unsafe fn open(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.protect, unsafe { protect(span, libc::PROT_READ | libc::PROT_WRITE) })
}

/// Makes the span inaccessible; what it holds is kept.
///
/// # Safety
/// - The span is ours, and nobody touches it before it is opened again.
///
/// # Errors
/// The kernel's: at the map limit.
pub(crate) unsafe fn close(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.protect, unsafe { protect(span, libc::PROT_NONE) })?;
    valgrind::nobody_may_access(span);
    Ok(())
}

/// # Safety
/// As [`open`] and [`close`].
unsafe fn protect(span: Span, protection: c_int) -> Result<(), Errno> {
    // Not by `region`, which divides by a size of the page that the compiler cannot know not to be 0: a panic. The kernel
    // would widen a ragged end to a whole page, and musl a ragged start, and with them what is protected.
    if !is_whole(span.len()) || !is_whole(span.address()) || span.len() == 0 {
        return Err(Errno::INVAL);
    }
    // SAFETY: whole pages, ours; the caller answers for who touches them.
    outcome(unsafe { libc::mprotect(span.start().as_ptr().cast(), span.len(), protection) })
}

/// Drops what the span holds and makes it inaccessible, without a map of its own (Linux 6.13).
///
/// # Safety
/// - The span is ours, and nobody touches it before [`unguard`].
///
/// # Errors
/// EINVAL on an older kernel and on locked memory; see [`has_guards`].
pub(crate) unsafe fn guard(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.guard, unsafe { advise(span, MADV_GUARD_INSTALL) })?;
    valgrind::nobody_may_access(span);
    Ok(())
}

/// Takes such guards off; the pages read as zero. Pages without a guard are left alone.
///
/// # Safety
/// - The span is ours, and nobody counts on its pages to fault.
///
/// # Errors
/// EINVAL on an older kernel.
pub(crate) unsafe fn unguard(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.unguard, unsafe { advise(span, MADV_GUARD_REMOVE) })
}

/// Puts new memory in the place of what the span was: readable, writable and zero, without guards. For guards that cannot be
/// [taken off](unguard), because a filter refuses that since they were put on; costs two maps at worst.
///
/// # Safety
/// - The span is ours, nobody needs its contents, and nobody counts on its pages to fault.
///
/// # Errors
/// The kernel's: at the map limit. The span is then as it was.
pub(crate) unsafe fn renew(span: Span) -> Result<(), Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    let (start, protection) = (span.start().as_ptr().cast(), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: replaces what the caller gives up, and nothing else.
    let renewed = unsafe { libc::mmap(start, span.len(), protection, flags, -1, 0) };
    counted(&COUNTERS.renew, if renewed == libc::MAP_FAILED { Err(last()) } else { Ok(()) })
}

const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const PRESENT: u8 = 2;

/// Whether [`guard`] works here. Tried once, on a page of our own.
pub(crate) fn has_guards() -> bool {
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    match ANSWER.load(Relaxed) {
        UNKNOWN => {
            let present = probe_guard();
            // Threads that race here find the same answer.
            ANSWER.store(if present { PRESENT } else { ABSENT }, Relaxed);
            present
        }
        answer => answer == PRESENT,
    }
}

#[cold]
fn probe_guard() -> bool {
    let Ok(page) = map(ptr::null_mut(), page_size(), libc::PROT_READ | libc::PROT_WRITE, 0) else {
        return false;
    };
    // SAFETY: a page of our own that nobody else knows.
    let installed = unsafe { advise(page, MADV_GUARD_INSTALL) }.is_ok();
    // Success alone proves nothing: emulators answer it to all advice. The kernel itself must be unable to read there.
    let works = installed && kernel_read(page.start()) == Err(Errno(libc::EFAULT));
    // SAFETY: known to nobody else, and not used again.
    let _ = unsafe { unmap(page) };
    works
}

/// Has the kernel read 4 bytes at `place`, which are zero: EFAULT, and no signal, if it is inaccessible. It compares them with a
/// 1 and would sleep only if they were equal. No filter can forbid the call to a program that has threads, and valgrind and
/// qemu hand it on (a call that they answer themselves makes *them* touch the place, and die of it).
fn kernel_read(place: NonNull<u8>) -> Result<(), Errno> {
    let (wait, at_once) = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, libc::timespec { tv_sec: 0, tv_nsec: 0 });
    // SAFETY: reads a word of a page that the caller has mapped for it, and writes nothing.
    let result = unsafe { libc::syscall(libc::SYS_futex, place.as_ptr(), wait, 1 as c_int, &raw const at_once) };
    if result == 0 { Ok(()) } else { Err(last()) }
}

/// Drops what the span holds: it reads as zero afterwards. Protections stay.
///
/// # Safety
/// - The span is ours, and nobody needs its contents.
///
/// # Errors
/// EINVAL on locked memory, which keeps its contents.
pub(crate) unsafe fn purge(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.purge, unsafe { advise(span, libc::MADV_DONTNEED) })
}

/// Which OS pages of the span have memory at hand: the lowest bit of a byte for each. What was swapped out has none.
///
/// # Errors
/// The kernel's: ENOSYS where a filter refuses the call. EINVAL if the bytes are not as many as the OS pages.
pub(crate) fn present(span: Span, bytes: &mut [u8]) -> Result<(), Errno> {
    if bytes.len().checked_mul(page_size()) != Some(span.len()) {
        return Err(Errno::INVAL);
    }
    // SAFETY: the call touches no memory but the bytes, of which it writes one for each OS page of the span.
    let asked = unsafe { libc::mincore(span.start().as_ptr().cast(), span.len(), bytes.as_mut_ptr()) };
    counted(&COUNTERS.ask, if asked == 0 { Ok(()) } else { Err(last()) })
}

/// Moves the pages of `from` to the start of `to`, which is as long or longer; all of `to` is then readable and writable,
/// and the part behind the moved pages reads as zero. `from` stays ours and open, and reads as zero.
///
/// ```text
///   from |aaaa|      stopover |    |      to |........|       as reserved
///        |    |               |aaaa|         |........|       moved, and `from` stays: that keeps the length
///        |    |                              |aaaa    |       moved and grown: one map, which can be moved again
/// ```
///
/// # Safety
/// - Both spans are ours, do not overlap, and nobody needs what `to` held.
/// - `from` is open, and nobody touches it meanwhile.
///
/// # Errors
/// EFAULT when `from` lies in several maps; ENOMEM; EINVAL before Linux 5.7, and when `to` is the shorter. `from` then holds
/// what it held and is open, but `to` is no longer ours: neither to be used nor to be released.
pub(crate) unsafe fn move_pages(from: Span, to: Span) -> Result<(), Errno> {
    let moved = if from.len() == to.len() {
        // SAFETY: the caller's promise.
        let moved = unsafe { remap(from, to, Source::Stays) };
        moved.inspect_err(|_| give_up(to))
    } else {
        // SAFETY: the caller's promise.
        unsafe { move_and_grow(from, to) }
    };
    counted(&COUNTERS.remap, moved)
}

/// What becomes of the range that pages are moved from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// It stays mapped, and empty: so nobody else can map anything there.
    Stays,
    /// It goes.
    Goes,
}

/// # Safety
/// As [`move_pages`].
unsafe fn move_and_grow(from: Span, to: Span) -> Result<(), Errno> {
    let stopover = match reserve_stopover(from, to) {
        Ok(stopover) => stopover,
        Err(error) => {
            // SAFETY: nothing has happened to it yet, and the caller gives it up.
            let _ = unsafe { unmap(to) };
            return Err(error);
        }
    };
    // SAFETY: the caller's promise; the stopover is known to nobody else.
    if let Err(error) = unsafe { remap(from, stopover, Source::Stays) } {
        give_up(stopover);
        // SAFETY: nothing has happened to it yet, and the caller gives it up.
        let _ = unsafe { unmap(to) };
        return Err(error);
    }
    // SAFETY: both are ours, and apart; the stopover is not used again.
    unsafe { remap(stopover, to, Source::Goes) }.inspect_err(|_| {
        give_up(to);
        // SAFETY: both are ours, as long as each other, and apart.
        unsafe { move_back(stopover, from) };
    })
}

/// A place for as much as `from` holds, that lies to the page tables as `to` does: whole tables can then be moved.
fn reserve_stopover(from: Span, to: Span) -> Result<Span, Errno> {
    const TABLE: usize = 2 << 20;
    if to.len() < from.len() {
        return Err(Errno::INVAL);
    }
    let skip = to.address() & TABLE.wrapping_sub(1);
    let whole = reserve_aligned(skip.checked_add(from.len()).ok_or(Errno::NOMEM)?, TABLE, None)?;
    let (Some(before), Some(stopover)) = (whole.part(0, skip), whole.part(skip, from.len())) else {
        return Err(Errno::INVAL); // cannot be: that is how long it was made
    };
    if skip != 0 {
        // SAFETY: nobody else knows of the range yet, and it is outside what is handed out.
        let _ = unsafe { unmap(before) };
    }
    Ok(stopover)
}

/// Copies, for a second failure of the kernel would leave the program's block in the wrong place.
///
/// # Safety
/// - Both are ours, as long as each other, and apart; nobody uses `stopover` again.
#[cold]
unsafe fn move_back(stopover: Span, from: Span) {
    for span in [stopover, from] {
        // They are open, unless the program has protected its own memory in parts.
        // SAFETY: ours, and nobody counts on faults there.
        let _ = unsafe { protect(span, libc::PROT_READ | libc::PROT_WRITE) };
    }
    // SAFETY: both are open, as long as each other, and apart.
    unsafe { stopover.start().copy_to_nonoverlapping(from.start(), from.len()) };
    // SAFETY: ours, and not used again.
    let _ = unsafe { unmap(stopover) };
}

/// # Safety
/// - Both ranges are ours and apart, and what `to` held is not needed; nor is `from`, if it goes.
unsafe fn remap(from: Span, to: Span, source: Source) -> Result<(), Errno> {
    let keep = match source {
        Source::Stays => libc::MREMAP_DONTUNMAP,
        Source::Goes => 0,
    };
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | keep;
    let (start, target) = (from.start().as_ptr().cast(), to.start().as_ptr().cast::<c_void>());
    // SAFETY: the caller's promise.
    let moved = unsafe { libc::mremap(start, from.len(), to.len(), flags, target) };
    if moved == libc::MAP_FAILED { Err(last()) } else { Ok(()) }
}

/// A move that failed may have left a hole at `to`, and another thread may have mapped something there since: to unmap the
/// range could hit that. Only if all of it can be reserved anew is it certainly ours to give back; else it stays as it is.
fn give_up(to: Span) {
    let address = to.start().as_ptr().cast();
    if let Ok(span) = map(address, to.len(), libc::PROT_NONE, libc::MAP_FIXED_NOREPLACE) {
        // SAFETY: mapped by this call, known to nobody.
        let _ = unsafe { unmap(span) };
    }
}

/// Lets nobody unmap, move or protect what lies in the span, us included, as long as the process lives (Linux 6.10).
///
/// # Safety
/// - The span is ours, and stays as it is for ever.
///
/// # Errors
/// ENOSYS on an older kernel; EPERM from a filter. The span is then as it was.
pub(crate) unsafe fn seal(span: Span) -> Result<(), Errno> {
    // Not in the C library's headers yet; the number is the same on all machines that there is a backend for.
    const MSEAL: libc::c_long = 462;
    let start: *mut c_void = span.start().as_ptr().cast();
    // SAFETY: the caller's promise; contents and protections do not change.
    let sealed = unsafe { libc::syscall(MSEAL, start, span.len(), 0 as libc::c_ulong) };
    counted(&COUNTERS.seal, if sealed == 0 { Ok(()) } else { Err(last()) })
}

/// The span reads as zero in the child of every fork, raw clones included.
///
/// # Safety
/// - The span is ours, holds no guards, and a child can live with the zeros.
///
/// # Errors
/// EINVAL before Linux 4.14.
pub(crate) unsafe fn wipe_on_fork(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.advise, unsafe { advise(span, libc::MADV_WIPEONFORK) })
}

/// Keeps the span out of core dumps.
///
/// # Safety
/// - The span is ours.
///
/// # Errors
/// The kernel's: at the map limit.
pub(crate) unsafe fn hide_from_dumps(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.advise, unsafe { advise(span, libc::MADV_DONTDUMP) })
}

/// Lets the kernel back the span with huge pages, where it can, from the next touch on: memory comes two MiB at a time then.
///
/// # Safety
/// - The span is ours.
///
/// # Errors
/// EINVAL on a kernel without them; ENOMEM at the map limit.
pub(crate) unsafe fn want_huge_pages(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.advise, unsafe { advise(span, libc::MADV_HUGEPAGE) })
}

/// No transparent huge pages here.
///
/// # Safety
/// - The span is ours.
///
/// # Errors
/// EINVAL on a kernel without them.
unsafe fn no_huge_pages(span: Span) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    counted(&COUNTERS.advise, unsafe { advise(span, libc::MADV_NOHUGEPAGE) })
}

/// # Safety
/// - The span is ours, and the caller answers for what the advice does to it.
unsafe fn advise(span: Span, advice: c_int) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    outcome(unsafe { libc::madvise(span.start().as_ptr().cast(), span.len(), advice) })
}

/// Has the processor fetch the line at `place`, which will be wanted soon. It may be anywhere.
#[inline(always)]
pub(crate) fn fetch_ahead(place: *const u8) {
    arch::fetch_ahead(place);
}

fn is_whole(bytes: usize) -> bool {
    bytes & page_size().wrapping_sub(1) == 0
}

#[cfg(test)]
mod tests;
