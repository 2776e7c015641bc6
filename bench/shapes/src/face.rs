//! How a shape asks for memory: the C way or the Rust way.

use std::alloc::{self, Layout};

/// What an unaligned request is aligned to: a `malloc` promises no less.
pub const PLAIN: usize = 16;

/// One way to call an allocator. Null is never returned: a shape that runs out of memory has failed.
///
/// # Safety
/// The blocks are valid for their sizes and do not overlap while they live.
pub unsafe trait Face: Send + Sync + 'static {
    /// A block of `size` bytes, which is not zero.
    fn allocate(align: usize, size: usize) -> *mut u8;
    /// The same, filled with zeros, aligned as by `malloc`.
    fn zeroed(size: usize) -> *mut u8;
    /// # Safety
    /// `at` came from this face with this alignment and size, and is not used again.
    unsafe fn free(at: *mut u8, align: usize, size: usize);
    /// # Safety
    /// `at` came from this face with this size and no alignment of its own, and is replaced by the result.
    unsafe fn resize(at: *mut u8, size: usize, new: usize) -> *mut u8;
}

/// `malloc` and its family, as the dynamic linker finds them.
pub enum C {}

// SAFETY: what the C library, or what stands in for it, promises of malloc.
unsafe impl Face for C {
    #[inline]
    fn allocate(align: usize, size: usize) -> *mut u8 {
        // SAFETY: the alignment is a power of two.
        let at = unsafe { if align <= PLAIN { libc::malloc(size) } else { libc::memalign(align, size) } };
        granted(at.cast())
    }

    #[inline]
    fn zeroed(size: usize) -> *mut u8 {
        // SAFETY: no condition.
        granted(unsafe { libc::calloc(1, size) }.cast())
    }

    #[inline]
    unsafe fn free(at: *mut u8, _align: usize, _size: usize) {
        // SAFETY: the caller's promise.
        unsafe { libc::free(at.cast()) }
    }

    #[inline]
    unsafe fn resize(at: *mut u8, _size: usize, new: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        granted(unsafe { libc::realloc(at.cast(), new) }.cast())
    }
}

/// The program's global allocator.
pub enum Rust {}

// SAFETY: what GlobalAlloc promises.
unsafe impl Face for Rust {
    #[inline]
    fn allocate(align: usize, size: usize) -> *mut u8 {
        // SAFETY: no shape asks for nothing.
        granted(unsafe { alloc::alloc(layout(align, size)) })
    }

    #[inline]
    fn zeroed(size: usize) -> *mut u8 {
        // SAFETY: no shape asks for nothing.
        granted(unsafe { alloc::alloc_zeroed(layout(PLAIN, size)) })
    }

    #[inline]
    unsafe fn free(at: *mut u8, align: usize, size: usize) {
        // SAFETY: the caller's promise.
        unsafe { alloc::dealloc(at, layout(align, size)) }
    }

    #[inline]
    unsafe fn resize(at: *mut u8, size: usize, new: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        granted(unsafe { alloc::realloc(at, layout(PLAIN, size), new) })
    }
}

#[inline]
fn layout(align: usize, size: usize) -> Layout {
    // Small Rust values are seldom aligned to 16; most are aligned to a word.
    let align = if align <= PLAIN { 8 } else { align };
    // SAFETY: the shapes ask for powers of two and for sizes far below isize::MAX.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

#[inline]
fn granted(at: *mut u8) -> *mut u8 {
    if at.is_null() {
        refused();
    }
    at
}

#[cold]
#[inline(never)]
fn refused() -> ! {
    eprintln!("out of memory");
    std::process::exit(1)
}
