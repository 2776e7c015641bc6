//! What the frames in [`crate::arch`] ask when there is no memory. None of these unwinds.

use core::ffi::c_void;
use core::ptr::null_mut;

use engine::raw;

use super::runtime::{self, Code, Jump, NoRuntime};
use crate::errno::no_memory;
use crate::stop::stop;

/// Every try but the first. Every block suits an alignment of 1.
pub(crate) extern "C" fn again(size: usize, align: usize) -> *mut c_void {
    raw::allocate_aligned(size, align).cast()
}

/// The new-handler to call before the next try, or null to give up. Sets errno, as a failed `malloc` does.
pub(crate) extern "C" fn handler(_size: usize, align: usize) -> Code {
    // No handler can cure an impossible alignment: asking it for ever would be a hang.
    let ask = if align.is_power_of_two() { runtime::get_new_handler() } else { null_mut() };
    // Last, since the search may ask the loader, which leaves its own traces in errno.
    no_memory();
    if ask.is_null() {
        return null_mut();
    }
    // SAFETY: this is `std::get_new_handler`, which takes nothing and returns a function pointer or null.
    let ask = unsafe { core::mem::transmute::<Code, unsafe extern "C" fn() -> Code>(ask) };
    // SAFETY: it may be called by any thread at any time, and is noexcept.
    unsafe { ask() }
}

/// Stores the jump that throws `std::bad_alloc`. The frame takes it, so that nothing of this library is left between the
/// throw and the caller of `new`. Without a C++ runtime nobody could catch: the process stops.
///
/// # Safety
/// - `jump` may be written.
pub(crate) unsafe extern "C" fn throw(jump: *mut Jump) {
    match runtime::throw_bad_alloc() {
        // SAFETY: the caller's promise.
        Ok(found) => unsafe { jump.write(found) },
        Err(NoRuntime) => stop(b"ravelin: out of memory in operator new, and no C++ runtime to throw std::bad_alloc\n"),
    }
}
