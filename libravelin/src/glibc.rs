//! glibc's control panel: `mallopt`, `malloc_trim`, `mallinfo`, `malloc_stats`.
//!
//! Their figures name parts of glibc's allocator (fast bins, the top of the heap) that do not exist here. What has a
//! meaning is told, the rest is 0.

use core::ffi::c_int;

use engine::raw;

/// glibc's account of a heap, as `mallinfo` (numbers are `int`) and `mallinfo2` (`size_t`) give it.
#[repr(C)]
pub(crate) struct Mallinfo<N> {
    /// Bytes that the allocator has from the kernel.
    arena: N,
    /// Free chunks: not counted here.
    ordblks: N,
    /// Free chunks in fast bins: there are none.
    smblks: N,
    /// Blocks in mappings of their own: counted with the others.
    hblks: N,
    /// Bytes in mappings of their own: counted with the others.
    hblkhd: N,
    /// 0 in glibc too.
    usmblks: N,
    /// Bytes in fast bins: there are none.
    fsmblks: N,
    /// Bytes in live blocks.
    uordblks: N,
    /// Bytes that the allocator has and no live block uses.
    fordblks: N,
    /// Bytes at the top of the heap that could be trimmed: there is no top.
    keepcost: N,
}

impl<N: Copy> Mallinfo<N> {
    fn now(zero: N, number: impl Fn(u64) -> N) -> Self {
        let stats = engine::stats();
        // The two are read one after the other, and other threads go on: never show more in use than there is.
        let system = stats.committed.max(stats.live_bytes);
        Self {
            arena: number(system),
            ordblks: zero,
            smblks: zero,
            hblks: zero,
            hblkhd: zero,
            usmblks: zero,
            fsmblks: zero,
            uordblks: number(stats.live_bytes),
            fordblks: number(system.saturating_sub(stats.live_bytes)),
            keepcost: zero,
        }
    }
}

/// The account in `int`s. What is larger stays at the largest, where glibc would wrap.
pub(crate) fn small_account() -> Mallinfo<c_int> {
    Mallinfo::now(0, |n| c_int::try_from(n).unwrap_or(c_int::MAX))
}

/// What `mallopt` answers: 1 for accepted, 0 for a value that glibc refuses too.
///
/// Every option tunes a part that is not there, so accepting it is all there is to do.
pub(crate) fn accepts(option: c_int, value: c_int) -> c_int {
    /// Parameters as `malloc.h` numbers them; other C libraries have no such names.
    const M_MXFAST: c_int = 1;
    /// Likewise.
    const M_MMAP_THRESHOLD: c_int = -3;
    /// The largest request that glibc's fast bins take, in bytes.
    const FAST_MAX: c_int = (80 * size_of::<usize>() / 4) as c_int;
    /// Half of the largest heap that glibc makes for a thread, in bytes.
    const MMAP_MAX: c_int = (4 << 20) * size_of::<usize>() as c_int;

    let fits = match option {
        M_MXFAST => (0..=FAST_MAX).contains(&value),
        M_MMAP_THRESHOLD => (0..=MMAP_MAX).contains(&value),
        _ => true,
    };
    c_int::from(fits)
}

/// Accepts glibc's tuning parameters, which have no effect here. 1, or 0 for a value out of glibc's bounds.
#[unsafe(no_mangle)]
extern "C" fn mallopt(option: c_int, value: c_int) -> c_int {
    accepts(option, value)
}

/// Gives all memory that can be spared back to the kernel. 1 if there was any, else 0. The pad is ignored: what stays
/// mapped is decided page by page, not at one end of a heap.
#[unsafe(no_mangle)]
extern "C" fn malloc_trim(_pad: usize) -> c_int {
    let before = engine::stats().committed;
    raw::collect(raw::Collect::Fully);
    c_int::from(engine::stats().committed < before)
}

/// The account of the heap in `int`s, which stop at INT_MAX.
#[unsafe(no_mangle)]
extern "C" fn mallinfo() -> Mallinfo<c_int> {
    small_account()
}

/// The account of the heap.
#[unsafe(no_mangle)]
extern "C" fn mallinfo2() -> Mallinfo<usize> {
    Mallinfo::now(0, |n| usize::try_from(n).unwrap_or(usize::MAX))
}

/// Prints the allocator's statistics on standard error.
#[unsafe(no_mangle)]
extern "C" fn malloc_stats() {
    raw::print_stats();
}
