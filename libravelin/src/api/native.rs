//! What mimalloc's interface has not.

use core::ffi::{c_char, c_int, c_void};

use engine::raw::{self, Form};

use crate::errno::{or_no_memory, too_many};
use crate::talk::{self, OutputFun, ReportFun};

/// `rv_corruption_t` of `ravelin.h`.
#[repr(C)]
struct Corruption {
    /// The address of the block that is wrong, or of the page.
    address: *const c_void,
    /// The size of the page's blocks, in bytes.
    block_size: usize,
    /// What is wrong, as a C string.
    what: *const c_char,
}

/// `rv_stats_t` of `ravelin.h`: the figures of `ravelin::Stats` that are no lists, in bytes or counts. New ones are added at the end.
#[repr(C)]
struct Stats {
    live_bytes: u64,
    peak_live_bytes: u64,
    live_blocks: u64,
    peak_live_blocks: u64,
    large_blocks: u64,
    large_bytes: u64,
    reserved: u64,
    committed: u64,
    peak_committed: u64,
    purged: u64,
    quarantined: u64,
    metadata: u64,
    arenas: u64,
    segments: u64,
    pages: u64,
    full_pages: u64,
    abandoned_pages: u64,
    cross_thread_frees: u64,
    posted_blocks: u64,
    guards: u64,
    guards_left_out: u64,
    guard_maps: u64,
    forks: u64,
    threads: u64,
    left_open: u64,
}

impl From<&engine::Stats> for Stats {
    fn from(from: &engine::Stats) -> Self {
        Self {
            live_bytes: from.live_bytes,
            peak_live_bytes: from.peak_live_bytes,
            live_blocks: from.live_blocks,
            peak_live_blocks: from.peak_live_blocks,
            large_blocks: from.large.blocks,
            large_bytes: from.large.bytes,
            reserved: from.reserved,
            committed: from.committed,
            peak_committed: from.peak_committed,
            purged: from.purged,
            quarantined: from.quarantined,
            metadata: from.metadata,
            arenas: from.arenas,
            segments: from.segments,
            pages: from.pages,
            full_pages: from.full_pages,
            abandoned_pages: from.abandoned_pages,
            cross_thread_frees: from.cross_thread_frees,
            posted_blocks: from.posted_blocks,
            guards: from.guards,
            guards_left_out: from.guards_left_out,
            guard_maps: from.guard_maps,
            forks: from.forks,
            threads: from.threads,
            left_open: from.left_open,
        }
    }
}

/// `rv_class_stats_t` of `ravelin.h`.
#[repr(C)]
struct ClassStats {
    block_size: u64,
    blocks: u64,
    bytes: u64,
    peak_blocks: u64,
    peak_bytes: u64,
    pages: u64,
}

/// The version of the library, as a C string.
#[unsafe(no_mangle)]
extern "C" fn rv_version_string() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The name of the build: `hardened`, `fast`, `paranoid` or `custom`, as a C string.
#[unsafe(no_mangle)]
extern "C" fn rv_build_name() -> *const c_char {
    match engine::MITIGATIONS.build_name() {
        "hardened" => c"hardened".as_ptr(),
        "fast" => c"fast".as_ptr(),
        "paranoid" => c"paranoid".as_ptr(),
        _ => c"custom".as_ptr(),
    }
}

/// Whether the build has a defence, by its name, such as `free-checks`.
///
/// # Safety
/// - `name` is null or a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn rv_has_mitigation(name: *const c_char) -> bool {
    if name.is_null() {
        return false;
    }
    // SAFETY: the caller's promise.
    let name = unsafe { core::ffi::CStr::from_ptr(name) }.to_bytes();
    engine::MITIGATIONS.list().into_iter().any(|(known, in_force)| in_force && known.as_bytes() == name)
}

/// Whether a live block starts there. Harmless for any pointer; without `free-checks`, whether it lies in our memory.
#[unsafe(no_mangle)]
extern "C" fn rv_is_live(pointer: *const c_void) -> bool {
    raw::owns(pointer.cast())
}

