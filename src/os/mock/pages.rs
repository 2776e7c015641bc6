//! The books: which ranges are reserved, and what each OS page of them allows.
//!
//! ```text
//!   allocation of std   |  (to align)  |  page  |  page  |  page  |  (rest)  |
//!                                        state    state    state               one byte each, in an array apart
//! ```
//!
//! An allocation goes back to std when the last of its pages is released. Nothing here comes from the global allocator,
//! which may be the one under test.

use super::memory::PAGE;
use crate::os::{Errno, Span};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a page allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Reserved and inaccessible, contents kept.
    Closed,
    /// Readable only.
    Readable,
    /// Readable and writable.
    Open,
    /// Inaccessible by a guard, contents dropped.
    Guarded,
}

/// One page.
#[derive(Clone, Copy)]
pub(super) struct Page {
    /// `None` once it is released.
    pub(super) protection: Option<Protection>,
    /// What it was before the guard was put on: taking the guard off brings it back.
    pub(super) under: Protection,
    /// It was writable since it was last zeroed.
    pub(super) dirty: bool,
}

struct Mapping {
    start: NonNull<u8>,
    /// An array of our own, which goes when the mapping goes.
    pages: NonNull<[Page]>,
    /// How many pages are not released.
    held: usize,
    allocation: (NonNull<u8>, Layout),
}

const CAPACITY: usize = 4096;

/// All reservations, in no order: the first `None` ends them.
pub(super) struct Books([Option<Mapping>; CAPACITY]);

// SAFETY: the pointers are to allocations that only the holder of the books touches by way of them.
unsafe impl Send for Books {}

/// Opens the books for the calling thread.
pub(super) fn books() -> MutexGuard<'static, Books> {
    static BOOKS: Mutex<Books> = Mutex::new(Books([const { None }; CAPACITY]));
    BOOKS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Books {
    /// Reserves `len` bytes of zeros at a multiple of `align`, every page with `protection`.
    pub(super) fn reserve(&mut self, len: usize, align: usize, protection: Protection) -> Result<Span, Errno> {
        if len == 0 || !len.is_multiple_of(PAGE) || !align.is_power_of_two() {
            return Err(Errno::INVAL);
        }
        let free = self.0.iter_mut().find(|slot| slot.is_none()).ok_or(Errno::NOMEM)?;
        let align = align.max(PAGE);
        // With more room rather than more alignment: std zeroes over-aligned memory by hand, and so touches all of it.
        let layout =
            len.checked_add(align).and_then(|size| Layout::from_size_align(size, 16).ok()).ok_or(Errno::NOMEM)?;
        let base = zeros(layout)?;
        let pages = match page_states(len / PAGE, protection) {
            Ok(pages) => pages,
            Err(error) => {
                // SAFETY: allocated above with this layout, and not used.
                unsafe { System.dealloc(base.as_ptr(), layout) };
                return Err(error);
            }
        };
        let skip = base.addr().get().wrapping_neg() & align.wrapping_sub(1);
        // SAFETY: `skip` is below `align`, and the allocation is `align` longer than `len`.
        let start = unsafe { base.add(skip) };
        *free = Some(Mapping { start, held: pages.len(), pages, allocation: (base, layout) });
        // SAFETY: the range was reserved just now.
        Ok(unsafe { Span::new(start, len) })
    }

    /// The pages of a range.
    ///
    /// # Errors
    /// As the kernel: EINVAL when the range is not of whole pages, ENOMEM when a page of it is not reserved.
    pub(super) fn pages(&mut self, span: Span) -> Result<&mut [Page], Errno> {
        let index = self.find(span)?;
        let mapping = self.0.get_mut(index).and_then(Option::as_mut).ok_or(Errno::NOMEM)?;
        let pages = mapping.pages_of(span).ok_or(Errno::NOMEM)?;
        if pages.iter().any(|page| page.protection.is_none()) { Err(Errno::NOMEM) } else { Ok(pages) }
    }

    /// Releases a range. Pages that are released already stay so.
    pub(super) fn release(&mut self, span: Span) -> Result<(), Errno> {
        let index = self.find(span)?;
        let slot = self.0.get_mut(index).ok_or(Errno::NOMEM)?;
        let mapping = slot.as_mut().ok_or(Errno::NOMEM)?;
        let mut released: usize = 0;
        for page in mapping.pages_of(span).ok_or(Errno::NOMEM)? {
            released = released.wrapping_add(usize::from(page.protection.take().is_some()));
        }
        mapping.held = mapping.held.wrapping_sub(released);
        if mapping.held == 0
            && let Some(mapping) = slot.take()
        {
            mapping.give_back();
        }
        Ok(())
    }

    /// The page at an address, if one is reserved there.
    pub(super) fn page_at(&self, address: usize) -> Option<Page> {
        self.0.iter().flatten().find_map(|mapping| {
            let offset = address.checked_sub(mapping.start.addr().get())?;
            mapping.all().get(offset / PAGE).filter(|page| page.protection.is_some()).copied()
        })
    }

    /// How many reservations there are.
    pub(super) fn count(&self) -> usize {
        self.0.iter().flatten().count()
    }

    fn find(&self, span: Span) -> Result<usize, Errno> {
        if !span.address().is_multiple_of(PAGE) || !span.len().is_multiple_of(PAGE) {
            return Err(Errno::INVAL);
        }
        let holds = |mapping: &Mapping| {
            let first = mapping.start.addr().get();
            let skipped = span.address().checked_sub(first);
            skipped.is_some_and(|skipped| skipped.saturating_add(span.len()) <= mapping.pages.len().wrapping_mul(PAGE))
        };
        self.0.iter().position(|slot| slot.as_ref().is_some_and(holds)).ok_or(Errno::NOMEM)
    }
}

