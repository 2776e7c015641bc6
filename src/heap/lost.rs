//! Threads that have ended without a call: what they had is found by those that begin later.
//!
//! The C library calls a thread that ends up to four times, but not one that first allocates in a destructor of the last round, and none where
//! no thread-local key was left. Then the pages still name a thread that will never come back to them.
//!
//! So each thread's metadata says which thread of the kernel has it, and whoever would make new metadata asks the kernel about some of those
//! that there are. One that is gone touches nothing any more: its pages are given away as at any thread's end.

use super::abandon;
use super::free::preserving_errno;
use super::thread::Thread;
use crate::os;
use crate::sync::{AcqRel, Acquire, AtomicPtr, AtomicU64, Relaxed, Release};
use core::ptr;

/// How many are asked about at a time: where each thread is lost, more are found than made.
const LOOKS: usize = 2;

/// Whom to ask about next; null is the newest.
static NEXT: AtomicPtr<Thread> = AtomicPtr::new(ptr::null_mut());

/// The kernel's numbers of a process and of a thread of it: 0 for metadata that is nobody's, or only somebody's for the moment.
///
/// With that of the process, for in the child of a fork, and in one that shares our memory, the thread's number says nothing.
#[derive(Debug)]
pub(super) struct Holder(AtomicU64);

impl Holder {
    /// The calling thread has it from now on.
    pub(super) fn begin(&self) {
        self.0.store(u64::from(os::process_id()) << u32::BITS | os::thread_id(), Release);
    }

    /// Nobody has it.
    pub(super) fn end(&self) {
        self.0.store(0, Relaxed);
    }

    /// Whether it is the caller's to give up, because its thread is gone.
    fn is_lost(&self) -> bool {
        let holder = self.0.load(Acquire);
        let (process, thread) = ((holder >> u32::BITS) as u32, holder & u64::from(u32::MAX));
        holder != 0
            && process == os::process_id()
            && os::has_ended(process, thread)
            && self.0.compare_exchange(holder, 0, AcqRel, Relaxed).is_ok()
    }
}

/// Makes metadata spare that nobody will put back: that of some threads is looked at.
pub(super) fn find_some() {
    preserving_errno(|| {
        for _ in 0..LOOKS {
            // SAFETY: null or a thread's metadata, which is never unmapped.
            let Some(thread) = unsafe { NEXT.load(Acquire).as_ref() }.or_else(Thread::newest) else { return };
            NEXT.store(thread.older().map_or(ptr::null_mut(), |next| ptr::from_ref(next).cast_mut()), Release);
            if thread.holder.is_lost() {
                abandon::abandon_all(thread);
            }
        }
    });
}
