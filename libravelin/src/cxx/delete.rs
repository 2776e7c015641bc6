//! `operator delete`: roots, which begin in [`crate::arch`] with a jump to here, and the forms that call the next one by its public
//! name. Where that is this library's own, what the form knows besides is told to the engine: the size, and that there were many objects.

use core::ffi::c_void;
use core::ptr::fn_addr_eq;

use engine::raw::{self, Operator};

use super::runtime::{Delete, DeleteAligned, names};

/// Whether the name that the whole program sees is this library's.
#[inline(always)]
fn is_own([seen, own]: [Delete; 2]) -> bool {
    fn_addr_eq(seen, own)
}

/// The same for a form with an alignment.
#[inline(always)]
fn is_own_aligned([seen, own]: [DeleteAligned; 2]) -> bool {
    fn_addr_eq(seen, own)
}

/// `operator delete(void*)`.
///
/// # Safety
/// - `block` is null or came from `operator new`, and nobody uses it any more.
pub(crate) unsafe extern "C" fn delete(block: *mut c_void) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::operator_delete(block.cast(), Operator::One) };
}

/// `operator delete(void*, std::align_val_t)`.
///
/// # Safety
/// - As for [`delete`].
pub(crate) unsafe extern "C" fn delete_aligned(block: *mut c_void, _align: usize) {
    // SAFETY: the caller's promise, which the engine checks besides.
    unsafe { raw::operator_delete(block.cast(), Operator::One) };
}

/// `operator delete[](void*)`.
///
/// # Safety
/// - As for [`delete`].
pub(crate) unsafe extern "C" fn delete_array(block: *mut c_void) {
    let [seen, _] = names().delete;
    if is_own(names().delete) {
        // SAFETY: the caller's promise, which the engine checks besides.
        return unsafe { raw::operator_delete(block.cast(), Operator::Many) };
    }
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block) };
}

/// `operator delete[](void*, std::align_val_t)`.
///
/// # Safety
/// - As for [`delete`].
pub(crate) unsafe extern "C" fn delete_array_aligned(block: *mut c_void, align: usize) {
    let [seen, _] = names().delete_aligned;
    if is_own_aligned(names().delete_aligned) {
        // SAFETY: the caller's promise, which the engine checks besides.
        return unsafe { raw::operator_delete(block.cast(), Operator::Many) };
    }
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block, align) };
}

/// `operator delete(void*, size_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvm")]
unsafe extern "C" fn delete_sized(block: *mut c_void, size: usize) {
    let [seen, _] = names().delete;
    if is_own(names().delete) {
        // SAFETY: the caller's promise, which the engine checks besides.
        return unsafe { raw::operator_delete_sized(block.cast(), size, Operator::One) };
    }
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block) };
}

/// `operator delete(void*, const std::nothrow_t&)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvRKSt9nothrow_t")]
unsafe extern "C" fn delete_nothrow(block: *mut c_void, _nothrow: *const c_void) {
    let [seen, _] = names().delete;
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block) };
}

/// `operator delete[](void*, size_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvm")]
unsafe extern "C" fn delete_array_sized(block: *mut c_void, size: usize) {
    let [seen, _] = names().delete_array;
    if is_own(names().delete_array) && is_own(names().delete) {
        // SAFETY: the caller's promise, which the engine checks besides.
        return unsafe { raw::operator_delete_sized(block.cast(), size, Operator::Many) };
    }
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block) };
}

/// `operator delete[](void*, const std::nothrow_t&)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvRKSt9nothrow_t")]
unsafe extern "C" fn delete_array_nothrow(block: *mut c_void, _nothrow: *const c_void) {
    let [seen, _] = names().delete_array;
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block) };
}

/// `operator delete(void*, size_t, std::align_val_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvmSt11align_val_t")]
unsafe extern "C" fn delete_sized_aligned(block: *mut c_void, size: usize, align: usize) {
    let [seen, _] = names().delete_aligned;
    if is_own_aligned(names().delete_aligned) {
        // SAFETY: the caller's promise, which the engine checks besides.
        return unsafe { raw::operator_delete_sized(block.cast(), size, Operator::One) };
    }
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block, align) };
}

/// `operator delete(void*, std::align_val_t, const std::nothrow_t&)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdlPvSt11align_val_tRKSt9nothrow_t")]
unsafe extern "C" fn delete_aligned_nothrow(block: *mut c_void, align: usize, _nothrow: *const c_void) {
    let [seen, _] = names().delete_aligned;
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block, align) };
}

/// `operator delete[](void*, size_t, std::align_val_t)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvmSt11align_val_t")]
unsafe extern "C" fn delete_array_sized_aligned(block: *mut c_void, size: usize, align: usize) {
    let [seen, _] = names().delete_array_aligned;
    if is_own_aligned(names().delete_array_aligned) && is_own_aligned(names().delete_aligned) {
        // SAFETY: the caller's promise, which the engine checks besides.
        return unsafe { raw::operator_delete_sized(block.cast(), size, Operator::Many) };
    }
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block, align) };
}

/// `operator delete[](void*, std::align_val_t, const std::nothrow_t&)`.
///
/// # Safety
/// - As for [`delete`].
#[unsafe(export_name = "_ZdaPvSt11align_val_tRKSt9nothrow_t")]
unsafe extern "C" fn delete_array_aligned_nothrow(block: *mut c_void, align: usize, _nothrow: *const c_void) {
    let [seen, _] = names().delete_array_aligned;
    // SAFETY: the next form of `operator delete`, with the caller's promise.
    unsafe { seen(block, align) };
}
