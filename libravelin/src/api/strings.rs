//! Strings in blocks of ours.

use core::ffi::{c_char, c_int, c_uchar, c_ushort, c_void};
use core::ptr::null_mut;

use engine::raw;

use crate::errno::{fail, get, set};
use crate::malloc::give;

export! {
    /// A copy of a string; null for null.
    ///
    /// # Safety
    /// - `text` is null or a C string.
    unsafe fn strdup(text: *const c_char) -> *mut c_char {
        // SAFETY: the caller's promise.
        unsafe { copy(text, usize::MAX, give) }
    }

    /// A copy of the first `most` bytes of a string, or of all of it if it is shorter; null for null.
    ///
    /// # Safety
    /// - `text` is null, a C string, or `most` bytes.
    unsafe fn strndup(text: *const c_char, most: usize) -> *mut c_char {
        // SAFETY: the caller's promise.
        unsafe { copy(text, most, give) }
    }

    /// The C library's `realpath`; without a place to write to, the answer is in a block of ours.
    ///
    /// # Safety
    /// - `path` is null or a C string; `place` is null or has room for PATH_MAX bytes.
    unsafe fn realpath(path: *const c_char, place: *mut c_char) -> *mut c_char {
        // SAFETY: the caller's promise.
        unsafe { resolve(path, place, give) }
    }

    /// A copy of a string of 16-bit characters; null for null.
    ///
    /// # Safety
    /// - `text` is null or such a string, ended by a zero.
    unsafe fn wcsdup(text: *const c_ushort) -> *mut c_ushort {
        if text.is_null() {
            return null_mut();
        }
        let (mut count, mut next) = (0_usize, text);
        // SAFETY: the string goes on up to its zero, and this is not behind it.
        while unsafe { next.read() } != 0 {
            count = count.wrapping_add(1);
            next = next.wrapping_add(1);
        }
        let bytes = count.wrapping_add(1).wrapping_mul(size_of::<c_ushort>());
        let copy = give(bytes).cast::<c_ushort>();
        if !copy.is_null() {
            // SAFETY: both are so long, and the new block is nobody else's.
            unsafe { copy.cast::<u8>().copy_from_nonoverlapping(text.cast(), bytes) };
        }
        copy
    }

    /// A copy of a string of multi-byte characters; null for null.
    ///
    /// # Safety
    /// - `text` is null or a C string.
    unsafe fn mbsdup(text: *const c_uchar) -> *mut c_uchar {
        // SAFETY: the caller's promise.
        unsafe { copy(text.cast(), usize::MAX, give) }.cast()
    }

    /// A copy of a variable of the environment. Returns 0, EINVAL or ENOMEM.
    ///
    /// # Safety
    /// - `place` is null or may be written; so is `size`; `name` is null or a C string.
    unsafe fn dupenv_s(place: *mut *mut c_char, size: *mut usize, name: *const c_char) -> c_int {
        if place.is_null() || name.is_null() {
            return libc::EINVAL;
        }
        // SAFETY: a C string.
        let value = unsafe { libc::getenv(name) };
        let (copy, length) = if value.is_null() {
            (null_mut(), 0)
        } else {
            // SAFETY: the C library's string.
            let length = unsafe { libc::strlen(value) };
            // SAFETY: the C library's string.
            let copy = unsafe { copy(value, usize::MAX, give) };
            (copy, if copy.is_null() { 0 } else { length })
        };
        if !size.is_null() {
            // SAFETY: the caller's promise.
            unsafe { size.write(length) };
        }
        // SAFETY: the caller's promise.
        unsafe { place.write(copy) };
        if copy.is_null() && !value.is_null() { libc::ENOMEM } else { 0 }
    }

    /// The same for Windows: EINVAL, and null in `*place`.
    ///
    /// # Safety
    /// - `place` is null or may be written; so is `size`.
    unsafe fn wdupenv_s(place: *mut *mut c_ushort, size: *mut usize, _name: *const c_ushort) -> c_int {
        if !size.is_null() {
            // SAFETY: the caller's promise.
            unsafe { size.write(0) };
        }
        if !place.is_null() {
            // SAFETY: the caller's promise.
            unsafe { place.write(null_mut()) };
        }
        libc::EINVAL
    }
}

/// A copy of up to `most` bytes of a string, in a block from `give`; null for null.
///
/// # Safety
/// - `text` is null, a C string, or `most` bytes.
pub(crate) unsafe fn copy(text: *const c_char, most: usize, give: impl Fn(usize) -> *mut c_void) -> *mut c_char {
    if text.is_null() {
        return null_mut();
    }
    // SAFETY: the caller's promise.
    let length = unsafe { libc::strnlen(text, most) };
    let copy = give(length.saturating_add(1)).cast::<c_char>();
    if copy.is_null() {
        return copy;
    }
    // SAFETY: both are so long, and the new block is nobody else's.
    unsafe { copy.copy_from_nonoverlapping(text, length) };
    // SAFETY: the block has a byte more than was copied.
    let end = unsafe { copy.add(length) };
    // SAFETY: as above.
    unsafe { end.write(0) };
    copy
}

/// `realpath`, whose block comes from `give`.
///
/// # Safety
/// - `path` is null or a C string; `place` is null or has room for PATH_MAX bytes.
pub(crate) unsafe fn resolve(
    path: *const c_char,
    place: *mut c_char,
    give: impl Fn(usize) -> *mut c_void,
) -> *mut c_char {
    /// PATH_MAX, and a zero.
    const ROOM: usize = libc::PATH_MAX as usize + 1;

    if !place.is_null() {
        // SAFETY: the caller's promise.
        return unsafe { libc::realpath(path, place) };
    }
    // With a place of ours, the C library has nothing to allocate: its block might not be one of ours.
    let room = raw::allocate(ROOM).cast::<c_char>();
    if room.is_null() {
        return fail(libc::ENOMEM).cast();
    }
    // SAFETY: the path is the caller's, and the place has room.
    let found = unsafe { libc::realpath(path, room) };
    // SAFETY: null, or the C string that was just written.
    let answer = unsafe { copy(found, ROOM, give) };
    let errno = get();
    // SAFETY: allocated above, and nobody has it.
    unsafe { raw::free(room.cast()) };
    set(errno);
    answer
}
