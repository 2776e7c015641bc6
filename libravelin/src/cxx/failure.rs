//! What the frames in [`crate::arch`] ask when there is no memory. None of these unwinds.

use core::ffi::c_void;
use core::ptr::null_mut;

use engine::raw;

use super::runtime::{self, Code, Jump, NoRuntime};
use crate::errno;
use crate::stop::stop;
use crate::talk::error;

/// Every try but the first, with the arguments that the throwing form gave to its frame.
pub(crate) type Retry = extern "C" fn(usize, usize, *mut c_void) -> *mut c_void;

/// Tries to allocate again. Every block suits an alignment of 1.
pub(crate) extern "C" fn again(size: usize, align: usize, _: *mut c_void) -> *mut c_void {
    raw::allocate_aligned(size, align).cast()
}

/// The new-handler to call before the next try, or null to give up. Then the error is told, as for a failed `malloc`.
pub(crate) extern "C" fn handler() -> Code {
    let handler = present_handler();
    if handler.is_null() {
        error(libc::ENOMEM, c"out of memory in new", None);
    }
    // Last, since the search may ask the loader, which leaves its own traces in errno.
    errno::set(libc::ENOMEM);
    handler
}

fn present_handler() -> Code {
    let ask = runtime::get_new_handler();
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
