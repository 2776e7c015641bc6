//! The process, its threads and its memory as a whole.

use core::ffi::c_int;

use engine::raw::{self, Collect};

/// The version of mimalloc whose interface this is: 2.1.7.
const VERSION: c_int = 217;

/// Stores a figure where somebody wants it.
///
/// # Safety
/// - `place` is null or may be written.
unsafe fn store(place: *mut usize, figure: u64) {
    if !place.is_null() {
        // SAFETY: the caller's promise.
        unsafe { place.write(usize::try_from(figure).unwrap_or(usize::MAX)) };
    }
}

export! {
    /// The version of mimalloc's interface.
    fn version() -> c_int {
        VERSION
    }

    /// Makes the allocator ready, which it does by itself.
    fn process_init() {
        raw::start();
    }

    /// Makes the calling thread ready, which it becomes by itself.
    fn thread_init() {
        raw::start_thread();
    }

    /// Nothing: what a thread leaves behind is seen to when it ends.
    fn thread_done() {}

    /// Whether the system's allocator was redirected to this one: a thing of Windows.
    fn is_redirected() -> bool {
        false
    }

    /// Gives back what can be given back; with `force`, all free memory.
    fn collect(force: bool) {
        raw::collect(if force { Collect::Fully } else { Collect::Gently });
    }

    /// What the process has used: times in milliseconds, sizes in bytes. Null pointers are left out.
    ///
    /// # Safety
    /// - Each pointer is null or may be written.
    unsafe fn process_info(
        elapsed: *mut usize,
        user: *mut usize,
        system: *mut usize,
        rss: *mut usize,
        peak_rss: *mut usize,
        commit: *mut usize,
        peak_commit: *mut usize,
        faults: *mut usize,
    ) {
        let process = raw::process();
        let figures = [
            (elapsed, process.elapsed),
            (user, process.user),
            (system, process.system),
            (rss, process.committed),
            (peak_rss, process.peak_resident),
            (commit, process.committed),
            (peak_commit, process.peak_committed),
            (faults, process.major_faults),
        ];
        for (place, figure) in figures {
            // SAFETY: the caller's promise.
            unsafe { store(place, figure) };
        }
    }
}
