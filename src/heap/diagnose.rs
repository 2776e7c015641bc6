//! What was wrong with a pointer: worked out after the fast path has refused it, for the report.
//!
//! On weakly ordered machines a pointer may have reached this thread without a barrier, and the bit that says it is live
//! may be late. So it is looked at once more behind one, before anybody is accused.

use super::claim::Claim;
use crate::geometry::{GRANULE, Granule, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::os;
use crate::page::{Found, Kind as PageKind, Origin, Page};
use crate::remote::Owner;
use crate::report::{self, BlockFacts, Kind, Operation, Report};
use crate::segment::{self, Role, Sampled, Segment, map, space};
use core::sync::atomic::{Ordering, fence};

/// Below this, an address is that of a field of nothing.
const NULL_PAGE: usize = 64 * 1024;
/// How often the lock is tried.
const PATIENCE: usize = 10_000;

/// What a report says of a page's block.
pub(super) fn facts(page: &Page) -> BlockFacts {
    BlockFacts::new(page.face.block_size(), page.face.start().addr(), page.face.segment_number() as usize)
}

/// Adds to a report what is known of a page's block: what it is, and who allocated and freed it if that was noted.
pub(super) fn told(report: Report, page: &'static Page) -> Report {
    let sampled = segment::segment_of(page).and_then(|segment| Sampled::of(segment, page));
    report.of_block(facts(page)).with_life(sampled.map(|sampled| sampled.life()).unwrap_or_default())
}

/// Looks once more, behind a barrier, whether the pointer is a live block.
#[cold]
pub(super) fn is_live_after_all(pointer: UserPtr) -> bool {
    fence(Ordering::SeqCst);
    os::WEAKLY_ORDERED && is_live_now(pointer)
}

/// Stops the process: `pointer` is not a live block.
#[cold]
pub(super) fn die(pointer: UserPtr, operation: Operation) -> ! {
    let (kind, page) = judge(pointer);
    die_as(kind, pointer, operation, page)
}

fn die_as(kind: Kind, pointer: UserPtr, operation: Operation, page: Option<&'static Page>) -> ! {
    let kind = match (kind, operation) {
        (Kind::DoubleFree, Operation::Realloc | Operation::UsableSize) => Kind::UseAfterFree,
        (kind, _) => kind,
    };
    let report = Report::new(kind, operation, pointer.address());
    report::die(&match page {
        Some(page) => told(report, page),
        None => report,
    })
}

/// Stops the process: the block is live, but of another Layout.
#[cold]
pub(super) fn die_of_layout(
    pointer: UserPtr,
    page: &'static Page,
    operation: Operation,
    size: usize,
    align: usize,
) -> ! {
    let (kind, _) = judge(pointer);
    let report = match kind {
        // A block freed twice is that first, whatever Layout it is freed with; without state bits nobody knows that it was.
        Kind::DoubleFree if MITIGATIONS.free_checks && !is_live_now(pointer) => {
            Report::new(Kind::DoubleFree, operation, pointer.address())
        }
        _ => Report::new(Kind::WrongLayout, operation, pointer.address()).with_layout(size, align),
    };
    report::die(&told(report, page))
}

/// The block does not look as a true claim has it, or its canary was changed. Returns if all is well after all: a claim need not say
/// everything that the look was for.
#[cold]
#[inline(never)]
pub(super) fn examine(
    pointer: UserPtr,
    segment: &'static Segment,
    page: &'static Page,
    operation: Operation,
    claim: Claim,
) {
    let found = page.examine(segment.tables(), pointer.address());
    // After the look: while the block was live, nobody else may have changed it.
    fence(Ordering::SeqCst);
    if !is_live_now(pointer) || found == Found::Busy {
        die_as(Kind::DoubleFree, pointer, operation, Some(page));
    }
    judge_found(found, pointer, page, operation, claim);
}

/// The same for a page of one block that the calling thread has claimed.
#[cold]
pub(super) fn examine_claimed(
    pointer: UserPtr,
    segment: &'static Segment,
    page: &'static Page,
    operation: Operation,
    claim: Claim,
) {
    let found = page.examine(segment.tables(), pointer.address());
    if found == Found::Busy {
        die_as(Kind::DoubleFree, pointer, operation, Some(page));
    }
    judge_found(found, pointer, page, operation, claim);
}

/// Stops the process unless what was found is a whole trailer, and the claim true of it.
fn judge_found(found: Found, pointer: UserPtr, page: &'static Page, operation: Operation, claim: Claim) {
    match found {
        Found::Damaged { requested, offset } => {
            // As the program sees it, whose pointer may lie behind the block's start.
            let lead = page.face.skew();
            let address = pointer.address().wrapping_add(lead);
            let report = Report::new(Kind::BufferOverflow, operation, address)
                .overflown(requested.wrapping_sub(lead), offset.wrapping_sub(lead));
            report::die(&report.of_block(facts(page)))
        }
        Found::Whole { requested, origin } if !claim.is_true_of(page, requested, origin) => match claim {
            Claim::Operator { origin: operator, .. } if origin.clashes_with(operator) => {
                let note = match origin {
                    Origin::NEW => "allocated by new, freed by delete[]",
                    _ => "allocated by new[], freed by delete",
                };
                let report = Report::new(Kind::MismatchedDeallocation, operation, pointer.address()).with_note(note);
                report::die(&report.of_block(facts(page)))
            }
            Claim::Sized { size } | Claim::Operator { size: Some(size), .. } => {
                let report = Report::new(Kind::WrongSize, operation, pointer.address()).of_sizes(size, requested);
                report::die(&report.of_block(facts(page)))
            }
            // The block was live, or is the caller's: it was not freed before.
            Claim::Layout { size, align } => {
                let report = Report::new(Kind::WrongLayout, operation, pointer.address()).with_layout(size, align);
                report::die(&told(report, page))
            }
            Claim::Any | Claim::Operator { .. } => {
                report::internal("an empty claim is true", operation, pointer.address())
            }
        },
        Found::Whole { .. } | Found::Forgotten { .. } | Found::Busy => {}
    }
}

fn is_live_now(pointer: UserPtr) -> bool {
    map::find(pointer).is_some_and(|(segment, granule)| segment.tables().spot(granule).is_live())
}

/// What the pointer is, given that it is not a live block.
fn judge(pointer: UserPtr) -> (Kind, Option<&'static Page>) {
    let address = pointer.address();
    let Some(segment) = pointer.segment_number().and_then(map::find_number) else {
        // Foreign memory is foreign whatever the pointer's alignment.
        let wild = address < NULL_PAGE || pointer.segment_number().is_none();
        return (if wild { Kind::Wild } else { Kind::Foreign }, None);
    };
    let Some(page) = page_at(segment, pointer) else {
        return match (segment.role(), huge_around(pointer)) {
            (Role::Shared, _) => (Kind::NeverAllocated, None),
            (_, Some(Some(page))) if is_inside(pointer, page) => (Kind::InteriorPointer, Some(page)),
            (_, Some(page)) => (Kind::NeverAllocated, page),
            // A mapping of its own marks whole segments, also where it ends in the middle of one.
            (_, None) => (Kind::Foreign, None),
        };
    };
    let (start, size) = (page.face.start().addr().wrapping_add(page.face.skew()), page.face.block_size());
    let offset = address.wrapping_sub(start);
    if address < start {
        return (Kind::NeverAllocated, Some(page));
    }
    if page.face.has_voids() {
        let is_over = page.face.owner.load() == Owner::Nobody || page.spot(Granule::of(address)).is_posted();
        let kind = if is_over { Kind::DoubleFree } else { Kind::NeverAllocated };
        return (if address.is_multiple_of(GRANULE) { kind } else { Kind::Misaligned }, Some(page));
    }
    if page.face.kind() == PageKind::Single {
        return match offset {
            0 => (Kind::DoubleFree, Some(page)),
            // A block that stands alone may end within a granule, which is its own all the same.
            _ if offset >= size.next_multiple_of(GRANULE) => (Kind::NeverAllocated, Some(page)),
            _ if !address.is_multiple_of(GRANULE) => (Kind::Misaligned, Some(page)),
            _ => (Kind::InteriorPointer, Some(page)),
        };
    }
    if offset.checked_div(size).unwrap_or(0) >= page.capacity() as usize {
        return (Kind::NeverAllocated, Some(page));
    }
    if !address.is_multiple_of(GRANULE) {
        return (Kind::Misaligned, Some(page));
    }
    if offset.checked_rem(size) != Some(0) {
        return (Kind::InteriorPointer, Some(page));
    }
    if !MITIGATIONS.free_checks {
        return (Kind::DoubleFree, Some(page));
    }
    (judge_block_start(pointer, page), Some(page))
}

/// A block's start that is not live was freed, unless it was never handed out: that only the list of new blocks can tell,
/// which runs through the page's memory. A page that was given up has neither; and no page's memory is given back while the
/// lock is held. If the lock cannot be had (a signal handler may have interrupted its holder), it counts as freed.
fn judge_block_start(pointer: UserPtr, page: &Page) -> Kind {
    let Some(_locked) = (0..PATIENCE).find_map(|_| space::try_lock()) else { return Kind::DoubleFree };
    match page.face.owner.load() {
        Owner::Nobody => Kind::DoubleFree,
        _ if page.was_handed_out(pointer.address()) => Kind::DoubleFree,
        _ => Kind::NeverAllocated,
    }
}

/// The page that the pointer lies in, dead or alive, if its slice ever had one.
fn page_at(segment: &'static Segment, pointer: UserPtr) -> Option<&'static Page> {
    let granule = Granule::of(pointer.address());
    (segment.role() != Role::Covered && segment.has_page(granule)).then(|| segment.page_of(granule))
}

/// The page that the pointer lies in, dead or alive, if there ever was one: for any pointer.
pub(super) fn page_around(pointer: UserPtr) -> Option<&'static Page> {
    let segment = pointer.segment_number().and_then(map::find_number)?;
    page_at(segment, pointer).or_else(|| huge_around(pointer).flatten())
}

/// Whether the pointer lies in a huge block's mapping, guards included, and that block unless it was freed.
pub(super) fn huge_around(pointer: UserPtr) -> Option<Option<&'static Page>> {
    let number = pointer.segment_number()?;
    for earlier in (0..=number).rev() {
        let segment = map::find_number(earlier)?;
        match segment.role() {
            Role::Covered => {}
            Role::Shared => return None,
            Role::Huge => return segment.maps_huge(pointer.address()).then(|| segment.first_page()),
        }
    }
    None
}

fn is_inside(pointer: UserPtr, page: &Page) -> bool {
    let offset = pointer.address().wrapping_sub(page.face.start().addr());
    offset < page.face.block_size()
}
