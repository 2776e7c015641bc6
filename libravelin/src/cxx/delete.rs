//! `operator delete`: two roots, and ten forms that call the next one by its public name. Sizes are not needed.

use core::ffi::c_void;

use engine::raw;

use super::runtime::names;

/// `operator delete(void*)`.
///
/// # Safety
/// - `block` is null or came from `operator new`, and nobody uses it any more.
#[unsafe(export_name = "_ZdlPv")]
unsafe extern "C" fn delete(block: *mut c_void) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::free(block.cast()) };
}

/// `operator delete(void*, std::align_val_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvSt11align_val_t")]
unsafe extern "C" fn delete_aligned(block: *mut c_void, _align: usize) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::free(block.cast()) };
}

/// `operator delete(void*, size_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvm")]
unsafe extern "C" fn delete_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete)(block) };
}

/// `operator delete(void*, const std::nothrow_t&)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvRKSt9nothrow_t")]
unsafe extern "C" fn delete_nothrow(block: *mut c_void, _nothrow: *const c_void) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete)(block) };
}

/// `operator delete[](void*)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPv")]
unsafe extern "C" fn delete_array(block: *mut c_void) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete)(block) };
}

/// `operator delete[](void*, size_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvm")]
unsafe extern "C" fn delete_array_sized(block: *mut c_void, _size: usize) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete_array)(block) };
}

/// `operator delete[](void*, const std::nothrow_t&)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvRKSt9nothrow_t")]
unsafe extern "C" fn delete_array_nothrow(block: *mut c_void, _nothrow: *const c_void) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete_array)(block) };
}

/// `operator delete(void*, size_t, std::align_val_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvmSt11align_val_t")]
unsafe extern "C" fn delete_sized_aligned(block: *mut c_void, _size: usize, align: usize) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete_aligned)(block, align) };
}

/// `operator delete(void*, std::align_val_t, const std::nothrow_t&)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvSt11align_val_tRKSt9nothrow_t")]
unsafe extern "C" fn delete_aligned_nothrow(block: *mut c_void, align: usize, _nothrow: *const c_void) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete_aligned)(block, align) };
}

/// `operator delete[](void*, std::align_val_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvSt11align_val_t")]
unsafe extern "C" fn delete_array_aligned(block: *mut c_void, align: usize) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete_aligned)(block, align) };
}

/// `operator delete[](void*, size_t, std::align_val_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvmSt11align_val_t")]
unsafe extern "C" fn delete_array_sized_aligned(block: *mut c_void, _size: usize, align: usize) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete_array_aligned)(block, align) };
}

/// `operator delete[](void*, std::align_val_t, const std::nothrow_t&)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvSt11align_val_tRKSt9nothrow_t")]
unsafe extern "C" fn delete_array_aligned_nothrow(block: *mut c_void, align: usize, _nothrow: *const c_void) {
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { (names().delete_array_aligned)(block, align) };
}
