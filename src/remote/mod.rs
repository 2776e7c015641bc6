//! The protocol between threads: how a block that one thread frees comes back to the thread that owns its page.
//!
//! ```text
//!   a thread that does not own the page            the owner
//!
//!   1  remote bit of the block    ---\        4  summary := 0, and then for each word it named:
//!   2  summary bit of the word       |           remote word := 0, state bits cleared
//!   3  pending mark of the page      |        3  pending mark of its own pages
//!   4  flag in the owner's mailbox <-/        2  flag in its mailbox := 0
//!                                             1  (a slow path of malloc)
//!      set from the bottom up                    cleared from the top down
//! ```
//!
//! A **state bit** is set from malloc until the *owner* has taken the block back; only the owner writes it. A **remote
//! bit** says that another thread has freed the block; anyone sets it, only the owner clears it. A block is **live** while
//! its state bit is set and its remote bit is clear. Both lie out of line, one bit for each granule, so that a free by
//! another thread writes neither the block nor a list: no list that threads share exists, and a bit that was already set
//! names the second free of a pair there and then.
//!
//! A lost mark would leak a block for ever; a spurious one costs a look. So whoever sets goes bottom up and whoever
//! clears goes top down, and a mark may be set once too often, never once too seldom.
//!
//! # The rules
//!
//! Each is a constant of [`Rules`]; the model checker runs these very functions with one of them dropped at a time and
//! must fail (`model.rs`).
//!
//! Every clearing is a read-modify-write, and so is every look that follows a change of owner. Then acquire and release
//! are enough: if the look came first, the one who posts reads what the look wrote, and so sees the new owner as well.
//!
//! Reading order: [`bits`] (the two bits of a block), [`mod@post`] (a free by another thread), [`mail`]
//! (how its owner learns of it), [`owner`] (who may touch a
//! page, and how that changes).

mod bits;
mod mail;
mod owner;
mod post;

pub(crate) use bits::{Bits, NotLive, Out, Spot, collect, settle};
pub(crate) use mail::{Mailbox, collect_marked};
pub(crate) use owner::{Owned, Owner, OwnerWord};
pub(crate) use post::{Line, Posted, post};

/// Which rules of the protocol are kept. The allocator keeps [`All`]; the model checker drops one and must fail.
pub(crate) trait Rules {
    /// A remote free returns only after it has seen or set its summary bit, even if the word was not zero before: the
    /// thread that made it so may be stalled before it set the summary.
    const SUMMARY_SEEN: bool = true;
    /// While the summary is not zero, the owner's free tests the block's remote bit.
    const FREE_TESTS_REMOTE: bool = true;
    /// While the summary is not zero, the owner's pop tests the block's remote bit.
    const POP_TESTS_REMOTE: bool = true;
    /// A remote bit that is found over a clear state bit is a double free.
    const STATE_BEHIND_REMOTE: bool = true;
    /// Marks are set from the bottom up.
    const BOTTOM_UP: bool = true;
    /// Marks are cleared from the top down.
    const TOP_DOWN: bool = true;
    /// The owner is read after the marks are set.
    const OWNER_READ_LAST: bool = true;
    /// Whoever changes the owner looks at the summary afterwards.
    const LOOK_AFTER_CHANGE: bool = true;
    /// A page that is born is collected, after its owner was published.
    const BIRTH_COLLECTS: bool = true;
    /// An abandoned page is claimed by compare-and-swap.
    const CLAIM_BY_SWAP: bool = true;
    /// An owner clears the marks of its own pages only.
    const OWN_MARKS_ONLY: bool = true;
}

/// All rules are kept.
#[derive(Debug)]
pub(crate) struct All;

impl Rules for All {}
