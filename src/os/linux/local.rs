//! Three words for each thread, zero when it starts and there until its very end.
//!
//! They lie in static thread-local storage, at a fixed distance from the thread pointer: no call, no allocation, no
//! destructor. A library that is loaded late by `dlopen` may find no room there; the feature `dynamic-tls` puts the words
//! behind pthread keys instead, which is slower.

use super::keys::Key;
use crate::mitigations::DYNAMIC_TLS;
use crate::os::arch;
use core::ptr;
use libc::c_void;

static FIRST: Key = Key::new();
static SECOND: Key = Key::new();
static THIRD: Key = Key::new();

/// The first word: what the thread has, or null.
#[inline(always)]
pub(crate) fn local() -> *mut c_void {
    if DYNAMIC_TLS { FIRST.get() } else { arch::load::<0>() }
}

/// Sets the first word.
#[inline(always)]
pub(crate) fn set_local(value: *mut c_void) {
    if DYNAMIC_TLS { set(&FIRST, value) } else { arch::store::<0>(value) }
}

/// The second word: the heap that the thread allocates from, or null. A word of its own, so that neither malloc, which wants
/// the heap, nor free, which wants the thread, must look for one in the other.
#[inline(always)]
pub(crate) fn local_heap() -> *mut c_void {
    if DYNAMIC_TLS { SECOND.get() } else { arch::load::<8>() }
}

/// Sets the second word.
#[inline(always)]
pub(crate) fn set_local_heap(value: *mut c_void) {
    if DYNAMIC_TLS { set(&SECOND, value) } else { arch::store::<8>(value) }
}

/// The third word: a number of the engine's own.
#[inline(always)]
pub(crate) fn local_state() -> usize {
    if DYNAMIC_TLS { THIRD.get().addr() } else { arch::load::<16>().addr() }
}

/// Sets the third word.
#[inline(always)]
pub(crate) fn set_local_state(value: usize) {
    let value = ptr::without_provenance_mut(value);
    if DYNAMIC_TLS { set(&THIRD, value) } else { arch::store::<16>(value) }
}

/// Without a key the word stays zero, as in a thread that is new: the engine finds no heap and takes its path without one.
#[cold]
fn set(key: &Key, value: *mut c_void) {
    if key.make(None).is_ok() {
        let _ = key.set(value);
    }
}
