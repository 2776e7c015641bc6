//! What becomes of a freed large range: it waits, inaccessible; then it stands on the shelf for the next block of its size.
//!
//! ```text
//!             closed                 drawn at random               opened
//!   live ---------------> waiting -----------------> on the shelf ---------> live again
//!     \                   (bounded)                   ^     |
//!      \------------------------ fast ----------------/     | two delays, or too many
//!                        (left open)                        v
//!                                                    taken apart: free slices, or unmapped
//! ```
//!
//! What is dear about a large block is made once: the slices are drawn, the guards are put on, the kernel's memory is
//! faulted in. A range keeps all that, so that a free is one change of protection and the next block of about its size
//! another, both of one map, and none of it under the lock. Its memory goes when the purge has come by twice.
//!
//! Where large blocks come and go faster than the [budget](super::budget) has it, some are left open while they wait, until the
//! next purge comes by. Without `free-checks` nothing is promised of a freed block: its range is not closed, and is on the shelf at
//! once.

use super::Role;
use super::area::Home;
use super::ranges::{Range, Ranges, State};
use super::single::{SingleShape, is_exact};
use super::space::{self, Locked, Run, dice};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::page::Contents;

/// Ranges that can wait: the option's upper bound.
pub(crate) const PLACES: usize = 256;
/// Ranges that fit on the shelf.
const SHELVES: usize = 64;
/// Memory that may lie on the shelf in any case, in bytes; more only as long as all requests are served from there.
const SPARE: usize = 32 << 20;
/// A range serves blocks of up to so many times the size of its last one, and down to as small a part of it.
const ALIKE: usize = 2;
/// The same where it is not fitted to each: a range once large would else find no block any more.
const ALIKE_UNFITTED: usize = 4;
/// Bytes of memory that are given back before the lock is let go for a moment.
const BATCH: usize = 4 << 20;
/// A freed range with more bytes than this gives its memory back at once.
const MOST_KEPT: usize = 32 << 20;

static WAITING: Ranges<PLACES> = Ranges::new();
static SHELF: Ranges<SHELVES> = Ranges::new();

/// Bytes of address space that wait.
pub(crate) fn bytes() -> usize {
    WAITING.bytes()
}

/// The range of a freed block waits from now on; others may leave for it.
pub(super) fn enter(mut range: Range, locked: &Locked) {
    if range.charge > MOST_KEPT && range.holds_memory() {
        range.segment.empty(&range, locked);
        range.state = State::Empty;
        range.close();
    }
    let (most_bytes, most) =
        (options::bytes(Setting::QuarantineBytes), options::bytes(Setting::QuarantineCount).min(PLACES));
    if !MITIGATIONS.free_checks || most_bytes == 0 || most == 0 {
        put_up(&range, locked);
        return;
    }
    // One that is larger than all that may wait waits alone.
    range.charge = range.charge.min(most_bytes);
    while WAITING.len() >= most || WAITING.bytes().wrapping_add(range.charge) > most_bytes {
        release_one(locked);
    }
    WAITING.add(&range, locked);
}

/// One range, drawn at random, has waited long enough.
fn release_one(locked: &Locked) {
    if let Some(range) = WAITING.take(dice().below(WAITING.len() as u32) as usize, locked) {
        put_up(&range, locked);
    }
}

/// The range can be handed out from now on.
fn put_up(range: &Range, locked: &Locked) {
    if range.state == State::Bare {
        return take_apart(range, locked);
    }
    if SHELF.len() == SHELVES {
        take_down(dice().below(SHELVES as u32) as usize, locked);
    }
    SHELF.add(range, locked);
}

/// A range leaves the shelf for good.
fn take_down(index: usize, locked: &Locked) {
    if let Some(range) = SHELF.take(index, locked) {
        take_apart(&range, locked);
    }
}

