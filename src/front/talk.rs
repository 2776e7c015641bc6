//! What the program in C hears and says beside asking for memory: options, output, statistics, calls back. For the C library.

use crate::geometry::UserPtr;
use crate::options::{self, Setting};
use crate::report::{self, Kind, Operation, Report};
use crate::{entropy, heap, stats};

pub use crate::heap::Deferred;
pub use crate::options::Setter;
pub use crate::report::Outlet;
pub use crate::stats::{Form, Process};

/// The value of an option by mimalloc's number, sizes in KiB; 0 if there is no such number.
#[must_use]
pub fn option(number: i32) -> i64 {
    options::get_number(number)
}

/// The same, sizes in bytes.
#[must_use]
pub fn option_in_bytes(number: i32) -> i64 {
    options::get_bytes(number)
}

/// Sets an option by mimalloc's number, sizes in KiB, to the nearest value within its bounds.
pub fn set_option(number: i32, value: i64, setter: Setter) {
    options::set_number(number, value, setter);
    stats::show_at_exit();
}

/// Whether errors that do not end the process are printed, and how many of them; `None` is all.
#[must_use]
pub fn shown_errors() -> Option<u64> {
    if options::get(Setting::Verbose) > 0 {
        return None;
    }
    if options::enabled(Setting::ShowErrors) { u64::try_from(options::get(Setting::MaxErrors)).ok() } else { Some(0) }
}

/// Whether the program is to be told more than it asked for.
#[must_use]
pub fn is_verbose() -> bool {
    options::get(Setting::Verbose) > 0
}

/// Has all output but reports written by `outlet`. The first one stays.
pub fn set_outlet(outlet: Outlet) {
    report::set_outlet(outlet);
}

/// Hands out the beginning of what was written so far, up to 32 KiB; keeps no more from then on.
pub fn take_kept_output(out: &mut dyn FnMut(&[u8])) {
    report::take_kept(out);
}

/// Writes whole lines to where all output goes.
pub fn say(lines: &[u8]) {
    report::write(lines);
}

/// Hands the statistics to `out` in pieces of whole lines, of at most 4 KiB. Neither allocates nor locks.
pub fn write_stats(form: Form, out: &mut dyn FnMut(&[u8])) {
    stats::write(form, out);
}

/// What the process has used so far.
#[must_use]
pub fn process() -> Process {
    stats::process()
}

/// What proves that these words were put together by this process or a parent of it. `None`: there is no memory for a secret.
#[must_use]
pub fn seal(words: [usize; 3]) -> Option<u64> {
    entropy::seal(words).ok()
}

/// Stops the process: something in the library's own memory is not what was stored there.
pub fn die_of_broken_seal(at: *const u8) -> ! {
    report::die(
        &Report::new(Kind::Internal, Operation::Malloc, at.addr()).with_note("a function to call was overwritten"),
    )
}

/// Has `call` called by each slow path of an allocation and each collection, before anything is done. The first one stays.
pub fn set_deferred(call: Deferred) {
    heap::set_deferred(call);
}

/// Whether an address lies in memory of this allocator. Harmless for any pointer.
#[must_use]
pub fn in_region(pointer: *const u8) -> bool {
    heap::in_region(UserPtr::new(pointer.cast_mut()))
}

/// Makes the calling thread ready.
pub fn start_thread() {
    super::start::start();
    heap::open();
}

/// Forgets the peaks of the statistics: from now on they are those since this call.
pub fn forget_peaks() {
    stats::forget_peaks();
}
