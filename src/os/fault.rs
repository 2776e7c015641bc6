//! What the floors above say and hear of faults: which access it was, whom to ask, and where a stack ends.

use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// What the program tried to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    /// The processor does not say, or it was neither.
    Unknown,
}

/// An access that faulted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) address: usize,
    pub(crate) access: Access,
}

/// Who is told of faults.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Asked in the signal handler, and so in the middle of anything: whether a fault at this address is to be explained.
    pub(crate) is_ours: fn(usize) -> bool,
    /// Called in the place of the access, on the thread's own stack and outside of the handler, if it is.
    pub(crate) explain: fn(Fault) -> !,
}

/// Where the stack lies that a thread was last seen on. Valid when its bytes are zero: not known.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct StackBounds {
    pub(crate) low: AtomicUsize,
    pub(crate) high: AtomicUsize,
    /// Whether it is the thread's own, all of which is there up to the end.
    pub(crate) is_own: AtomicBool,
}

/// From where on a thread's callers are looked for.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// An address in the frame of a function that the first of them has called.
    frame: usize,
    /// Where the thread's stack lies, as far as it is known; none if that can be kept nowhere.
    pub(crate) bounds: Option<&'a StackBounds>,
}

impl Caller<'_> {
    /// Whoever called the function that this is inlined into.
    #[inline(always)]
    pub(crate) fn here() -> Caller<'static> {
        let here = 0_u8;
        Caller { frame: ptr::from_ref(core::hint::black_box(&here)).addr(), bounds: None }
    }

    /// The same, for a thread of which it is known where its stack lies, or can be kept.
    pub(crate) fn in_thread<'b>(&self, bounds: Option<&'b StackBounds>) -> Caller<'b> {
        Caller { frame: self.frame, bounds }
    }

    /// The address that is looked from.
    pub(crate) fn frame(&self) -> usize {
        self.frame
    }
}

impl StackBounds {
    /// Not known any more: another thread comes.
    pub(crate) fn forget(&self) {
        self.high.store(0, Relaxed);
    }
}

/// A piece of code or data that the program was made of, as far as it is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Module<'a> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) is_code: bool,
    /// Where the file's first byte is mapped: addresses in debug information count from here, unless the program is one that
    /// cannot be loaded elsewhere.
    pub(crate) base: usize,
    /// The file's name without its folder, cut if it is long; empty if there is no file.
    pub(crate) name: &'a [u8],
}
