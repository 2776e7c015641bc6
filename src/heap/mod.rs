//! Heaps: the pages that a thread allocates from, and the paths of malloc and free over them.
//!
//! ```text
//!  thread-local words -> Thread { mailbox, backing heap, other heaps }        (what free asks for)
//!                    `-> the default heap, one of these                        (what malloc asks for)
//!                                          |
//!    direct[size / 16] --------------------+----> page of the class, first in its queue
//!    queues[class]   page <-> page <-> page       pages with free blocks, or nearly
//!    full            page <-> page                pages without; one comes back when enough of it is free
//!    idle            page <-> page                empty ones, kept for a while with their order and their key
//! ```
//!
//! malloc pops from the page that the table names, and goes the slow way when that page's free list is empty; free finds
//! the page by the segment map, and goes the slow way when the page is another thread's, or became empty, or was full.
//! The slow ways also do what nobody else does: take the mail, give memory back, let go of empty pages.
//!
//! A heap is a value, and a thread may have several. The owner of a page is a *thread* (its mailbox), because only that must be
//! known to free, which so costs the same whatever the heap; which of its heaps a page belongs to stands in the page. malloc has
//! a word of its own for the heap that it takes, so that another default costs it nothing.
//!
//! A thread that ends abandons its pages, and others adopt them: whoever needs a page of the class, or frees into one. A
//! thread whose heap is gone, or that could not make one, allocates from one that lives for that moment only.
//!
//! Reading order: [`thread`], [`queue`], [`terms`], [`malloc`], [`claim`], [`mod@free`], [`mail`], [`quarantine`], [`abandon`], [`lost`],
//! [`resize`],
//! [`skew`], [`handle`], [`life`], [`mod@visit`], [`mod@start`], [`fork`], [`diagnose`], [`verify`], [`deferred`], [`sample`], [`fault`].

mod abandon;
mod claim;
mod deferred;
mod diagnose;
mod fault;
mod fork;
mod free;
mod handle;
mod life;
mod lost;
mod mail;
mod malloc;
mod quarantine;
mod queue;
mod resize;
mod sample;
mod skew;
mod start;
mod terms;
#[cfg(test)]
mod tests;
mod thread;
mod verify;
mod visit;

pub(crate) use abandon::count as abandoned_pages;
pub use deferred::Deferred;
pub(crate) use deferred::set_deferred;
pub(crate) use free::{free, free_aligned_sized, free_by_operator, free_sized, free_with_layout};
pub use handle::HeapHandle;
pub(crate) use life::{backing, collect as collect_heap, default, delete, destroy, new, new_at, set_default};
pub(crate) use malloc::{
    allocate, allocate_aligned, allocate_aligned_on, allocate_aligned_zeroed, allocate_in, allocate_on, allocate_slow,
    allocate_zeroed, at_hand,
};
pub(crate) use resize::{
    Target, good_size, in_region, owns, reallocate, reallocate_aligned, reallocate_to, reallocate_with_layout,
    usable_size,
};
pub(crate) use skew::allocate_at;
pub(crate) use start::{forks, open, start};
pub(crate) use terms::{Fill, Terms};
pub(crate) use thread::{Heap, Thread};
pub use verify::{Census, Corruption, Fault};
pub(crate) use verify::{check_at_exit, check_heap};
pub use visit::{HeapArea, Visit, Visited};
pub(crate) use visit::{check_owned, contains, visit};

use crate::os::valgrind::quiet;
use crate::segment;

/// How much `collect` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Collect {
    /// Takes what other threads have freed, lets go of empty pages, and purges what is due.
    Gently,
    /// Also ends all quarantines and gives all free memory back to the system before it returns.
    Fully,
}

/// Blocks that other threads than their pages' owners have freed and an owner has taken back.
pub(crate) fn cross_thread_frees() -> u64 {
    Thread::all().fold(abandon::collected(), |sum, thread| sum.wrapping_add(thread.collected()))
}

/// Threads that have a heap.
pub(crate) fn threads() -> usize {
    Thread::all().filter(|thread| thread.is_active()).count()
}

/// Takes blocks that other threads have freed back into the calling thread's pages, and gives empty pages and free memory
/// back. With `canaries` a full collection checks the heap first.
pub(crate) fn collect(how: Collect) {
    verify::before_collection(how);
    give_back(how);
}

/// The same without a look at live blocks: for an allocation that finds no memory.
fn give_back(how: Collect) {
    let _quiet = quiet();
    deferred::call_deferred(how);
    Thread::with_one(|thread| {
        thread.collect(how);
        abandon::sweep(thread);
    });
    match how {
        Collect::Gently => segment::purge_due(),
        Collect::Fully => segment::purge_all(),
    }
}
