//! Large and huge blocks: a page of one block, with an inaccessible OS page on both sides.
//!
//! ```text
//!  slices of a shared segment (up to 16 MiB)              a mapping of its own (above, or for wide alignment)
//! |X|<- size, in OS pages ->|XXXX|                       |X|<- size ->|X|   starts at a segment's border,
//!  ^ front: a guard, as wide as the alignment                               and marks every segment it covers
//! ```
//!
//! A block may have more OS pages than it was asked for with ([`is_exact`] says where not): what it has room for is its size, and
//! what it was asked for with is what a Layout is held against.
//!
//! Nobody owns such a page. Whoever frees the block claims it with one compare-and-swap of the owner word, so the loser of
//! a race is a double free; the range becomes inaccessible then and there (with `free-checks`), and waits in the
//! [`super::quarantine`] for its next block.

use super::broad;
use super::budget;
use super::ranges::{Access, Range, State};
use super::space::{self, Locked, Run, lock};
use super::{Role, Sampled, Segment, Singles, huge, peak, purge, quarantine};
use crate::geometry::{Granule, LARGE_MAX, SEGMENT, SLICE, SLICES};
use crate::mitigations::MITIGATIONS;
use crate::os::{self, Errno, Span};
use crate::page::{Contents, Extent, Page, Room, least_of_single};
use crate::remote::{All, NotLive, Owner};
use crate::sync::AcqRel;
use core::ptr::NonNull;

/// Measures of a page of one block, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SingleShape {
    /// From the start of the run or mapping to the block.
    pub(super) front: usize,
    /// What the block has room for: whole OS pages.
    pub(crate) size: usize,
    /// What it was asked for with, in whole OS pages.
    pub(crate) asked: usize,
    /// The whole, with the guard behind.
    pub(super) total: usize,
    /// How the start of the run or mapping is aligned.
    pub(super) align: usize,
}

/// A block with more bytes than this has its guard close in every build that checks. What else it had would come to much memory, which
/// the kernel takes back and gives again in huge pages.
const MOST_LOOSE: usize = 4 << 20;

/// Whether a block of `size` bytes has no more OS pages than its request needs. Canaries fill what else it has.
pub(super) const fn is_exact(size: usize) -> bool {
    MITIGATIONS.canaries || (MITIGATIONS.free_checks && size > MOST_LOOSE)
}

/// What a block's size is a multiple of besides OS pages: the guard stands behind an eighth more than was asked for at most. Then
/// ranges need not be changed to serve blocks of other sizes.
fn step_of(size: usize) -> usize {
    match is_exact(size) {
        true => 1,
        false => size.checked_next_power_of_two().unwrap_or(1) / 16,
    }
}

/// A block that was just made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Single {
    pub(crate) start: NonNull<u8>,
    /// What it has room for, in bytes: as much as was asked for, or more.
    pub(crate) size: usize,
    pub(crate) contents: Contents,
}

impl SingleShape {
    /// For `size` bytes aligned to `align`, a power of two; none if that is more than an address space can hold.
    pub(crate) fn of(size: usize, align: usize) -> Option<SingleShape> {
        let page = os::page_size();
        let most = isize::MAX as usize;
        if size > most || align > most {
            return None;
        }
        let asked = size.max(1).checked_next_multiple_of(page)?;
        let size = asked.checked_next_multiple_of(step_of(asked).max(page))?;
        let front = align.max(broad::front(size).unwrap_or(page));
        let total = front.checked_add(size)?.checked_add(page)?;
        if total > most {
            return None;
        }
        Some(SingleShape { front, size, asked, total, align: align.max(SEGMENT) })
    }

    /// What of a distance behind a block's start a shape can have before it, and the rest: less than a slice, so that the slice of
    /// the start is that of the pointer or the one behind it.
    pub(crate) const fn parts_of(distance: usize) -> (usize, usize) {
        let rest = distance & SLICE.wrapping_sub(1);
        (distance.wrapping_sub(rest), rest)
    }