/// The range is none any more.
pub(super) fn take_apart(range: &Range, locked: &Locked) {
    match range.segment.role() {
        Role::Huge => range.segment.unmap_huge(locked),
        _ => {
            let Range { segment, first, count, .. } = *range;
            if range.state != State::Bare {
                segment.take_apart(first, count, locked);
            }
            space::give(&Run { segment, first, count, contents: Contents::Unknown }, locked);
        }
    }
}

/// Takes the range from the shelf whose last block was nearest to this shape, if any can become such a block for who lives there.
pub(super) fn reuse(shape: &SingleShape, home: Home, locked: &Locked) -> Option<Range> {
    let alike = if is_exact(shape.size) { ALIKE } else { ALIKE_UNFITTED };
    let distance = |range: &Range| {
        let page = range.page()?;
        let old = page.face.block_size();
        let is_alike = old / alike <= shape.size && shape.size / alike <= old;
        let fits = is_alike
            && range.segment.is_at(home)
            && shape.size <= range.segment.room(page)
            && shape.front.is_power_of_two()
            && page.face.start().addr() & shape.front.wrapping_sub(1) == 0;
        fits.then_some(old.abs_diff(shape.size))
    };
    // The newest first: its memory is the warmest.
    let mut best: Option<(usize, usize)> = None;
    for (index, range) in SHELF.newest_first() {
        if let Some(distance) = distance(&range)
            && best.is_none_or(|(least, _)| distance < least)
        {
            best = Some((distance, index));
            if distance == 0 {
                break;
            }
        }
    }
    SHELF.take(best?.1, locked)
}

/// New memory for `size` bytes is about to be used: what lies unused beyond the spare goes for it, so that the sum does not grow.
pub(super) fn make_way(size: usize, locked: &Locked) {
    let mut gone = 0_usize;
    while SHELF.bytes() > SPARE && gone < size {
        let before = SHELF.bytes();
        take_down(dice().below(SHELF.len() as u32) as usize, locked);
        gone = gone.wrapping_add(before.wrapping_sub(SHELF.bytes()));
    }
}

/// All leave, and the shelf is cleared.
pub(super) fn empty(locked: &Locked) {
    while WAITING.len() != 0 {
        release_one(locked);
    }
    clear_shelf(locked);
}

/// Nothing is on the shelf any more. True: something was.
pub(super) fn clear_shelf(locked: &Locked) -> bool {
    let was_full = SHELF.len() != 0;
    while SHELF.len() != 0 {
        take_down(0, locked);
    }
    was_full
}

/// What has aged loses its memory, about a batch of it. True: all of it has.
pub(super) fn drop_aged(locked: &Locked) -> bool {
    let mut dropped = 0_usize;
    while let Some((index, mut range)) = WAITING.iter().find(|(_, range)| range.state == State::Aged) {
        if dropped >= BATCH {
            return false;
        }
        range.segment.empty(&range, locked);
        range.state = State::Empty;
        WAITING.set(index, &range, locked);
        dropped = dropped.wrapping_add(range.charge);
    }
    while let Some((index, range)) = SHELF.iter().find(|(_, range)| range.state != State::Recent) {
        if dropped >= BATCH {
            return false;
        }
        take_down(index, locked);
        dropped = dropped.wrapping_add(range.charge);
    }
    true
}

/// What is here now has aged when the next purge comes by: it rests, so closing it pays. False: nothing is here.
pub(super) fn grow_old(locked: &Locked) -> bool {
    let mut is_left = false;
    for (index, mut range) in WAITING.iter().filter(|(_, range)| range.state == State::Recent) {
        range.state = State::Aged;
        range.close();
        WAITING.set(index, &range, locked);
        is_left = true;
    }
    for (index, mut range) in SHELF.iter() {
        range.state = State::Aged;
        range.close();
        SHELF.set(index, &range, locked);
        is_left = true;
    }
    is_left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_bounded_by_the_places_that_there_are() {
        assert_eq!(usize::try_from(Setting::QuarantineCount.row().max), Ok(PLACES));
    }
}
