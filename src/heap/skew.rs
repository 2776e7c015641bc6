//! Blocks whose alignment is asked for at an offset: `(pointer + offset) % align == 0`, whatever the offset.
//!
//! ```text
//!   page of one block   |front| lead |<------ what the program gets ------>|guard|
//!                             ^      ^ pointer: a multiple of `align` less `offset`, perhaps an odd address
//!                             start of the block, with the state bit
//! ```
//!
//! Such a pointer may lie off its granule, where there is no state bit for it. So it gets a page of one block, which records
//! the *lead* of the pointer over the block's start: only that pointer is valid, not the start. free finds out off its
//! fast path: a pointer off its granule, or without a state bit, is looked for here before anybody is accused; and the start, which
//! has the bit, is a page of one block's, where the lead is compared. A free of any other block costs nothing more.
//!
//! A block of such a page takes a page of the system at least, and 64 KiB of addresses, however small it is.

use super::claim::Claim;
use super::malloc;
use super::terms::{Fill, Terms};
use super::thread::Heap;
use super::{diagnose, free};
use crate::geometry::UserPtr;
use crate::mitigations::MITIGATIONS;
use crate::os::valgrind::{self, quiet};
use crate::page::{Kind, Page, padded};
use crate::remote::Owner;
use crate::report::{self, Operation, Report};
use crate::segment::{Segment, SingleShape, map};
use core::ptr::{self, NonNull};

/// Larger alignments are served without an offset only.
const MOST: usize = 16 << 20;

/// How far behind a multiple of `align`, a power of two, a pointer lies that is aligned at `offset`.
pub(super) const fn lead(align: usize, offset: usize) -> usize {
    offset.wrapping_neg() & align.wrapping_sub(1)
}

/// A block for `size` bytes whose pointer plus `offset` is a multiple of `align`, of this heap of the calling thread's or of its
/// default one. Null if there is no memory, or no such block.
pub(crate) fn allocate_at(
    heap: Option<&'static Heap>,
    size: usize,
    align: usize,
    offset: usize,
    fill: Fill,
) -> *mut u8 {
    if !align.is_power_of_two() {
        return ptr::null_mut();
    }
    let (lead, terms) = (lead(align, offset), Terms::of(fill));
    if lead == 0 {
        return match heap {
            Some(heap) => malloc::allocate_in(heap, size, align, terms),
            None => malloc::allocate_aligned_on(size, align, terms),
        };
    }
    let (beyond, skew) = SingleShape::parts_of(lead);
    let Some(inner) = size.checked_add(skew).filter(|_| align <= MOST) else { return ptr::null_mut() };
    let Some(shape) = SingleShape::of(padded(inner), align).and_then(|shape| shape.beyond(beyond)) else {
        return ptr::null_mut();
    };
    let _quiet = quiet();
    let start = malloc::allocate_alone(heap, inner, shape, terms);
    if let Some((segment, granule)) = map::find(UserPtr::new(start)) {
        segment.page_of(granule).face.set_skew(skew);
    }
    match NonNull::new(start).and_then(|start| NonNull::new(start.as_ptr().wrapping_add(skew))) {
        Some(pointer) => {
            valgrind::block_ends(start.addr());
            valgrind::block_begins(pointer, size, size, fill.holds());
            pointer.as_ptr()
        }
        None => ptr::null_mut(),
    }
}

/// The live block of this pointer, if it is one with a lead: its segment and its page.
pub(super) fn find(pointer: UserPtr) -> Option<(&'static Segment, &'static Page)> {
    let page = diagnose::page_around(pointer)?;
    let start = UserPtr::new(page.face.start());
    let is_it = is_valid(page, pointer) && page.face.skew() != 0 && page.face.owner.load() == Owner::Single;
    let (segment, granule) = map::find(start).filter(|_| is_it)?;
    (!MITIGATIONS.free_checks || segment.tables().spot(granule).is_live()).then_some((segment, page))
}

/// Whether this pointer, and not the start of the block, is the one that the program was given: for a page of one block.
pub(super) fn is_valid(page: &Page, pointer: UserPtr) -> bool {
    page.face.kind() == Kind::Single && page.face.start().addr().wrapping_add(page.face.skew()) == pointer.address()
}

/// Frees the block of this pointer if it is one with a lead. False: it is none.
#[cold]
pub(super) fn free_found(pointer: UserPtr, operation: Operation) -> bool {
    let Some((segment, page)) = find(pointer) else { return false };
    if operation == Operation::Dealloc {
        refuse_layout(pointer, page, operation);
    }
    free::free_single(pointer, operation, Claim::Any, segment, page);
    true
}

/// Nothing that has a Layout is aligned at an offset: stops the process if it looks at Layouts.
pub(super) fn refuse_layout(pointer: UserPtr, page: &'static Page, operation: Operation) {
    if MITIGATIONS.layout_checks {
        let report = Report::new(report::Kind::WrongLayout, operation, pointer.address());
        report::die(&report.of_block(diagnose::facts(page)));
    }
}
