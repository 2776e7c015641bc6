//! What a heap holds: questions about a pointer, and a walk over its blocks.

use super::diagnose;
use super::handle::HeapHandle;
use super::thread::Heap;
use crate::geometry::{Granule, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::page::{Kind, Page};
use crate::remote::Owner;
use crate::report::Operation;
use crate::segment::map;
use core::ptr;

/// Whether a live block of the heap starts there. Harmless for any pointer, from any thread; true of another thread's heap
/// only as of a moment ago.
pub(crate) fn contains(handle: HeapHandle, pointer: UserPtr) -> bool {
    let heap = handle.expect_alive(Operation::HeapVisit);
    heap.page_around(pointer).is_some_and(|page| is_live(page, pointer))
}

/// Whether the pointer lies in blocks of the heap that were made, live or free. Harmless for any pointer, as `contains`.
pub(crate) fn check_owned(handle: HeapHandle, pointer: UserPtr) -> bool {
    let heap = handle.expect_alive(Operation::HeapVisit);
    heap.page_around(pointer).is_some()
}

fn is_live(page: &'static Page, pointer: UserPtr) -> bool {
    let offset = pointer.address().wrapping_sub(page.face.start().addr());
    match page.face.kind() {
        Kind::Single => offset == 0,
        Kind::Blocks(_) if !MITIGATIONS.free_checks => offset.checked_rem(page.face.block_size()) == Some(0),
        Kind::Blocks(_) => map::find(pointer).is_some_and(|_| page.spot(Granule::of(pointer.address())).is_live()),
    }
}

impl Heap {
    /// Whether the page is this heap's: for any thread, as of a moment ago.
    fn has(&self, page: &Page) -> bool {
        match page.face.owner.load() {
            Owner::Single => self.singles.has(page),
            Owner::Thread(owner) => {
                ptr::eq(owner, self.me()) && ptr::addr_eq(page.hot.heap.load(crate::sync::Relaxed), self)
            }
            Owner::Nobody | Owner::Abandoned | Owner::Busy => false,
        }
    }

    /// The page of this heap in whose blocks the pointer lies.
    fn page_around(&self, pointer: UserPtr) -> Option<&'static Page> {
        let page = diagnose::page_around(pointer).filter(|page| self.has(page))?;
        let offset = pointer.address().checked_sub(page.face.start().addr())?;
        (offset.checked_div(page.face.block_size())? < page.capacity() as usize).then_some(page)
    }
}