    /// The same with the block so much further behind the start, whole slices; none if that is too much.
    pub(crate) fn beyond(self, distance: usize) -> Option<SingleShape> {
        let (front, total) = (self.front.checked_add(distance)?, self.total.checked_add(distance)?);
        (total <= isize::MAX as usize).then_some(SingleShape { front, total, ..self })
    }

    /// Whether it shares a segment with others.
    pub(super) fn is_shared(&self) -> bool {
        self.front <= SLICE && self.size <= LARGE_MAX
    }

    /// The smallest size that a Layout aligned to a granule can have for this block; none if that says too little.
    pub(super) fn least(&self) -> Option<usize> {
        let least = least_of_single(self.asked);
        (least > crate::geometry::MEDIUM_MAX && self.front <= SLICE).then_some(least)
    }

    /// The size of a block of this shape.
    fn room(&self) -> Room {
        Room { size: self.size, asked: self.asked, least: self.least() }
    }
}

/// Makes a page with one block, which may have about `room` bytes later, for a heap's list if it has a heap.
pub(crate) fn allocate(shape: &SingleShape, room: usize, list: Option<&'static Singles>) -> Result<Single, Errno> {
    let locked = lock();
    if let Some(range) = quarantine::reuse(shape, Singles::home_of(list), &locked) {
        if let Some(page) = range.page() {
            page.face.take_in_hand();
            Singles::link(list, page, &locked);
        }
        let size = range.page().map_or(shape.size, |page| fitted_shape(shape, page.face.block_size()).size);
        let contents = range.segment.recommit(&range, size, &locked);
        drop(locked);
        match revive(&range, shape, contents) {
            Ok(single) => {
                peak::look_if_due();
                return Ok(single);
            }
            Err(_) => give_back(&range, &lock()),
        }
    } else {
        drop(locked);
    }
    let single = allocate_anew(shape, room, list, &lock());
    peak::look_if_due();
    single
}

/// A range that could not be made a block.
#[cold]
fn give_back(range: &Range, locked: &Locked) {
    if let Some(page) = range.page() {
        Singles::unlink(page, locked);
        page.face.put_down();
    }
    quarantine::take_apart(range, locked);
}

fn allocate_anew(
    shape: &SingleShape,
    room: usize,
    list: Option<&'static Singles>,
    locked: &Locked,
) -> Result<Single, Errno> {
    quarantine::make_way(shape.size, locked);
    let make = || match shape.is_shared() {
        true => allocate_shared(shape, room, list, locked),
        false if Singles::home_of(list).is_anywhere() => huge::allocate(shape, list, locked),
        // An arena has no room for a mapping of its own.
        false => Err(Errno::NOMEM),
    };
    make().or_else(|error| if quarantine::clear_shelf(locked) { make() } else { Err(error) })
}

/// Slices for a run: so many that runs of about this size have the same length, and can serve one another's blocks.
fn slices(shape: &SingleShape, room: usize) -> usize {
    let total = shape.total.wrapping_add(room.saturating_sub(shape.size).min(LARGE_MAX));
    let least = total.div_ceil(SLICE);
    let step = (least.next_power_of_two() / 8).max(1);
    least.next_multiple_of(step).min(SLICES.wrapping_sub(2)).max(least)
}

fn allocate_shared(
    shape: &SingleShape,
    room: usize,
    list: Option<&'static Singles>,
    locked: &Locked,
) -> Result<Single, Errno> {
    let open = |run: &Run| run.segment.open_part(run.first, run.count, shape.front, shape.size, locked);
    let run = space::take(Singles::home_of(list), slices(shape, room), open, locked)?;
    let segment = run.segment;
    let span = segment.span(run.first, run.count).ok_or(Errno::NOMEM)?;
    let block = span.part(shape.front, shape.size).ok_or(Errno::NOMEM)?;
    segment.set_heads(run.first, run.count);
    let page = bear(segment, run.first, run.count, shape, block.start())?;
    page.face.set_filled(0);
    Singles::link(list, page, locked);
    Ok(Single { start: block.start(), size: block.len(), contents: segment.wiped(page, block, run.contents) })
}

