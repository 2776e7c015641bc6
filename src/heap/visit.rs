//! What a heap holds: questions about a pointer, and a walk over its blocks.

use super::handle::HeapHandle;
use super::thread::Heap;
use super::{diagnose, skew};
use crate::geometry::{GRANULE, Granule, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::page::{Kind, Page};
use crate::remote::Owner;
use crate::report::Operation;
use crate::segment::{Segment, map, space::segments};
use crate::sync::Relaxed;
use core::ptr::{self, NonNull};

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

/// A page of a heap, as a visitor is shown it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct HeapArea {
    /// The first block.
    pub blocks: *mut u8,
    /// Bytes that there is room for.
    pub reserved: usize,
    /// Bytes of the blocks that were made so far.
    pub committed: usize,
    /// Live blocks.
    pub used: usize,
    /// Bytes that the program may use of a block.
    pub block_size: usize,
    /// Bytes from one block to the next.
    pub full_block_size: usize,
}

/// What a visitor is shown.
#[derive(Clone, Copy, Debug)]
pub enum Visited<'a> {
    /// A page.
    Area(&'a HeapArea),
    /// A live block of the page shown last: where it starts, and how many bytes of it the program may use.
    Block(&'a HeapArea, NonNull<u8>, usize),
}

/// How much a visitor is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Pages.
    Areas,
    /// Pages, and after each its live blocks.
    Blocks,
}

/// Shows the pages of the heap, full and large ones too, until `show` says that it has seen enough. False if it did, or if
/// there was no page.
///
/// `show` may free blocks, also the one that it is shown, and allocate: the walk is over the segments, whose order nothing
/// changes, and each page and block is looked at when it is met.
pub(crate) fn visit(handle: HeapHandle, what: Visit, show: &mut dyn FnMut(Visited<'_>) -> bool) -> bool {
    let heap = handle.expect_own(Operation::HeapVisit);
    let mut met = false;
    for page in segments().flat_map(Segment::pages).filter(|page| heap.has(page)) {
        if handle.own().is_none() {
            // `show` has ended the heap: what is met now is another's, which has its metadata.
            return false;
        }
        met = true;
        let goes_on = match page.face.kind() {
            Kind::Blocks(_) => heap.show_blocks(page, what, show),
            Kind::Single => heap.show_single(page, what, show),
            Kind::Voids => heap.show_voids(page, what, show),
        };
        if !goes_on {
            return false;
        }
    }
    met
}

fn is_live(page: &'static Page, pointer: UserPtr) -> bool {
    let offset = pointer.address().wrapping_sub(page.face.start().addr());
    match page.face.kind() {
        Kind::Single => skew::is_valid(page, pointer),
        Kind::Blocks(_) if !MITIGATIONS.free_checks => offset.checked_rem(page.face.block_size()) == Some(0),
        Kind::Blocks(_) | Kind::Voids => {
            map::find(pointer).is_some_and(|_| page.spot(Granule::of(pointer.address())).is_live())
        }
    }
}

impl Heap {
    /// Whether the page is this heap's: for any thread, as of a moment ago.
    fn has(&self, page: &Page) -> bool {
        match page.face.owner.load() {
            Owner::Single => self.singles.has(page),
            Owner::Thread(owner) => ptr::eq(owner, self.me()) && ptr::addr_eq(page.hot.heap.load(Relaxed), self),
            Owner::Nobody | Owner::Abandoned | Owner::Busy => false,
        }
    }

    fn show_blocks(&self, page: &'static Page, what: Visit, show: &mut dyn FnMut(Visited<'_>) -> bool) -> bool {
        let (size, life) = (page.face.block_size(), page.life());
        let live = page.live_blocks(&self.own(page, Operation::HeapVisit));
        let area = HeapArea {
            blocks: page.face.start(),
            reserved: (page.room() as usize).wrapping_mul(size),
            committed: (page.capacity() as usize).wrapping_mul(size),
            used: live.len(),
            block_size: size,
            full_block_size: size,
        };
        if !show(Visited::Area(&area)) {
            return false;
        }
        if what == Visit::Areas {
            return true;
        }
        for index in live.iter() {
            let start = page.face.start().wrapping_add((index as usize).wrapping_mul(size));
            // What was live a moment ago, `show` may have freed, and the whole page with it.
            if page.life() != life || !self.has(page) {
                break;
            }
            let is_live = !MITIGATIONS.free_checks || page.spot(Granule::of(start.addr())).is_live();
            match NonNull::new(start).filter(|_| is_live) {
                Some(start) if !show(Visited::Block(&area, start, page.usable(page.tables(), start.addr().get()))) => {
                    return false;
                }
                _ => {}
            }
        }
        true
    }

    fn show_single(&self, page: &'static Page, what: Visit, show: &mut dyn FnMut(Visited<'_>) -> bool) -> bool {
        let (blocks, size) = (page.face.start(), page.face.block_size());
        let area =
            HeapArea { blocks, reserved: size, committed: size, used: 1, block_size: size, full_block_size: size };
        if !show(Visited::Area(&area)) {
            return false;
        }
        let skew = page.face.skew();
        match NonNull::new(blocks.wrapping_add(skew)).filter(|_| what == Visit::Blocks && self.has(page)) {
            Some(start) => {
                let usable = page.usable(page.tables(), blocks.addr()).wrapping_sub(skew);
                show(Visited::Block(&area, start, usable))
            }
            None => true,
        }
    }

    fn show_voids(&self, page: &'static Page, what: Visit, show: &mut dyn FnMut(Visited<'_>) -> bool) -> bool {
        let (blocks, used) = (page.face.start(), page.used() as usize);
        let area = HeapArea { blocks, reserved: 0, committed: 0, used, block_size: 0, full_block_size: GRANULE };
        if used == 0 {
            return true;
        }
        show(Visited::Area(&area))
            && (what == Visit::Areas
                || page
                    .voids()
                    .take_while(|_| page.face.has_voids() && self.has(page))
                    .all(|start| show(Visited::Block(&area, start, 0))))
    }

    /// The page of this heap in whose blocks the pointer lies.
    fn page_around(&self, pointer: UserPtr) -> Option<&'static Page> {
        let page = diagnose::page_around(pointer).filter(|page| self.has(page))?;
        let offset = pointer.address().checked_sub(page.face.start().addr())?;
        let number = offset.checked_div(page.face.block_size());
        number.is_none_or(|number| number < page.capacity() as usize).then_some(page)
    }
}
