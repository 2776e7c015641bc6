//! The program's own frees, put off until the allocator has to work anyway.
//!
//! A program may hand over a function that is called by every slow path of an allocation, and by every collection, before anything is
//! done there: no lock is held and no page is in anybody's hands, so that it may free and allocate as it likes. What it
//! allocates itself does not call it again.

use super::Collect;
use super::thread::Thread;
use crate::os::valgrind::aloud;
use crate::sync::{Acquire, AtomicPtr, Relaxed, Release};
use core::{mem, ptr};

/// Gets how much is to be done, and how often the calling thread has called before.
pub type Deferred = fn(Collect, u64);

/// The function as a bare pointer, null while there is none. Set once, for it stays the same: what it calls may change.
static DEFERRED: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Has `deferred` called from now on. The first that is set stays.
pub(crate) fn set_deferred(deferred: Deferred) {
    let _ = DEFERRED.compare_exchange(ptr::null_mut(), deferred as *mut (), Release, Acquire);
}

/// Calls the function, if there is one. A thread that has no heap does not.
#[inline]
pub(super) fn call_deferred(how: Collect) {
    let pointer = DEFERRED.load(Acquire);
    if !pointer.is_null() {
        call(pointer, how);
    }
}

#[cold]
fn call(pointer: *mut (), how: Collect) {
    let Some(thread) = Thread::current() else { return };
    if thread.in_deferred.swap(true, Relaxed) {
        return;
    }
    let beat = thread.heartbeat.load(Relaxed);
    thread.heartbeat.store(beat.wrapping_add(1), Relaxed);
    // SAFETY: the pointer is not null, and the only other value ever stored is a `Deferred` cast to a pointer in `set_deferred`.
    let deferred = unsafe { mem::transmute::<*mut (), Deferred>(pointer) };
    aloud(|| deferred(how, beat));
    thread.in_deferred.store(false, Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::UserPtr;
    use crate::heap;
    use crate::sync::AtomicU64;
    use crate::testing::alone;

    static CALLS: AtomicU64 = AtomicU64::new(0);
    static FULLY: AtomicU64 = AtomicU64::new(0);
    static LAST: AtomicU64 = AtomicU64::new(0);

    fn deferred(how: Collect, beat: u64) {
        // A block of its own takes a slow path, which does not come here again.
        heap::free(UserPtr::new(heap::allocate(1 << 20)));
        CALLS.fetch_add(1, Relaxed);
        FULLY.fetch_add(u64::from(how == Collect::Fully), Relaxed);
        LAST.store(beat, Relaxed);
    }

    #[test]
    fn slow_paths_and_collections_call_it_with_a_beat_that_rises_by_one() {
        alone("heap::deferred::tests::slow_paths_and_collections_call_it_with_a_beat_that_rises_by_one", || {
            heap::free(UserPtr::new(heap::allocate(1)));
            set_deferred(deferred);
            heap::collect(Collect::Gently);
            assert_eq!((CALLS.load(Relaxed), FULLY.load(Relaxed), LAST.load(Relaxed)), (1, 0, 0));
            heap::collect(Collect::Fully);
            assert_eq!((CALLS.load(Relaxed), FULLY.load(Relaxed), LAST.load(Relaxed)), (2, 1, 1));
            heap::free(UserPtr::new(heap::allocate(1 << 20)));
            let calls = CALLS.load(Relaxed);
            assert!(calls >= 3);
            assert_eq!(LAST.load(Relaxed), calls - 1);
        });
    }
}