/// The shape that a block for `shape` has where one of `old` bytes is, or was: the guard of a larger one stays where it is, if it may.
/// To move it costs what lies beyond its memory, and the next block there a fault for each OS page.
fn fitted_shape(shape: &SingleShape, old: usize) -> SingleShape {
    let larger = shape.size.max(old);
    let size = if is_exact(larger) { shape.size } else { larger };
    SingleShape { size, ..*shape }
}

/// Makes a block of a range that was taken from the shelf. Without the lock: nobody else knows of the range.
fn revive(range: &Range, shape: &SingleShape, contents: Contents) -> Result<Single, Errno> {
    let Range { segment, first, count, .. } = *range;
    let page = range.page().ok_or(Errno::NOMEM)?;
    let shape = &fitted_shape(shape, page.face.block_size());
    segment.refit(page, shape.size, range.access)?;
    let start = NonNull::new(page.face.start()).ok_or(Errno::NOMEM)?;
    bear(segment, first, count, shape, start)?;
    page.face.put_down();
    // SAFETY: the block that was just made.
    let block = unsafe { Span::new(start, shape.size) };
    Ok(Single { start, size: shape.size, contents: segment.wiped(page, block, contents) })
}

pub(super) fn bear(
    segment: &'static Segment,
    first: usize,
    slices: usize,
    shape: &SingleShape,
    start: NonNull<u8>,
) -> Result<&'static Page, Errno> {
    let page = segment.page_at(first).ok_or(Errno::NOMEM)?;
    let extent = Extent { first_slice: first, slices, segment_number: segment.number(), start };
    page.bear_single(&segment.tables, &shape.room(), &extent);
    set_live(segment, start);
    Ok(page)
}

/// The block is live from now on.
pub(super) fn set_live(segment: &'static Segment, start: NonNull<u8>) {
    if MITIGATIONS.free_checks {
        let spot = segment.tables.spot(Granule::of(start.addr().get()));
        spot.state.fetch_or(spot.mask(), AcqRel);
    }
}

/// A claimed page is given up, and its memory with it.
pub(crate) fn retire(segment: &'static Segment, page: &'static Page) {
    // Without the lock: who has claimed the page has it alone. But who verifies canaries looks at it under the lock.
    let locked = MITIGATIONS.canaries.then(lock);
    let range = hide(segment, page);
    give_up(page, range, &locked.unwrap_or_else(lock));
    purge::tick();
}

/// The same, as far as it comes before it takes the lock.
#[cfg(test)]
pub(crate) fn retire_half(segment: &'static Segment, page: &'static Page) {
    let _ = hide(segment, page);
}

/// The block is not live from now on, and the page the caller's to give up.
///
/// # Errors
/// [`NotLive`] if another thread was faster: a double free.
pub(crate) fn claim(segment: &'static Segment, page: &'static Page) -> Result<(), NotLive> {
    // Before, for a fork may come at once; who loses the race, and has written over the winner's hand, dies.
    page.face.take_in_hand();
    page.face.owner.claim_single::<All>()?;
    set_dead(segment, page);
    Ok(())
}

fn set_dead(segment: &'static Segment, page: &'static Page) {
    if MITIGATIONS.free_checks {
        let spot = segment.tables.spot(Granule::of(page.face.start().addr()));
        spot.state.fetch_and(!spot.mask(), AcqRel);
    }
}