impl Mapping {
    fn pages_of(&mut self, span: Span) -> Option<&mut [Page]> {
        let first = span.address().checked_sub(self.start.addr().get())? / PAGE;
        self.all_mut().get_mut(first..)?.get_mut(..span.len() / PAGE)
    }

    fn all(&self) -> &[Page] {
        // SAFETY: the array was written in full by `page_states`, lives as long as the mapping, and is reached through it only.
        unsafe { self.pages.as_ref() }
    }

    fn all_mut(&mut self) -> &mut [Page] {
        // SAFETY: as in `all`; the mapping is borrowed for writing.
        unsafe { self.pages.as_mut() }
    }

    fn give_back(self) {
        let (base, layout) = self.allocation;
        let states = Layout::for_value(self.all());
        // SAFETY: allocated by `page_states` with the layout of this slice, which goes with the mapping.
        unsafe { System.dealloc(self.pages.as_ptr().cast(), states) };
        // SAFETY: allocated by `reserve` with this layout; all pages have been released, so nobody uses it.
        unsafe { System.dealloc(base.as_ptr(), layout) };
    }
}

fn zeros(layout: Layout) -> Result<NonNull<u8>, Errno> {
    // SAFETY: no layout made here has size 0.
    NonNull::new(unsafe { System.alloc_zeroed(layout) }).ok_or(Errno::NOMEM)
}

fn page_states(count: usize, protection: Protection) -> Result<NonNull<[Page]>, Errno> {
    let layout = Layout::array::<Page>(count).map_err(|_| Errno::NOMEM)?;
    let start = zeros(layout)?.cast::<Page>();
    for index in 0..count {
        // SAFETY: `index` is below the length of the array.
        let place = unsafe { start.add(index) };
        // SAFETY: inside the array, which nobody else knows.
        unsafe { place.write(Page { protection: Some(protection), under: protection, dirty: false }) };
    }
    Ok(NonNull::slice_from_raw_parts(start, count))
}
