//! Where lines go that are not reports: standard error, or a function of the program's.
//!
//! ```text
//! warnings, lists, statistics ---> write --+--> standard error, and the first 32 KiB are kept
//!                                          |
//!                                          +--> the program's function, once there is one; it gets what was kept first
//! ```
//!
//! A report of a misuse never comes here: it is written to standard error, whatever the program has registered.

use crate::os;
use core::mem;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU8, AtomicUsize};

/// A function that takes whole lines. It says whether it took them: else they go to standard error.
pub type Outlet = fn(&[u8]) -> bool;

/// Bytes that are kept for a function that is registered later.
const KEPT: usize = 32 << 10;

// These are core's atomics even under loom: they are statics.

/// The function as a bare pointer, null while there is none. Set once, for it stays the same: what it calls may change.
static OUTLET: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());
static BYTES: [AtomicU8; KEPT] = [const { AtomicU8::new(0) }; KEPT];
/// How many of them are used, or [`TAKEN`].
static USED: AtomicUsize = AtomicUsize::new(0);
/// Nothing is kept any more.
const TAKEN: usize = usize::MAX;
/// How many warnings may still be written; negative is without a limit.
static WARNINGS: AtomicI64 = AtomicI64::new(-1);

/// Writes whole lines.
pub(crate) fn write(lines: &[u8]) {
    if !offer(lines) {
        os::write_error(lines);
        keep(lines);
    }
}

/// Writes whole lines when the process exits.
pub(crate) fn write_last(lines: &[u8]) {
    if !offer(lines) {
        os::write_kept_error(lines);
    }
}

fn offer(lines: &[u8]) -> bool {
    outlet().is_some_and(|outlet| outlet(lines))
}

/// Has lines written by `outlet` from now on. The first that is set stays.
pub(crate) fn set_outlet(outlet: Outlet) {
    let _ = OUTLET.compare_exchange(ptr::null_mut(), outlet as *mut (), Release, Acquire);
}

/// Hands out what was kept, piece by piece, and keeps nothing from now on.
pub(crate) fn take_kept(out: &mut dyn FnMut(&[u8])) {
    let used = USED.swap(TAKEN, Acquire);
    if used == TAKEN {
        return;
    }
    let mut piece = [0_u8; 256];
    let mut rest = BYTES.get(..used).unwrap_or(&[]);
    while !rest.is_empty() {
        let (now, later) = rest.split_at_checked(piece.len()).unwrap_or((rest, &[]));
        for (to, from) in piece.iter_mut().zip(now) {
            *to = from.load(Relaxed);
        }
        out(piece.get(..now.len()).unwrap_or(&[]));
        rest = later;
    }
}

/// Sets how many warnings are written from now on; `None` is without a limit.
pub(crate) fn limit_warnings(limit: Option<u32>) {
    WARNINGS.store(limit.map_or(-1, i64::from), Relaxed);
}

/// Whether one more warning may be written.
pub(super) fn may_warn() -> bool {
    let left = WARNINGS.load(Relaxed);
    if left > 0 {
        WARNINGS.store(left.wrapping_sub(1), Relaxed);
    }
    left != 0
}

fn outlet() -> Option<Outlet> {
    let pointer = OUTLET.load(Acquire);
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the pointer is not null, and the only other value ever stored is an `Outlet` cast to a pointer in `set_outlet`.
    Some(unsafe { mem::transmute::<*mut (), Outlet>(pointer) })
}

/// Keeps lines, all of them or none, so that nothing is cut.
fn keep(lines: &[u8]) {
    let Ok(start) = USED.fetch_update(Release, Relaxed, |used| {
        let end = used.checked_add(lines.len())?;
        (end <= KEPT).then_some(end)
    }) else {
        return;
    };
    for (to, from) in BYTES.iter().skip(start).zip(lines) {
        to.store(*from, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Child;
    use std::sync::Mutex;
    use std::vec::Vec;

    static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    fn take(lines: &[u8]) -> bool {
        LINES.lock().unwrap().extend_from_slice(lines);
        true
    }

    #[test]
    #[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
    fn what_was_written_is_kept_up_to_a_bound_and_what_comes_later_goes_to_the_function() {
        let corpse = Child::of(
            "report::output::tests::what_was_written_is_kept_up_to_a_bound_and_what_comes_later_goes_to_the_function",
        )
        .run(|| {
            write(b"first\n");
            let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
            (0..40).for_each(|_| write(&line));
            set_outlet(take);
            set_outlet(|_| false);
            take_kept(&mut |piece| _ = take(piece));
            let kept = core::mem::take(&mut *LINES.lock().unwrap());
            assert!(kept.starts_with(b"first\n"));
            assert_eq!(kept.len(), 6 + 31 * 1024);
            write(b"later\n");
            take_kept(&mut |piece| _ = take(piece));
            assert_eq!(*LINES.lock().unwrap(), b"later\n");
        });
        assert_eq!(corpse.code, Some(0), "{corpse:?}");
        assert!(!corpse.stderr.contains("later"));
    }
}
