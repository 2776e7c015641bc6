//! fork: the lock is held across it, and the child makes the heap its own.
//!
//! In the child every thread but one is gone, between any two of its stores. What they left in the state and remote bits
//! is the truth; counters and lists may be torn. So their pages are marked as abandoned and torn, and whoever adopts one
//! rebuilds it from the bits (`page::grow`). Large blocks that they were making or freeing come to an end
//! (`segment::end_orphans`), and so do pages that they were bearing or giving up (`segment::orphans`). The one thread's own pages are
//! sound, but their keys and orders are known to the parent: its heaps' tables are emptied, so that the slow path meets each page, and
//! redraws it, before it is popped from.
//!
//! Ours run last before the fork and first after it. `libravelin.so` registers before all other libraries; in a program that has the
//! allocator in it, a library's constructor may have registered earlier, and its handlers run while the lock is held. The thread that holds
//! it over the fork may therefore take it again. In the child they may allocate before
//! pages are redrawn here; what their slow paths meet has a secret of the child's.
//!
//! A handler of a signal may fork, and may have interrupted whoever holds the lock. If the process has but one thread, that one is
//! interrupted itself: parent and child both go on with what it was about, and with its lock.

use super::abandon;
use super::free::preserving_errno;
use super::start::{FORKS, die_without_randomness};
use super::thread::Thread;
use crate::entropy;
use crate::os::{self, valgrind::quiet};
use crate::remote::Owner;
use crate::segment::{self, space};
use crate::sync::{AtomicBool, AtomicU32, Relaxed};
use core::ptr;

/// Whether the process had but one thread when it forked: then nobody was in the middle of anything, not even a thread without a
/// heap, of which nothing is known here. Written while the lock is held.
static ALONE: AtomicBool = AtomicBool::new(false);

/// Forks under way in handlers of signals that have interrupted the holder of the lock, which was alone: they leave it as it is.
static WITHIN: AtomicU32 = AtomicU32::new(0);

pub(super) extern "C" fn before() {
    let is_alone = preserving_errno(os::is_only_thread);
    if !is_alone {
        space::hold_over_fork();
    } else if !space::try_to_hold_over_fork() {
        WITHIN.store(WITHIN.load(Relaxed).wrapping_add(1), Relaxed);
    }
    ALONE.store(is_alone, Relaxed);
}

/// What `before` has held is given back.
fn release() {
    match WITHIN.load(Relaxed) {
        0 => space::release_after_fork(),
        within => WITHIN.store(within.wrapping_sub(1), Relaxed),
    }
}

pub(super) extern "C" fn after_in_parent() {
    FORKS.fetch_add(1, Relaxed);
    release();
}

pub(super) extern "C" fn after_in_child() {
    let _quiet = quiet();
    release();
    FORKS.fetch_add(1, Relaxed);
    if entropy::renew().is_err() {
        die_without_randomness();
    }
    let me = Thread::current();
    let is_me = |thread: &'static Thread| me.is_some_and(|me| ptr::eq(me, thread));
    let others = Thread::all().filter(|thread| thread.is_active() && !is_me(thread));
    let mut had_others = !ALONE.load(Relaxed);
    for thread in others {
        had_others = true;
        thread.mailbox().take();
        thread.heaps().for_each(|heap| heap.singles.give(None));
        thread.put_back();
    }
    if had_others {
        orphan_pages(me);
        segment::free_slices_of_orphans();
        segment::end_orphans();
    }
    if let Some(me) = me {
        me.holder.begin();
        for heap in me.heaps() {
            heap.forget_direct();
            if had_others {
                heap.revisit_full();
            }
        }
    }
}

/// Marks the pages of threads that are gone.
fn orphan_pages(me: Option<&'static Thread>) {
    abandon::forget_notes();
    for segment in abandon::shared_segments() {
        segment.abandoned.clear();
        for page in segment.pages() {
            match page.face.owner.load() {
                Owner::Thread(owner) if me.is_some_and(|me| me.me() == owner) => page.suspect_all(),
                Owner::Thread(_) | Owner::Busy => {
                    page.tear(segment.tables_forever());
                    page.face.owner.orphan();
                    abandon::note_orphan(page);
                }
                Owner::Abandoned => {
                    page.suspect_all();
                    abandon::note_orphan(page);
                }
                Owner::Single | Owner::Nobody => {}
            }
        }
    }
}