/// Makes a claimed page inaccessible, if this build promises that and it is within the budget. Bare: that is still to be done.
pub(super) fn hide(segment: &'static Segment, page: &'static Page) -> Range {
    let range = |state, access| Range::of(segment, page, state, access);
    // What stands alone never waits with the others.
    if page.face.is_sampled() || !segment.can_keep(page) {
        return range(State::Bare, Access::Open);
    }
    if !MITIGATIONS.free_checks || !budget::may_close(page.face.block_size()) {
        return range(State::Recent, Access::Open);
    }
    match segment.close_body(page) {
        true => range(State::Recent, Access::Closed),
        false => range(State::Bare, Access::Open),
    }
}

/// A claimed page leaves its heap's list and waits from now on, inaccessible if this build promises that.
pub(super) fn give_up(page: &'static Page, mut range: Range, locked: &Locked) {
    let segment = range.segment;
    Singles::unlink(page, locked);
    page.face.put_down();
    if let Some(sampled) = Sampled::of(segment, page) {
        return sampled.put_away(locked);
    }
    match (range.state, segment.role()) {
        (State::Bare, Role::Huge) => {
            // The kernel refuses to close it. Without its memory it shows nothing, at least.
            segment.empty(&range, locked);
            range.state = State::Empty;
        }
        (State::Bare, _) => segment.take_apart(range.first, range.count, locked),
        _ => {}
    }
    quarantine::enter(range, locked);
    purge::schedule_ranges(locked);
}

/// In the child of a fork: a thread that is not in this process was making or ending blocks, without the lock, and nobody here
/// knows of them. They come to an end.
pub(crate) fn end_orphans() {
    let locked = lock();
    for segment in space::segments() {
        for page in segment.pages.iter().filter(|page| page.face.is_in_anothers_hand()) {
            let _ = page.face.owner.claim_single::<All>(); // it may have been claimed
            set_dead(segment, page);
            let range = Range::of(segment, page, State::Bare, Access::Open);
            // Open or closed, or only in part: whoever was changing that has not said how far it came.
            match segment.role() {
                Role::Huge => give_back(&range, &locked),
                _ => give_up(page, range, &locked),
            }
        }
    }
}

/// Changes the size of a live block where it stands. False: it cannot be, and is as it was.
pub(crate) fn resize(segment: &'static Segment, page: &'static Page, shape: &SingleShape) -> bool {
    let old = page.face.block_size();
    let is_aligned = page.face.start().addr() & shape.front.wrapping_sub(1) == 0;
    if !is_aligned || shape.size > segment.room(page) || !segment.can_resize(page) {
        return false;
    }
    let locked = lock();
    // Another thread may have freed the block meanwhile, and its description may serve another.
    if page.face.owner.load() != Owner::Single || page.face.block_size() != old {
        return false;
    }
    // More than a quarter is given back.
    let kept = if old.wrapping_sub(old / 4) <= shape.size { old } else { 0 };
    let shape = &fitted_shape(shape, kept);
    if segment.refit(page, shape.size, Access::Open).is_err() {
        segment.stay(page, shape.size);
        return false;
    }
    segment.recommit_huge(shape.size, &locked);
    page.face.set_single_size(&shape.room());
    drop(locked);
    peak::look_if_due();
    true
}

impl Segment {
    /// What a new block holds, when it has been seen to that it holds nothing if this build promises so.
    fn wiped(&self, page: &Page, block: Span, contents: Contents) -> Contents {
        if !MITIGATIONS.zero_on_free || contents == Contents::Zero {
            return contents;
        }
        self.wipe_block(page, block);
        Contents::Zero
    }

    /// A range becomes a block of `size` bytes: its memory counts again. Says what it holds.
    fn recommit(&self, range: &Range, size: usize, locked: &Locked) -> Contents {
        let is_empty = match self.role() {
            Role::Huge => !self.holds_memory(),
            _ => self.zero.has_all(range.first, range.count),
        };
        match self.role() {
            Role::Huge => self.recommit_huge(size, locked),
            _ => self.commit(range.first, range.count, locked),
        }
        if is_empty { Contents::Zero } else { Contents::Unknown }
    }
}
