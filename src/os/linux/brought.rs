//! Memory that does not come from `reserve`: what the program brings, and gigantic pages.

use super::error::last;
use super::memory::page_size;
use crate::os::calls::{COUNTERS, counted};
use crate::os::valgrind::quiet;
use crate::os::{Errno, GIGANTIC, Span};
use core::ptr::{self, NonNull};
use libc::{c_int, c_ulong, c_void};

/// `MPOL_PREFERRED` of `mbind`.
const PREFERRED: c_int = 1;
/// Nodes that a mask of one word can name.
const NODES: u32 = c_ulong::BITS;

/// Whether all of the span is mapped, whatever may be done there. Changes nothing.
pub(crate) fn is_mapped(span: Span) -> bool {
    let page = page_size().wrapping_sub(1);
    if span.len() == 0 || (span.address() | span.len()) & page != 0 {
        return false;
    }
    // memcheck would have the program know beforehand.
    let _quiet = quiet();
    // Asynchronous: nothing is written now that would not be written anyway. By the system call: a thread that was cancelled must not end
    // in here (see `file`).
    // SAFETY: the call touches no memory; it fails where nothing is mapped.
    unsafe { libc::syscall(libc::SYS_msync, span.start().as_ptr(), span.len(), libc::MS_ASYNC) == 0 }
}

/// Takes one gigantic page, at this address or else anywhere: readable, writable, zero, never swapped or given back. Its memory
/// is taken now, from this node of the machine if that is told and has some.
///
/// # Errors
/// ENOMEM if the system has set none aside; EINVAL if it knows none.
pub(crate) fn take_gigantic(hint: usize, node: Option<u32>) -> Result<Span, Errno> {
    let taken = take(hint);
    if let (Ok(span), Some(node)) = (taken, node.filter(|&node| node < NODES)) {
        let mask: c_ulong = 1 << node;
        // A wish: the kernel may not know of nodes at all.
        // SAFETY: names a range that this call has mapped, and reads one word of mask.
        let _ = unsafe {
            libc::syscall(
                libc::SYS_mbind,
                span.start().as_ptr(),
                span.len() as c_ulong,
                PREFERRED,
                &raw const mask,
                c_ulong::from(NODES),
                0,
            )
        };
    }
    counted(&COUNTERS.reserve, taken)
}

fn take(hint: usize) -> Result<Span, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_HUGETLB | libc::MAP_HUGE_1GB;
    let (hint, protection) = (ptr::without_provenance_mut::<c_void>(hint), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: without MAP_FIXED a new mapping replaces nothing.
    let start = unsafe { libc::mmap(hint, GIGANTIC, protection, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(last());
    }
    let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
    // SAFETY: the kernel has just mapped so many bytes there.
    Ok(unsafe { Span::new(start, GIGANTIC) })
}
