//! Two words for each thread, zero when it starts and there until its very end.
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

/// The first word: the thread's heap, or null.
#[inline(always)]
pub(crate) fn local() -> *mut c_void {
    if DYNAMIC_TLS { FIRST.get() } else { arch::load_first() }
}

/// Sets the first word.
#[inline(always)]
pub(crate) fn set_local(value: *mut c_void) {
    if DYNAMIC_TLS { set(&FIRST, value) } else { arch::store_first(value) }
}

/// The second word: a number of the engine's own.
#[inline(always)]
pub(crate) fn local_state() -> usize {
    if DYNAMIC_TLS { SECOND.get().addr() } else { arch::load_second() }
}

/// Sets the second word.
#[inline(always)]
pub(crate) fn set_local_state(value: usize) {
    if DYNAMIC_TLS { set(&SECOND, ptr::without_provenance_mut(value)) } else { arch::store_second(value) }
}

/// Without a key the word stays zero, as in a thread that is new: the engine finds no heap and takes its path without one.
#[cold]
fn set(key: &Key, value: *mut c_void) {
    if key.make(None).is_ok() {
        let _ = key.set(value);
    }
}
