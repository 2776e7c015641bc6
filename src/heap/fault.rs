//! Faults, explained: which block an address belongs to that could not be accessed, and how it relates to it.
//!
//! | the address lies | it was |
//! |---|---|
//! | round a live block with a page of its own | an overflow or underflow of that block |
//! | in what a freed block with a page of its own has left | a use after free |
//! | in a page that was emptied and given back | a use after free |
//! | anywhere else: in no segment, in a slice without a page, in what the program has protected itself | none of our business |
//!
//! [`find`] is asked in a signal handler: it only reads metadata, which is never unmapped.

use super::diagnose;
use crate::geometry::{GRANULE, Granule, SLICE, UserPtr};
use crate::os::{Access, Fault, Watch};
use crate::page::{Kind as PageKind, Page, end_guard};
use crate::remote::Owner;
use crate::report::{self, Kind, Operation, Place, Report};
use crate::segment::{Role, map};
use core::ptr;

static WATCH: Watch = Watch { is_ours: |address| find(address).is_some(), explain };

/// For the handler.
pub(super) fn watch() -> &'static Watch {
    &WATCH
}

/// What a fault is.
#[derive(Clone, Copy)]
struct Finding {
    kind: Kind,
    /// The page and the place seen from its block, if the description still tells.
    block: Option<(&'static Page, Place)>,
}

/// What an access to `address` was that has faulted. None: it has nothing to do with a block of ours.
fn find(address: usize) -> Option<Finding> {
    let pointer = UserPtr::new(ptr::without_provenance_mut(address));
    let segment = pointer.segment_number().and_then(map::find_number)?;
    let granule = Granule::of(address);
    if segment.role() == Role::Shared {
        return segment.has_page(granule).then(|| segment.page_of(granule)).and_then(|page| find_in(page, address));
    }
    match diagnose::huge_around(pointer)? {
        Some(page) => find_in(page, address),
        None => Some(Finding { kind: Kind::UseAfterFree, block: None }),
    }
}

/// The same for an address in the slices or the mapping of a page.
fn find_in(page: &'static Page, address: usize) -> Option<Finding> {
    let (mut start, size) = (page.face.start().addr(), page.face.block_size());
    let owner = page.face.owner.load();
    let kind = match (page.face.kind(), owner) {
        (PageKind::Single, Owner::Single) => match Place::of(address, start, size) {
            Place::Before(_) => Kind::BufferUnderflow,
            Place::Behind(_) => Kind::BufferOverflow,
            Place::Inside(_) => return None,
        },
        (PageKind::Single, _) | (PageKind::Blocks(_), Owner::Nobody) => Kind::UseAfterFree,
        // The guard at the page's end, which is the last block's.
        (PageKind::Blocks(_), _) if end_guard() != 0 && is_at_end(page, address) => Kind::BufferOverflow,
        (PageKind::Blocks(_), _) => return None,
        (PageKind::Voids, _) if page.spot(Granule::of(address)).is_live() => Kind::BufferOverflow,
        (PageKind::Voids, _) => Kind::UseAfterFree,
    };
    if page.face.has_voids() {
        start = address & !GRANULE.wrapping_sub(1);
    }
    if let PageKind::Blocks(_) = page.face.kind() {
        let last = room(page).wrapping_sub(size);
        let offset = address.wrapping_sub(start).min(last);
        start = start.wrapping_add(offset.wrapping_sub(offset.checked_rem(size).unwrap_or(0)));
    }
    Some(Finding { kind, block: Some((page, Place::of(address, start, size))) })
}

/// Bytes that a page of blocks has for whole blocks.
fn room(page: &Page) -> usize {
    let bytes = page.face.slices().wrapping_mul(SLICE).wrapping_sub(end_guard());
    bytes.wrapping_sub(bytes.checked_rem(page.face.block_size()).unwrap_or(0))
}

/// Whether the address lies in the guard at the end of a page of blocks.
fn is_at_end(page: &Page, address: usize) -> bool {
    let end = page.face.slices().wrapping_mul(SLICE);
    let offset = address.wrapping_sub(page.face.start().addr());
    offset < end && offset >= end.wrapping_sub(end_guard())
}

/// Stops the process: called in the place of the access.
fn explain(fault: Fault) -> ! {
    let operation = match fault.access {
        Access::Read => Operation::Read,
        Access::Write => Operation::Write,
        Access::Unknown => Operation::Access,
    };
    // Another thread may have used the slices again meanwhile; that it was no live block's memory is still true.
    let finding = find(fault.address).unwrap_or(Finding { kind: Kind::UseAfterFree, block: None });
    let report = Report::new(finding.kind, operation, fault.address);
    report::die(&match finding.block {
        Some((page, place)) => diagnose::told(report.with_place(place), page),
        None => report,
    })
}
