//! What happens before `main`, or with the first call that says so.
//!
//! Nothing depends on it: the engine starts with the first call, which often comes earlier, from the constructor of some
//! library. Here is done what must be done early although nobody has allocated yet, and what only the environment asks for.

use crate::options::{self, Setting};
use crate::sync::{AtomicBool, Relaxed};
use crate::{heap, os, report, stats};

os::before_main!(before_main);

extern "C" fn before_main() {
    // Tests of the floors want to see them start.
    if !cfg!(test) {
        start();
    }
}

static STARTED: AtomicBool = AtomicBool::new(false);

/// Makes the allocator ready, and does what the options ask to be done at the start and at the end.
pub(crate) fn start() {
    heap::start();
    if STARTED.swap(true, Relaxed) {
        return;
    }
    stats::note_start();
    heap::open();
    if options::get(Setting::Verbose) > 0 {
        options::print_all(&mut report::write);
    }
    stats::show_at_exit();
}
