//! What an owner is told, and how it finds the pages that it was told of.

use super::{Owned, Rules};
use crate::sync::{AcqRel, Acquire, AtomicU64};

/// Where a thread is told that pages of its own have something to collect: one bit for the segments whose number is the
/// same modulo 64. Lies in memory that is never unmapped, so that a late flag finds a valid place.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Mailbox(AtomicU64);

impl Mailbox {
    /// Tells the thread to look at the segments of `flag`.
    pub(crate) fn put(&self, flag: u64) {
        self.0.fetch_or(flag, AcqRel);
    }

    /// Whether there is anything: a cheap look that may be late.
    pub(crate) fn has_mail(&self) -> bool {
        self.0.load(Acquire) != 0
    }

    /// Takes the flags out.
    pub(crate) fn take(&self) -> u64 {
        self.0.swap(0, AcqRel)
    }

    /// Takes the flags out, and calls `look` with the number of each.
    pub(crate) fn open<R: Rules>(&self, mut look: impl FnMut(usize)) {
        if !self.has_mail() {
            return;
        }
        let flags = if R::TOP_DOWN { self.take() } else { self.0.load(Acquire) };
        let mut left = flags;
        while left != 0 {
            look(left.trailing_zeros() as usize);
            left &= left.wrapping_sub(1);
        }
        if !R::TOP_DOWN {
            self.0.fetch_and(!flags, AcqRel);
        }
    }
}

#[cfg(test)]
impl Mailbox {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// An owner goes over the pending marks of one segment. `own` says what starts at a slice, with the token, if that is a page
/// of the caller's; then its mark is cleared, and `collect` is to empty its summary.
pub(crate) fn collect_marked<R: Rules, P>(
    pending: &[AtomicU64],
    own: impl Fn(usize) -> Option<(P, Owned)>,
    mut collect: impl FnMut(P, Owned),
) {
    for (index, word) in pending.iter().enumerate() {
        let mut marks = word.load(Acquire);
        while marks != 0 {
            let slice = (index << 6) | marks.trailing_zeros() as usize;
            let mark = marks & marks.wrapping_neg();
            marks &= !mark;
            if !R::OWN_MARKS_ONLY {
                word.fetch_and(!mark, AcqRel);
            }
            // The marks of others stay: their owners would never learn of them.
            let Some((page, owned)) = own(slice) else { continue };
            if R::TOP_DOWN {
                word.fetch_and(!mark, AcqRel);
            }
            collect(page, owned);
            if !R::TOP_DOWN {
                word.fetch_and(!mark, AcqRel);
            }
        }
    }
}
