//! The names under which glibc's own allocator is reached past an interposed `malloc`.
//!
//! Old programs and sanitizer-like libraries call `__libc_malloc` where they mean "the real one". If these stayed glibc's,
//! its blocks would meet our `free`, which stops the process. So the real one is this one. (musl has no such names to
//! reach: there they are the C library's inner joints, and are left alone.)

use core::ffi::{c_int, c_void};

use engine::raw;

use crate::errno::too_many;
use crate::glibc::{Mallinfo, accepts, small_account};
use crate::{aligned, malloc};

/// `malloc`.
#[unsafe(no_mangle)]
extern "C" fn __libc_malloc(size: usize) -> *mut c_void {
    malloc::give(size)
}

/// `calloc`.
#[unsafe(no_mangle)]
extern "C" fn __libc_calloc(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => malloc::give_zeroed(bytes),
        None => too_many(),
    }
}

/// `realloc`.
///
/// # Safety
/// - `block` is null or a live block.
#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise is the same.
    unsafe { malloc::resize(block, size) }
}

/// `reallocarray`.
///
/// # Safety
/// - `block` is null or a live block.
#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_reallocarray(block: *mut c_void, count: usize, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise is the same.
    unsafe { malloc::resize_array(block, count, size) }
}

/// `free`.
///
/// # Safety
/// - `block` is null or a live block, and nobody uses it any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_free(block: *mut c_void) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::free(block.cast()) };
}

/// `cfree`.
///
/// # Safety
/// - `block` is null or a live block, and nobody uses it any more.
#[unsafe(no_mangle)]
unsafe extern "C" fn __libc_cfree(block: *mut c_void) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::free(block.cast()) };
}

/// `memalign`.
#[unsafe(no_mangle)]
extern "C" fn __libc_memalign(align: usize, size: usize) -> *mut c_void {
    aligned::round_and_allocate(align, size)
}

/// `valloc`.
#[unsafe(no_mangle)]
extern "C" fn __libc_valloc(size: usize) -> *mut c_void {
    aligned::on_a_page(size)
}

/// `pvalloc`.
#[unsafe(no_mangle)]
extern "C" fn __libc_pvalloc(size: usize) -> *mut c_void {
    aligned::whole_pages(size)
}

/// `posix_memalign`.
///
/// # Safety
/// - `place` may be written.
#[unsafe(no_mangle)]
unsafe extern "C" fn __posix_memalign(place: *mut *mut c_void, align: usize, size: usize) -> c_int {
    // SAFETY: the caller's promise is the same.
    unsafe { aligned::store_aligned(place, align, size) }
}

/// `mallopt`.
#[unsafe(no_mangle)]
extern "C" fn __libc_mallopt(option: c_int, value: c_int) -> c_int {
    accepts(option, value)
}

/// `mallinfo`.
#[unsafe(no_mangle)]
extern "C" fn __libc_mallinfo() -> Mallinfo<c_int> {
    small_account()
}
