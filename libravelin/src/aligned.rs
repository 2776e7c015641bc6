//! Blocks on a wished boundary: five functions, five opinions about a wrong alignment.
//!
//! | function | alignment must be | otherwise |
//! |---|---|---|
//! | `posix_memalign` | a power of two, and a multiple of a pointer's size | returns EINVAL |
//! | `aligned_alloc` | a power of two (glibc 2.38 and newer; older ones rounded up) | null, errno EINVAL |
//! | `memalign` | at most 2^63; rounded up to a power of two, as glibc does | null, errno EINVAL |
//! | `valloc`, `pvalloc` | always an OS page | - |

use core::ffi::{c_int, c_void};

use engine::raw;

use crate::errno::{self, invalid, no_memory, or_no_memory, too_many};

/// Every block is aligned to this many bytes without asking.
const GRANULE: usize = 16;

/// Stores an aligned block in `*place` and returns 0; or returns EINVAL or ENOMEM and stores nothing. Never sets errno.
///
/// # Safety
/// - `place` may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int {
    // SAFETY: the caller's promise is the same.
    unsafe { store_aligned(place, align, size) }
}

/// C11: a block whose address is a multiple of `align`. The size need not be one (C17 took that rule back).
#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        return invalid();
    }
    or_no_memory(raw::allocate_aligned(size, align), size)
}

/// C23: `free` for one who knows how the block was asked for, of `aligned_alloc` or its kin. With `layout-checks` a size and an alignment that
/// would have led to a block of another class stop the process, with canaries any other size does. What `realloc` has had goes back by `free_sized`, says the standard.
///
/// # Safety
/// - `block` is null or a live block, and nobody uses it any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn free_aligned_sized(block: *mut c_void, align: usize, size: usize) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::free_aligned_sized(block.cast(), size, align) };
}

/// SunOS: a block whose address is a multiple of `align`, rounded up to a power of two.
#[unsafe(no_mangle)]
extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    round_and_allocate(align, size)
}

/// BSD: a block that starts an OS page.
#[unsafe(no_mangle)]
extern "C" fn valloc(size: usize) -> *mut c_void {
    on_a_page(size)
}

/// A block that starts an OS page and has whole ones.
#[unsafe(no_mangle)]
extern "C" fn pvalloc(size: usize) -> *mut c_void {
    whole_pages(size)
}

/// `posix_memalign`, for the functions of this library.
///
/// # Safety
/// - `place` may be written.
#[inline(always)]
pub(crate) unsafe fn store_aligned(place: *mut *mut c_void, align: usize, size: usize) -> c_int {
    // A power of two is a multiple of a pointer's size (another one) when it is not smaller.
    if !align.is_power_of_two() || align < size_of::<*mut c_void>() {
        return libc::EINVAL;
    }
    let block = raw::allocate_aligned(size, align);
    if block.is_null() {
        return told(size);
    }
    // SAFETY: the caller's promise.
    unsafe { place.write(block.cast()) };
    0
}

/// ENOMEM; and errno as it was, for `posix_memalign` does not set it.
#[cold]
fn told(size: usize) -> c_int {
    let errno = errno::get();
    no_memory(size);
    errno::set(errno);
    libc::ENOMEM
}

/// `memalign`, for the functions of this library.
#[inline(always)]
pub(crate) fn round_and_allocate(align: usize, size: usize) -> *mut c_void {
    if align <= GRANULE {
        return crate::malloc::give(size);
    }
    match align.checked_next_power_of_two() {
        Some(align) => or_no_memory(raw::allocate_aligned(size, align), size),
        None => invalid(),
    }
}

/// `valloc`, for the functions of this library.
#[inline(always)]
pub(crate) fn on_a_page(size: usize) -> *mut c_void {
    or_no_memory(raw::allocate_aligned(size, os_page()), size)
}

/// `pvalloc`, for the functions of this library.
#[inline(always)]
pub(crate) fn whole_pages(size: usize) -> *mut c_void {
    let page = os_page();
    match size.checked_next_multiple_of(page) {
        Some(size) => or_no_memory(raw::allocate_aligned(size, page), size),
        None => too_many(),
    }
}

/// The size of an OS page, in bytes. The C library knows it from the start; asking does not allocate.
fn os_page() -> usize {
    // SAFETY: takes a number and returns one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // It cannot fail for this question; 64 KiB is the largest page of any platform here.
    usize::try_from(size).unwrap_or(1 << 16)
}
