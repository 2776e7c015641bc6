//! The mistake: a handle in the manner of a C library, closed by two parties that both think they own it.

use core::hint::black_box;

/// What a caller of the old interface holds a raw pointer to.
#[derive(Debug)]
struct Handle {
    _peer: [u8; 16],
    _position: u64,
    _flags: u64,
}

fn open() -> *mut Handle {
    Box::into_raw(Box::new(Handle { _peer: [127; 16], _position: 0, _flags: 1 }))
}

/// Not `unsafe fn`, though it should be: nothing makes the caller think about who closes the handle.
#[inline(never)]
fn close(handle: *mut Handle) {
    // SAFETY: wrong, and that is the point. It would have to hold that nobody has closed this handle before.
    drop(unsafe { Box::from_raw(handle) });
}

/// Closes one handle twice: the second call frees a block that is free. Does not return in a build that checks.
pub(crate) fn close_twice() {
    // The compiler may not see that both are the same pointer, or it could leave out the pair of calls.
    let handle = black_box(open());
    close(black_box(handle));
    close(black_box(handle));
}
