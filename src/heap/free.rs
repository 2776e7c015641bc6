//! free.

use super::claim::{Claim, Form};
use super::thread::Thread;
use super::{abandon, diagnose, sample, skew};
use crate::geometry::{Class, GRANULE, Granule, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::os::valgrind::{self, quiet};
use crate::os::{self, Caller};
use crate::page::{Kind, Origin, Page, padded};
use crate::remote::{All, NotLive, Out, Owned, Posted, post};
use crate::report::{self, Operation};
use crate::segment::{self, Sampled, Segment, SingleShape, map};
use core::ptr;
use core::sync::atomic::{Ordering, fence};

/// Whether a free of the owner's wants to know the block's size.
const WANTS_ROOM: bool = MITIGATIONS.canaries || MITIGATIONS.zero_on_free || MITIGATIONS.quarantine;

/// Frees the block that `pointer` points to; null is ignored. Anything but a live block stops the process.
#[inline(always)]
pub(crate) fn free(pointer: UserPtr) {
    free_checked(pointer, Operation::Free, Claim::Any);
}

/// The same for one of C++'s operators: with `canaries` the size must be the one that was requested, if it is given, and with
/// `origin-checks` the block must not come from the other kind of operator.
#[inline(always)]
pub(crate) fn free_by_operator(pointer: UserPtr, origin: Origin, size: Option<usize>) {
    free_checked(pointer, Operation::Free, Claim::Operator { origin, size });
}

/// The same, and with `canaries` the size must be the one that was requested.
#[inline(always)]
pub(crate) fn free_sized(pointer: UserPtr, size: usize) {
    free_checked(pointer, Operation::Free, Claim::Sized { size });
}

/// The same for C23's `free_aligned_sized`: size and alignment are a Layout's.
#[inline]
pub(crate) fn free_aligned_sized(pointer: UserPtr, size: usize, align: usize) {
    free_checked(pointer, Operation::Free, Claim::Layout { size, align });
}

/// The same, and the process is stopped as well if a block for `size` bytes aligned to `align` would not have been of this
/// block's class; with `canaries`, if it was not asked for with just these.
#[inline(always)]
pub(crate) fn free_with_layout(pointer: UserPtr, size: usize, align: usize) {
    free_checked(pointer, Operation::Dealloc, Claim::Layout { size, align });
}

#[inline(always)]
pub(super) fn free_checked(pointer: UserPtr, operation: Operation, claim: Claim) {
    valgrind::block_ends(pointer.address());
    let _quiet = quiet();
    let Some((segment, granule)) = map::find(pointer) else { return refuse_claimed(pointer, operation, claim) };
    // Only a set state bit says that the slice has a page: nothing else of it may be believed before.
    let Ok(out) = segment.tables().spot(granule).look() else { return refuse_claimed(pointer, operation, claim) };
    let page = segment.page_of(granule);
    // A Layout is compared with what lies elsewhere. A trailer lies in the block, and another thread that frees a large one might be
    // closing its memory: so that is looked at by who has claimed it.
    if !MITIGATIONS.canaries {
        claim.check(pointer, segment, page, operation);
    }
    let thread = Thread::current();
    let Some(owned) = page.owned_by(thread.map_or(ptr::null_mut(), Thread::me)) else {
        return if MITIGATIONS.canaries && !claim.is_plain_elsewhere(pointer, segment, page) {
            let (form, size, align) = claim.parts();
            free_foreign(pointer, operation, form, size, align)
        } else {
            free_remotely(pointer, operation, segment, page)
        };
    };
    // Read once: whoever reads it again does not know that the block is still no longer than that.
    let room = if WANTS_ROOM { page.face.block_size() } else { 0 };
    if MITIGATIONS.canaries && !claim.is_plain(segment, page, page.own_block(pointer.address(), &owned), room) {
        let (form, size, align) = claim.parts();
        return free_doubtful(pointer, operation, form, size, align);
    }
    let own = Own { segment, page, thread, owned };
    take_back(pointer, operation, own, &out, room);
}

/// The page of a block, and the calling thread, whose it is.
struct Own {
    segment: &'static Segment,
    page: &'static Page,
    thread: Option<&'static Thread>,
    owned: Owned,
}

/// The owner's free of a block of which everything else was checked.
#[inline(always)]
fn take_back(pointer: UserPtr, operation: Operation, own: Own, out: &Out<'_>, room: usize) {
    let Own { segment, page, thread, owned } = own;
    let tables = segment.tables();
    if page.take_back(tables, pointer.address(), room, out, &owned).is_err() {
        return refuse(pointer, operation);
    }
    if MITIGATIONS.quarantine {
        page.enter_quarantine(&owned);
        if let Some(thread) = thread {
            thread.detain(page, pointer.address(), room);
        }
    } else if page.push(pointer.address(), &owned) {
        attend(page, owned);
    }
}

/// The owner's free of a block of which not everything is plain.
#[cold]
#[inline(never)]
fn free_doubtful(pointer: UserPtr, operation: Operation, form: Form, size: usize, align: usize) {
    let Some((segment, granule)) = map::find(pointer) else { return refuse_as(pointer, operation, form, size, align) };
    let page = segment.page_of(granule);
    Claim::of_parts(form, size, align).check(pointer, segment, page, operation);
    let Ok(out) = segment.tables().spot(granule).look() else { return refuse(pointer, operation) };
    let thread = Thread::current();
    match page.owned_by(thread.map_or(ptr::null_mut(), Thread::me)) {
        Some(owned) => {
            let own = Own { segment, page, thread, owned };
            take_back(pointer, operation, own, &out, page.face.block_size());
        }
        None => free_remotely(pointer, operation, segment, page),
    }
}

/// With canaries: the block lies in a page of another thread, or of none, and not everything is plain.
#[inline(never)]
fn free_foreign(pointer: UserPtr, operation: Operation, form: Form, size: usize, align: usize) {
    let Some((segment, granule)) = map::find(pointer) else { return refuse_as(pointer, operation, form, size, align) };
    let (page, claim) = (segment.page_of(granule), Claim::of_parts(form, size, align));
    if !page.face.has_a_class() {
        return free_single(pointer, operation, claim, segment, page);
    }
    claim.check(pointer, segment, page, operation);
    free_remotely(pointer, operation, segment, page);
}

/// The slow way of the owner's free.
#[cold]
#[inline(never)]
fn attend(page: &'static Page, owned: Owned) {
    preserving_errno(|| {
        if let Some(thread) = Thread::current() {
            thread.heap_of(page).attend(page, owned);
        }
    });
}

/// The block lies in a page of another thread, or of none.
#[inline(never)]
fn free_remotely(pointer: UserPtr, operation: Operation, segment: &'static Segment, page: &'static Page) {
    if !MITIGATIONS.canaries && !page.face.has_a_class() {
        return free_single(pointer, operation, Claim::Any, segment, page);
    }
    let granule = Granule::of(pointer.address());
    if MITIGATIONS.zero_on_free || MITIGATIONS.canaries {
        if segment.tables().spot(granule).is_posted() {
            return refuse(pointer, operation);
        }
        // Before it is posted: from then on the block is its owner's.
        let block = page.face.block(pointer.address());
        if MITIGATIONS.canaries {
            page.clear_slack(segment.tables(), block);
            fence(Ordering::Release);
        }
        if MITIGATIONS.zero_on_free {
            page.wipe(block);
        }
    }
    match post::<All>(&segment.tables().spot(granule), page.group(granule), &page.line()) {
        Ok(Posted::Delivered) => {}
        Ok(Posted::Abandoned) => preserving_errno(|| abandon::reclaim(page)),
        Err(NotLive) => refuse(pointer, operation),
    }
}

/// A block of no bytes.
fn free_void(pointer: UserPtr, operation: Operation, page: &'static Page) {
    if let Err(NotLive) = preserving_errno(|| segment::free_void(page, pointer.address())) {
        diagnose::die(pointer, operation);
    }
}

/// A large or huge block: its page belongs to whoever frees it. Or one of no bytes, whose page is nobody's either.
#[cold]
#[inline(never)]
pub(super) fn free_single(
    pointer: UserPtr,
    operation: Operation,
    claim: Claim,
    segment: &'static Segment,
    page: &'static Page,
) {
    report::die_if_dying();
    if page.face.has_voids() {
        claim.check(pointer, segment, page, operation);
        return free_void(pointer, operation, page);
    }
    let caller = Caller::here();
    if !skew::is_valid(page, pointer) {
        diagnose::die(pointer, operation);
    }
    preserving_errno(|| {
        // Whoever comes too late for the claim is never mistaken: no second look.
        if let Err(NotLive) = segment::claim_single(segment, page) {
            diagnose::die(pointer, operation);
        }
        if MITIGATIONS.canaries {
            claim.check_claimed(segment, page, operation);
        }
        if let Some(sampled) = Sampled::of(segment, page) {
            sample::part_from(pointer, operation, &sampled, &caller);
        }
        segment::retire_single(segment, page);
    });
}

/// errno stays as it was, whatever the system calls of a slow path do to it.
pub(super) fn preserving_errno<T>(work: impl FnOnce() -> T) -> T {
    let errno = os::errno();
    let done = work();
    os::set_errno(errno);
    done
}

/// Refuses a pointer of which everything else that was said is known to be true.
fn refuse(pointer: UserPtr, operation: Operation) {
    refuse_claimed(pointer, operation, Claim::Any);
}

#[inline(always)]
fn refuse_claimed(pointer: UserPtr, operation: Operation, claim: Claim) {
    let (form, size, align) = claim.parts();
    refuse_as(pointer, operation, form, size, align);
}

/// Null is freed in vain; any other pointer that is not a live block stops the process.
#[cold]
#[inline(never)]
fn refuse_as(pointer: UserPtr, operation: Operation, form: Form, size: usize, align: usize) {
    if pointer.address() == 0 {
        return;
    }
    if skew::free_found(pointer, operation) {
        return;
    }
    if diagnose::is_live_after_all(pointer) {
        return free_checked(pointer, operation, Claim::of_parts(form, size, align));
    }
    diagnose::die(pointer, operation)
}

/// Whether a request of `size` bytes aligned to `align` would have got a block like this page's.
#[cold]
pub(super) fn is_of_layout(page: &Page, size: usize, align: usize) -> bool {
    if page.face.is_sampled() {
        return size == page.face.block_size() && align.max(GRANULE) == page.face.sampled_align();
    }
    if page.face.has_voids() {
        return size == 0;
    }
    let padded = padded(size);
    match (page.face.kind(), Class::of_aligned(padded, align)) {
        (Kind::Blocks(class), Some(wanted)) => class == wanted,
        (Kind::Single, None) => SingleShape::of(padded, align).is_some_and(|shape| shape.asked == page.face.asked()),
        _ => false,
    }
}
