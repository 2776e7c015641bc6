//! What happens before `main`, or with the first call that says so.
//!
//! Nothing depends on it: the engine starts with the first call, which often comes earlier, from the constructor of some
//! library. Here is done what must be done early although nobody has allocated yet, and what only the environment asks for.

use crate::options::{self, Setting};
use crate::segment::Use;
use crate::sync::{AtomicBool, Relaxed};
use crate::{heap, os, report, segment, stats};

os::before_main!(before_main);

fn before_main() {
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
    heap::check_at_exit();
    reserve();
}

/// How long the system may take for each huge page, in milliseconds: it clears them.
const PATIENCE: u64 = 500;

/// Takes the memory that the options ask for at the start.
#[cold]
fn reserve() {
    let bytes = options::bytes(Setting::ReserveOsMemory);
    if bytes != 0 && segment::reserve(bytes, Use::Shared).is_err() {
        report::warn(&[b"the system does not reserve what reserve_os_memory asks for"]);
    }
    let pages = options::bytes(Setting::ReserveHugeOsPages);
    if pages != 0 {
        let node = u32::try_from(options::get(Setting::ReserveHugeOsPagesAt)).ok();
        let patience = PATIENCE.saturating_mul(pages as u64);
        if segment::reserve_gigantic(pages, node, patience, Use::Shared).is_err() {
            report::warn(&[b"the system has no huge pages set aside for reserve_huge_os_pages"]);
        }
    }
}
