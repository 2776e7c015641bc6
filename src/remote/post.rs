//! A free by a thread that does not own the page.

use super::{NotLive, Owner, OwnerWord, Rules, Spot};
use crate::sync::{AcqRel, Acquire, AtomicU64};

/// The words of a page that every thread may write, and its place among the marks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) owner: &'a OwnerWord,
    pub(crate) summary: &'a AtomicU64,
    /// The word of the segment that has the page's pending mark.
    pub(crate) pending: &'a AtomicU64,
    pub(crate) mark: u64,
    /// The flag of the segment in a mailbox.
    pub(crate) flag: u64,
}

/// What is left to do after a remote free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// Nothing: the owner knows, or will.
    Delivered,
    /// The page has no owner: whoever likes claims it.
    Abandoned,
}

/// Frees a block of another thread's page. `group` is the summary bit of its word.
///
/// # Errors
/// [`NotLive`] if another thread has freed the block before and its owner has not yet taken it back.
#[inline(always)]
pub(crate) fn post<R: Rules>(spot: &Spot<'_>, group: u64, line: &Line<'_>) -> Result<Posted, NotLive> {
    let early_owner = if R::OWNER_READ_LAST { Owner::Nobody } else { line.owner.load() };
    let early = if R::BIT_SET_FIRST { None } else { Some(announce::<R>(group, line, early_owner)) };
    let before = spot.remote.fetch_or(spot.mask(), AcqRel);
    if before & spot.mask() != 0 {
        return Err(NotLive);
    }
    if !R::STATE_ASKED_ONCE && !spot.is_out() {
        return Err(NotLive);
    }
    if let Some(posted) = early {
        return Ok(posted);
    }
    if !R::SUMMARY_SEEN && before != 0 {
        return Ok(Posted::Delivered);
    }
    if line.summary.load(Acquire) & group != 0 {
        return Ok(Posted::Delivered);
    }
    Ok(announce::<R>(group, line, early_owner))
}

/// The summary bit was not set yet: set it, and tell the owner if it was the page's first.
#[inline(never)]
fn announce<R: Rules>(group: u64, line: &Line<'_>, early_owner: Owner) -> Posted {
    if !R::SUMMARY_SET_BEFORE_MARK {
        line.pending.fetch_or(line.mark, AcqRel);
    }
    if line.summary.fetch_or(group, AcqRel) != 0 {
        // Whoever set the first bit tells the owner, and until the owner has cleared the summary it takes ours as well.
        return Posted::Delivered;
    }
    if R::SUMMARY_SET_BEFORE_MARK && R::MARK_SET_BEFORE_FLAG {
        line.pending.fetch_or(line.mark, AcqRel);
    }
    let posted = match if R::OWNER_READ_LAST { line.owner.load() } else { early_owner } {
        Owner::Thread(mailbox) => {
            // SAFETY: an owner word holds a sentinel or a thread's mailbox, and mailboxes are never unmapped.
            unsafe { &*mailbox }.put(line.flag);
            Posted::Delivered
        }
        Owner::Abandoned => Posted::Abandoned,
        // Busy: it looks at the summary after it has published. Nobody: all blocks of the page came back, ours too.
        Owner::Busy | Owner::Nobody | Owner::Single => Posted::Delivered,
    };
    if !R::MARK_SET_BEFORE_FLAG {
        line.pending.fetch_or(line.mark, AcqRel);
    }
    posted
}
