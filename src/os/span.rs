//! A range of address space that is ours.

use core::ptr::NonNull;

/// A range of whole OS pages within one reservation.
///
/// Holding one proves where the memory is, not that it may be touched: that depends on the last of
/// [`open`](super::open), [`close`](super::close) and [`guard`](super::guard). The pointer carries the reservation's
/// provenance, so every pointer into the range is made from it by offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a span is an address and a length; every operation that could touch the memory is unsafe and its caller's to prove.
unsafe impl Send for Span {}
// SAFETY: as above; nothing can be changed through a shared span.
unsafe impl Sync for Span {}

impl Span {
    /// Names a range.
    ///
    /// # Safety
    /// - `start` points into a reservation that has not been released, and carries its provenance.
    /// - `len` bytes from `start` lie inside that reservation.
    pub(crate) const unsafe fn new(start: NonNull<u8>, len: usize) -> Span {
        Span { start, len }
    }

    /// The first byte.
    #[inline]
    pub(crate) const fn start(self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes.
    #[inline]
    pub(crate) const fn len(self) -> usize {
        self.len
    }

    /// The address of the first byte.
    #[inline]
    pub(crate) fn address(self) -> usize {
        self.start.addr().get()
    }

    /// The `len` bytes from `offset` on; `None` when they do not all lie inside.
    #[inline]
    pub(crate) fn part(self, offset: usize, len: usize) -> Option<Span> {
        if len > self.len.checked_sub(offset)? {
            return None;
        }
        // SAFETY: `offset` is at most `self.len` (just checked), so the result is inside the range or at its end.
        let start = unsafe { self.start.add(offset) };
        Some(Span { start, len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_inside_or_it_is_none() {
        let mut memory = [0u8; 64];
        let start = NonNull::from(&mut memory).cast();
        // SAFETY: the array outlives the span, and has 64 bytes.
        let span = unsafe { Span::new(start, 64) };
        let part = span.part(16, 48).expect("16 + 48 = 64");
        assert_eq!((part.address(), part.len()), (span.address() + 16, 48));
        assert_eq!(span.part(64, 0).map(Span::len), Some(0));
        assert_eq!(span.part(16, 49), None);
        assert_eq!(span.part(65, 0), None);
        assert_eq!(span.part(1, usize::MAX), None);
        assert_eq!(span.part(usize::MAX, 2), None);
    }
}
