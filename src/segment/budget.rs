//! What guards may cost. Where the kernel has guards that are marks in the page tables they cost a call; elsewhere each splits a
//! mapping, of which a process may have only so many: at most half of them are ours, and the guards left out are counted.
//!
//! And what closing freed large blocks may cost: time, which grows with their size and with how often they come and go.

use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os::{self, Errno, Span};
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Relaxed};

/// Borders between accessible and inaccessible mappings that we have made, about one map each.
pub(super) static BORDERS: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(0);
pub(super) static LEFT_OUT: AtomicUsize = AtomicUsize::new(0);
/// Freed large blocks that stayed open for a while.
static LEFT_OPEN: AtomicUsize = AtomicUsize::new(0);
/// The kernel has refused a guard on our memory: it is locked.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Maps that guards have cost.
pub(crate) fn borders() -> usize {
    BORDERS.load(Relaxed)
}

/// Guards that were left out since the start of the process.
pub(crate) fn left_out() -> usize {
    LEFT_OUT.load(Relaxed)
}

/// Freed large blocks that were not made inaccessible at once since the start of the process.
pub(crate) fn left_open() -> usize {
    LEFT_OPEN.load(Relaxed)
}

/// Microseconds' worth of closing that may be done ahead of its time.
const BURST: u64 = 1_000_000 / 32;
/// The two calls take as long as so many bytes more.
const CALLS: usize = 64 << 10;

/// When what was closed would have been closed at the rate that is allowed, in microseconds.
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// Whether a freed large block of `size` bytes may be closed. With `quarantine`, which has its price, always.
///
/// To close and to open 256 KiB again takes some ten microseconds, so that what the [option](Setting::ClosingRate) allows is a
/// few hundredths of a processor's time. The generic cell rate algorithm (ITU-T I.371): one word, and no clock that has to tick.
pub(super) fn may_close(size: usize) -> bool {
    if MITIGATIONS.quarantine {
        return true;
    }
    let now = os::milliseconds().wrapping_mul(1000);
    let rate = options::bytes(Setting::ClosingRate).max(1);
    let cost = (size.saturating_add(CALLS) as u64).saturating_mul(1_000_000) / rate as u64;
    let spend = |closed: u64| (closed <= now.saturating_add(BURST)).then(|| closed.max(now).saturating_add(cost));
    let is_within = CLOSED.fetch_update(Relaxed, Relaxed, spend).is_ok();
    if !is_within {
        LEFT_OPEN.fetch_add(1, Relaxed);
    }
    is_within
}

pub(super) fn has_guards() -> bool {
    os::has_guards() && !REFUSED.load(Relaxed)
}

/// How many borders there may be: read from the kernel once.
fn limit() -> usize {
    match options::bytes(Setting::GuardLimit) {
        0 => {
            let known = LIMIT.load(Relaxed);
            if known != 0 {
                return known;
            }
            let limit = os::map_limit() / 2;
            LIMIT.store(limit, Relaxed);
            limit
        }
        chosen => chosen,
    }
}

/// Whether a protection that splits a mapping is within the budget.
pub(super) fn may_split() -> bool {
    BORDERS.load(Relaxed) < limit()
}

pub(super) fn leave_out() {
    LEFT_OUT.fetch_add(1, Relaxed);
}

/// Installs a guard, which zaps the range as well. Refused once, none is tried again: what follows from a refusal is then
/// true for good. Some of the range may be guarded all the same.
pub(super) fn guard(span: Span) -> Result<(), Errno> {
    // SAFETY: the callers bring ranges that no live block lies in.
    let result = unsafe { os::guard(span) };
    if result.is_err() && !admits_guards() {
        REFUSED.store(true, Relaxed);
    }
    result
}

/// Whether the kernel still takes a guard on new memory: it may have refused one only because the program has locked that
/// range.
#[cold]
fn admits_guards() -> bool {
    let page = os::page_size();
    let Ok(span) = os::reserve(page, page, None) else { return false };
    // SAFETY: a page of this function's own.
    let opened = unsafe { os::open(span) };
    // SAFETY: as above.
    let admitted = opened.is_ok() && unsafe { os::guard(span) }.is_ok();
    // SAFETY: as above; nobody knows of it.
    unsafe { os::release(span) };
    admitted
}
