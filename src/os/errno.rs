//! Why the kernel refused: its own number, kept as it is.

/// An error number of the kernel. The numbers are Linux's on every backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

impl Errno {
    /// Not now, but perhaps later.
    pub(crate) const AGAIN: Errno = Errno(11);
    /// Out of memory, of address space or of map entries; also a range with a hole in it.
    pub(crate) const NOMEM: Errno = Errno(12);
    /// An argument that the kernel cannot take: a range that is not of whole pages, advice that it does not know or
    /// that locked memory does not allow.
    pub(crate) const INVAL: Errno = Errno(22);
}