/// Checks every page of the calling thread and every abandoned page. Returns 0, or EFAULT and what was found first.
///
/// # Safety
/// - `found` is null or may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn rv_check_heap(found: *mut Corruption) -> c_int {
    let Err(corruption) = engine::check_heap() else { return 0 };
    if !found.is_null() {
        let what = match corruption.fault() {
            engine::Fault::Link => c"corrupted free list",
            engine::Fault::LiveOnList => c"live block on a free list",
            engine::Fault::Endless => c"endless free list",
            engine::Fault::FreedTwice => c"double free",
            _ => c"counters contradict the blocks",
        };
        let told = Corruption {
            address: core::ptr::without_provenance(corruption.address()),
            block_size: corruption.block().class_size(),
            what: what.as_ptr(),
        };
        // SAFETY: the caller's promise.
        unsafe { found.write(told) };
    }
    libc::EFAULT
}

/// Has a function called with the report of a misuse, before the process dies of it. Null: none.
///
/// # Safety
/// - `report` may be called by any thread at any time with that argument.
#[unsafe(no_mangle)]
unsafe extern "C" fn rv_set_report_hook(report: Option<ReportFun>, argument: *mut c_void) {
    talk::register_report(report, argument);
}

/// Stores the figures of the process, as many bytes of them as `size` says. Returns how many bytes there are.
///
/// # Safety
/// - `size` bytes of `place` may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn rv_stats_get(place: *mut c_void, size: usize) -> usize {
    if !place.is_null() {
        let stats = Stats::from(&engine::stats());
        // SAFETY: the caller's promise; the figures are so many bytes at least.
        unsafe { place.cast::<u8>().copy_from_nonoverlapping((&raw const stats).cast(), size.min(size_of::<Stats>())) };
    }
    size_of::<Stats>()
}

/// Stores the figures of up to `count` size classes, smallest first. Returns how many classes there are.
///
/// # Safety
/// - `place` is null, or has room for so many.
#[unsafe(no_mangle)]
unsafe extern "C" fn rv_stats_classes(place: *mut ClassStats, count: usize) -> usize {
    let stats = engine::stats();
    if !place.is_null() {
        for (index, class) in stats.classes.iter().enumerate().take(count) {
            let figures = ClassStats {
                block_size: class.block_size,
                blocks: class.blocks,
                bytes: class.bytes,
                peak_blocks: class.peak_blocks,
                peak_bytes: class.peak_bytes,
                pages: class.pages,
            };
            // SAFETY: the caller's promise: the index is below `count`.
            let place = unsafe { place.add(index) };
            // SAFETY: as above.
            unsafe { place.write(figures) };
        }
    }
    stats.classes.len()
}

/// Gives the statistics to a function as one object in JSON; null is where all output goes.
///
/// # Safety
/// - `output` may be called with that argument.
#[unsafe(no_mangle)]
unsafe extern "C" fn rv_stats_json(output: Option<OutputFun>, argument: *mut c_void) {
    talk::write_statistics(Form::Json, output, argument);
}

/// Gives the statistics to a function as a table; null is where all output goes.
///
/// # Safety
/// - `output` may be called with that argument.
#[unsafe(no_mangle)]
unsafe extern "C" fn rv_stats_table(output: Option<OutputFun>, argument: *mut c_void) {
    talk::write_statistics(Form::Table, output, argument);
}

/// A block of at least `size` bytes that will hold no pointer.
#[unsafe(no_mangle)]
extern "C" fn rv_malloc_data(size: usize) -> *mut c_void {
    or_no_memory(raw::allocate_data(size), size)
}

/// A block for `count` elements of `size` bytes that will hold no pointer, all zero.
#[unsafe(no_mangle)]
extern "C" fn rv_calloc_data(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => or_no_memory(raw::allocate_data_zeroed(bytes), bytes),
        None => too_many(),
    }
}
