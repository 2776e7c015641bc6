//! Who may touch a page: the owner word, the token that proves it, and how the owner changes.
//!
//! ```text
//!            birth                exit of the thread
//!   NOBODY ---------> a thread -----------------------> ABANDONED
//!      ^                 ^                               |     ^
//!      |                 | adopt          claim, by swap |     | publish again
//!      |                 |                               v     |
//!      +-----------------+------------------------------- BUSY
//!            retire (empty)
//!
//!   NOBODY ---> SINGLE   a page with one block belongs to nobody's lists: whoever frees it retires it
//! ```

use super::bits::start;
use super::{Bits, Mailbox, NotLive, Rules};
use crate::sync::{AcqRel, Acquire, AtomicPtr, AtomicU64, Relaxed};
use core::ptr;

/// Proof that this thread owns the page: it alone may write the page's lists and state bits.
///
/// Made only here: by the owner check, by birth, and by a successful claim.
#[derive(Debug)]
pub(crate) struct Owned(());

impl Owned {
    /// For the fast path of malloc, which knows without asking.
    ///
    /// # Safety
    /// - the calling thread owns the page, or the page is the empty one.
    #[inline(always)]
    pub(crate) const unsafe fn known() -> Self {
        Self(())
    }
}

/// What an owner word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// No page, or one that is being made or given up.
    Nobody,
    /// Its thread has ended; whoever claims it may have it.
    Abandoned,
    /// Claimed for the moment.
    Busy,
    /// A page of one block.
    Single,
    /// The thread with this mailbox.
    Thread(*mut Mailbox),
}

const ABANDONED: usize = 1;
const BUSY: usize = 2;
const SINGLE: usize = 3;
/// A page that was given up. Not the 0 of one that was never born: a thread without a mailbox names itself by that, and would
/// take a page for its own whose last block it has raced to free.
const GIVEN_UP: usize = 4;

/// The word that says who owns a page.
#[derive(Debug)]
pub(crate) struct OwnerWord(AtomicPtr<Mailbox>);

const fn mark(value: usize) -> *mut Mailbox {
    ptr::without_provenance_mut(value)
}

/// Whether somebody has set a summary bit before the change of owner, and may have read the owner that was.
fn look_after_change<R: Rules>(summary: &AtomicU64) -> bool {
    // A look that writes: whoever sets a bit after it reads what it wrote, and so sees the new owner.
    let marks = if R::LOOK_WRITES { summary.fetch_or(0, AcqRel) } else { summary.load(Acquire) };
    R::LOOK_AFTER_CHANGE && marks != 0
}

impl OwnerWord {
    /// Wraps an atomic made in a constant: the model checker's have no constant constructor.
    pub(crate) const fn from(word: AtomicPtr<Mailbox>) -> Self {
        Self(word)
    }

    /// What the word says now.
    pub(crate) fn load(&self) -> Owner {
        let word = self.0.load(Acquire);
        match word.addr() {
            0 | GIVEN_UP => Owner::Nobody,
            ABANDONED => Owner::Abandoned,
            BUSY => Owner::Busy,
            SINGLE => Owner::Single,
            _ => Owner::Thread(word),
        }
    }

    /// The token, if the thread with mailbox `me` owns the page. The owner never changes under its owner's feet.
    #[inline(always)]
    pub(crate) fn owned_by(&self, me: *mut Mailbox) -> Option<Owned> {
        if ptr::eq(self.0.load(Relaxed), me) { Some(Owned(())) } else { None }
    }

    /// Slices are about to say that they belong to this page, which may be its first birth. A thread that is late with a
    /// second free into an earlier page finds it from then on: it must not be the 0 that a thread without a mailbox names
    /// itself by.
    pub(crate) fn conceive(&self) {
        self.0.swap(mark(GIVEN_UP), AcqRel);
    }

    /// The page is born: `me` owns it from now on.
    ///
    /// Then it is collected, though no block of it was made yet: a thread may be late with the marks of its earlier life.
    /// They are cleared only after the owner is known, so that whoever sets the first one later finds whom to tell; all who
    /// set one after it rely on that.
    ///
    /// # Errors
    /// The granule's index of a block that was freed once more when all of the earlier life were free.
    pub(crate) fn bear<R: Rules>(
        &self,
        bits: &Bits<'_>,
        summary: &AtomicU64,
        me: *mut Mailbox,
    ) -> Result<Owned, usize> {
        let owned = Owned(());
        if R::BIRTH_COLLECTS && !R::BIRTH_COLLECTS_LAST {
            start::<R>(bits, summary, &owned)?;
        }
        self.0.swap(me, AcqRel);
        if R::BIRTH_COLLECTS && R::BIRTH_COLLECTS_LAST {
            start::<R>(bits, summary, &owned)?;
        }
        Ok(owned)
    }

    /// The page is born with one block, and belongs to whoever frees that. Nobody asks for its summary.
    pub(crate) fn bear_single(&self) {
        self.0.swap(mark(SINGLE), AcqRel);
    }

    /// Claims an abandoned page for the moment: the token, if nobody else was faster.
    pub(crate) fn claim<R: Rules>(&self) -> Option<Owned> {
        if !R::CLAIM_BY_SWAP {
            let abandoned = self.load() == Owner::Abandoned;
            return abandoned.then(|| {
                self.0.swap(mark(BUSY), AcqRel);
                Owned(())
            });
        }
        self.0.compare_exchange(mark(ABANDONED), mark(BUSY), AcqRel, Relaxed).ok().map(|_| Owned(()))
    }

    /// Gives the page to nobody in particular. True: another thread has freed a block meanwhile and found an owner that
    /// is none any more, so the caller must claim the page again and collect.
    #[must_use]
    pub(crate) fn abandon<R: Rules>(&self, summary: &AtomicU64, _owned: Owned) -> bool {
        self.0.swap(mark(ABANDONED), AcqRel);
        look_after_change::<R>(summary)
    }

    /// A claimed page becomes `me`'s. True: there is something to collect.
    #[must_use]
    pub(crate) fn adopt<R: Rules>(&self, summary: &AtomicU64, me: *mut Mailbox, _claimed: &Owned) -> bool {
        self.0.swap(me, AcqRel);
        look_after_change::<R>(summary)
    }

    /// The page is given up: none of its blocks is live.
    pub(crate) fn retire(&self, _owned: Owned) {
        self.0.swap(mark(GIVEN_UP), AcqRel);
    }

    /// Whoever frees the block of a page of one claims and retires the page.
    ///
    /// # Errors
    /// [`NotLive`] if another was faster.
    pub(crate) fn claim_single<R: Rules>(&self) -> Result<(), NotLive> {
        if !R::SINGLE_BY_SWAP {
            let is_single = self.load() == Owner::Single;
            self.0.swap(mark(GIVEN_UP), AcqRel);
            return if is_single { Ok(()) } else { Err(NotLive) };
        }
        match self.0.compare_exchange(mark(SINGLE), mark(GIVEN_UP), AcqRel, Relaxed) {
            Ok(_) => Ok(()),
            Err(_) => Err(NotLive),
        }
    }

    /// In the child of a fork: the owner is a thread that exists no more. Nobody else runs.
    pub(crate) fn orphan(&self) {
        self.0.store(mark(ABANDONED), Relaxed);
    }
}
