//! A thread's number, its patience and its end.

use super::controls::may_fail;
use crate::os::Errno;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::OnceLock;

std::thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
    static VALUE: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
    static END: End = const { End };
}

/// A number for the calling thread, from 1 on.
pub(crate) fn thread_id() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    if NUMBER.get() == 0 {
        NUMBER.set(LAST.fetch_add(1, Relaxed).wrapping_add(1));
    }
    NUMBER.get()
}

/// Nobody knows.
pub(crate) fn has_ended(_process: u32, _thread: u64) -> bool {
    false
}

/// Lets others run.
pub(crate) fn yield_now() {
    crate::sync::spin_loop();
    std::thread::yield_now();
}

/// Lets a millisecond pass.
pub(crate) fn nap() {
    crate::sync::spin_loop();
    std::thread::sleep(core::time::Duration::from_millis(1));
}

/// Never: no handler is ever run here.
pub(crate) fn on_signal_stack() -> bool {
    false
}

static EXIT: OnceLock<extern "C" fn(*mut c_void)> = OnceLock::new();

/// Has `f` called at the end of every thread that [`arm_thread_exit`] has armed.
///
/// # Errors
/// EAGAIN, as when the process has no keys left.
pub(crate) fn make_thread_exit_key(f: extern "C" fn(*mut c_void)) -> Result<(), Errno> {
    may_fail(Errno::AGAIN)?;
    EXIT.get_or_init(|| f);
    Ok(())
}

/// Has the end of the calling thread call the exit function with `value`, unless it is null: in at most four rounds, each of
/// which disarms.
///
/// # Errors
/// EINVAL before the key is made; ENOMEM.
pub(crate) fn arm_thread_exit(value: *mut c_void) -> Result<(), Errno> {
    if EXIT.get().is_none() {
        return Err(Errno::INVAL);
    }
    may_fail(Errno::NOMEM)?;
    VALUE.set(value);
    // Registers the destructor; refused, and in vain, when it has run already.
    let _ = END.try_with(|_| ());
    Ok(())
}

/// PTHREAD_DESTRUCTOR_ITERATIONS.
const ROUNDS: u32 = 4;

struct End;

impl Drop for End {
    fn drop(&mut self) {
        for _ in 0..ROUNDS {
            let value = VALUE.replace(ptr::null_mut());
            match EXIT.get() {
                Some(exit) if !value.is_null() => exit(value),
                _ => return,
            }
        }
    }
}
