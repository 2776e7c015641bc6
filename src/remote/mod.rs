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
//! Each is a constant of [`Rules`], and says what goes wrong without it. The model checker runs these very functions, in
//! every interleaving, and runs them again with one rule dropped at a time: then it must fail (`model`).
//!
//! # Why acquire and release are enough
//!
//! ```text
//!   who posts         who changes the owner
//!   summary |= bit    owner := new
//!   read owner        look at the summary, by a read-modify-write
//! ```
//!
//! Both write the summary, so one of them is first. If the bit was set first, the look sees it, and whoever looks collects.
//! If the look came first, who posts has read what the look wrote, and so reads the new owner. There is no third case, hence
//! no need of one order of all accesses, nor of reading the owner again once it was told: whoever becomes the owner later
//! has yet to look. A flag in the mailbox of a thread that owns the page no more is spurious. A look that only reads would
//! not do, and `LOOK_WRITES` shows it.
//!
//! In the same way a bit meets a collect: the one writes the word and reads the summary, the other writes the summary and
//! then the word, even if that is zero. So a post whose word's summary bit is set already costs one read-modify-write and
//! one load.
//!
//! The pending mark needs no look of its own. Whoever sets the first bit of a summary sets the mark after it and then reads
//! the owner; all others rely on it. Whoever empties the summary, for whatever reason, takes the bits of all of them.
//!
//! # What is not caught
//!
//! A second free may look at the state bit in time and be held up before it sets the remote bit. If the block is handed out
//! again before that, it counts as a free of its new owner's. If the block is only collected meanwhile, the bit is found: by
//! pop and by the next collect, or at the page's next birth. What remains is one held up from before the block was collected
//! until after its page was given up *and* its slices were cut into other pages: its marks are set on the page that was.
//!
//! Reading order: [`bits`] (the two bits of a block), [`mod@post`] (a free by another thread), [`mail`] (how its owner learns of
//! it), [`owner`] (who may touch a page, and how that changes).

mod bits;
mod mail;
mod owner;
mod post;

pub(crate) use bits::{Bits, NotLive, Out, Spot, collect, release, settle};
pub(crate) use mail::{Mailbox, collect_marked};
pub(crate) use owner::{Owned, Owner, OwnerWord};
pub(crate) use post::{Line, Posted, post};

/// Which rules of the protocol are kept. The allocator keeps [`All`]; the model checker drops one and must fail.
pub(crate) trait Rules {
    /// A remote free returns only after it has seen or set its summary bit, even if the word was not zero before. The thread
    /// that made it so may be stalled before it set the summary; meanwhile the owner's free and pop would test nothing.
    const SUMMARY_SEEN: bool = true;
    /// While the summary is not zero, the owner's free tests the block's remote bit. Else a block that another thread has
    /// freed could be freed again, and an innocent malloc or collect would die of it. (No block would have two owners.)
    const FREE_TESTS_REMOTE: bool = true;
    /// While the summary is not zero, the owner's pop tests the block's remote bit. Else a block that the owner has freed, and
    /// another thread as well, would be handed out, collected, and handed out again.
    const POP_TESTS_REMOTE: bool = true;
    /// A remote free asks the state bit before it sets the remote bit, and not again. Else a collect in between, which has cleared both,
    /// makes a double free of a correct one.
    const STATE_ASKED_ONCE: bool = true;
    /// A remote bit that is found over a clear state bit is a double free. Else the block would be listed twice.
    const STATE_BEHIND_REMOTE: bool = true;

    /// Setting goes bottom up: the remote bit before the marks. Else the owner follows the marks, finds no bit, and clears
    /// them.
    const BIT_SET_FIRST: bool = true;
    /// The summary before the pending mark. Else the owner clears the mark, and finds an empty summary.
    const SUMMARY_SET_BEFORE_MARK: bool = true;
    /// The pending mark before the owner's flag. Else the owner takes the flag, and finds no mark.
    const MARK_SET_BEFORE_FLAG: bool = true;
    /// The owner is read after the summary and the mark were set. Else a thread is told that owns the page no more.
    const OWNER_READ_LAST: bool = true;

    /// Clearing goes top down: the flags before the pending marks are read. Else a flag set in between is lost.
    const FLAGS_CLEARED_FIRST: bool = true;
    /// A pending mark before the page's summary. Else a mark set in between is lost.
    const MARKS_CLEARED_FIRST: bool = true;
    /// The summary before the words of remote bits. Else a summary bit set in between is lost.
    const SUMMARY_CLEARED_FIRST: bool = true;
    /// A word of remote bits is written even if it is zero. Else whoever sets a bit after the look may still read the summary
    /// of before, and rely on it.
    const ZEROS_WRITTEN: bool = true;
    /// State bits are cleared before the remote bits that say so. Else a fork in between makes the block live for ever in the
    /// child.
    const STATE_CLEARED_FIRST: bool = true;
    /// The child of a fork empties every word, whatever the summary says. Else a block is live for ever whose free had come no
    /// further than its bit.
    const CHILD_EMPTIES_ALL: bool = true;
    /// An owner clears the marks of its own pages only. Else their owners, when told, find none.
    const OWN_MARKS_ONLY: bool = true;

    /// Whoever changes the owner looks at the summary afterwards. Else a bit set before, by one who read the owner that was,
    /// is lost.
    const LOOK_AFTER_CHANGE: bool = true;
    /// And writes it while looking. Else each of the two may miss what the other wrote.
    const LOOK_WRITES: bool = true;
    /// A page that is born is collected. Else late marks of its earlier life stand, and nobody tells the owner of new ones; and
    /// late second frees are forgotten.
    const BIRTH_COLLECTS: bool = true;
    /// After its owner was published. Else a late mark may be set in between, by one who finds nobody to tell.
    const BIRTH_COLLECTS_LAST: bool = true;
    /// An abandoned page is claimed by compare-and-swap. Else two threads own it.
    const CLAIM_BY_SWAP: bool = true;
    /// A page of one block is claimed by compare-and-swap. Else two threads free the block, and both give its memory up.
    const SINGLE_BY_SWAP: bool = true;
}

/// All rules are kept.
#[derive(Debug)]
pub(crate) struct All;

impl Rules for All {}
