//! Ranges of freed large blocks, and a fixed number of places for them.
//!
//! A range keeps what was made for its block: its slices or its mapping, its guards, its page's description. What it
//! may lose with time is its memory.

use super::space::Locked;
use super::{Role, Segment};
use crate::geometry::SLICE;
use crate::mitigations::MITIGATIONS;
use crate::page::Page;
use crate::sync::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Relaxed};
use core::ptr;

/// What a range still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Its guards and its memory.
    Recent,
    /// The same, and a purge has come by already.
    Aged,
    /// Its guards: its memory was taken back, and reads as zero.
    Empty,
    /// Nothing but slices, which are free but for their waiting.
    Bare,
}

/// Whether the memory of a large block can be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Access {
    /// It is live, or this build promises nothing of a freed block, or closing it was not within the [budget](super::budget).
    Open,
    /// Its protection says no.
    Closed,
}

/// The range of a freed large block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) segment: &'static Segment,
    pub(super) first: usize,
    pub(super) count: usize,
    /// Bytes that it counts for where bytes are bounded.
    pub(super) charge: usize,
    pub(super) state: State,
    pub(super) access: Access,
}

impl Range {
    /// The range of this page of one block.
    pub(super) fn of(segment: &'static Segment, page: &Page, state: State, access: Access) -> Range {
        let (first, count) = (page.face.first_slice(), page.face.slices());
        let charge = match segment.role() {
            Role::Huge => page.face.block_size(),
            _ => count.wrapping_mul(SLICE),
        };
        Range { segment, first, count, charge, state, access }
    }

    /// The description of the page that it was, and may become.
    pub(super) fn page(&self) -> Option<&'static Page> {
        self.segment.page_at(self.first)
    }

    /// Whether it has memory.
    pub(super) fn holds_memory(&self) -> bool {
        matches!(self.state, State::Recent | State::Aged)
    }

    /// Makes it inaccessible if it is not, and this build promises that.
    pub(super) fn close(&mut self) {
        let is_to_close = MITIGATIONS.free_checks && self.access == Access::Open && self.state != State::Bare;
        if is_to_close && self.page().is_some_and(|page| self.segment.close_body(page)) {
            self.access = Access::Closed;
        }
    }
}

/// A place for a range.
struct Place {
    segment: AtomicPtr<Segment>,
    first: AtomicU32,
    count: AtomicU32,
    charge: AtomicUsize,
    state: AtomicU8,
    access: AtomicU8,
}

impl Place {
    const fn new() -> Place {
        Place {
            segment: AtomicPtr::new(ptr::null_mut()),
            first: AtomicU32::new(0),
            count: AtomicU32::new(0),
            charge: AtomicUsize::new(0),
            state: AtomicU8::new(0),
            access: AtomicU8::new(0),
        }
    }

    fn set(&self, range: &Range) {
        self.segment.store(ptr::from_ref(range.segment).cast_mut(), Relaxed);
        self.first.store(range.first as u32, Relaxed);
        self.count.store(range.count as u32, Relaxed);
        self.charge.store(range.charge, Relaxed);
        self.state.store(range.state as u8, Relaxed);
        self.access.store(range.access as u8, Relaxed);
    }

    fn get(&self) -> Option<Range> {
        // SAFETY: null or a segment's metadata, which is never unmapped.
        let segment = unsafe { self.segment.load(Relaxed).as_ref() }?;
        let states = [State::Recent, State::Aged, State::Empty];
        let state = self.state.load(Relaxed);
        let is_open = self.access.load(Relaxed) == Access::Open as u8;
        Some(Range {
            segment,
            first: self.first.load(Relaxed) as usize,
            count: self.count.load(Relaxed) as usize,
            charge: self.charge.load(Relaxed),
            state: states.into_iter().find(|known| *known as u8 == state).unwrap_or(State::Bare),
            access: if is_open { Access::Open } else { Access::Closed },
        })
    }
}

/// Up to `N` ranges, in no order. Changed under the lock of the space.
pub(super) struct Ranges<const N: usize> {
    places: [Place; N],
    count: AtomicUsize,
    bytes: AtomicUsize,
}

impl<const N: usize> Ranges<N> {
    pub(super) const fn new() -> Self {
        Self { places: [const { Place::new() }; N], count: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    pub(super) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// The sum of what they count for.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Each with its index.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, Range)> {
        let places = self.places.iter().take(self.len()).enumerate();
        places.filter_map(|(index, place)| Some((index, place.get()?)))
    }

    /// The same from the last that was added on, as far as none was taken out.
    pub(super) fn newest_first(&self) -> impl Iterator<Item = (usize, Range)> {
        (0..self.len()).rev().filter_map(|index| Some((index, self.places.get(index)?.get()?)))
    }

    /// Adds a range. There is room: a full one would lose it.
    pub(super) fn add(&self, range: &Range, _locked: &Locked) {
        let count = self.len();
        if let Some(place) = self.places.get(count) {
            place.set(range);
            self.count.store(count.wrapping_add(1), Relaxed);
            self.bytes.store(self.bytes().wrapping_add(range.charge), Relaxed);
        }
    }

    /// Takes the range with this index out; another may have its index then.
    pub(super) fn take(&self, index: usize, _locked: &Locked) -> Option<Range> {
        let last = self.len().checked_sub(1).filter(|&last| index <= last)?;
        let (place, filler) = (self.places.get(index)?, self.places.get(last)?.get()?);
        let range = place.get()?;
        place.set(&filler);
        self.count.store(last, Relaxed);
        self.bytes.store(self.bytes().wrapping_sub(range.charge), Relaxed);
        Some(range)
    }

    /// The range with this index has changed, but counts for as much as before.
    pub(super) fn set(&self, index: usize, range: &Range, _locked: &Locked) {
        if let Some(place) = self.places.get(index) {
            place.set(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::space;
    use crate::testing::alone;

    #[test]
    fn a_range_that_is_taken_leaves_the_others_and_its_bytes() {
        alone("segment::ranges::tests::a_range_that_is_taken_leaves_the_others_and_its_bytes", || {
            static RANGES: Ranges<3> = Ranges::new();
            let locked = space::lock();
            let segment = space::covered(&locked).unwrap();
            for first in 1..4 {
                let (charge, state, access) = (first * 100, State::Recent, Access::Open);
                let range = Range { segment, first, count: 1, charge, state, access };
                RANGES.add(&range, &locked);
            }
            let (index, range) = RANGES.iter().nth(2).unwrap();
            RANGES.set(index, &Range { state: State::Empty, access: Access::Closed, ..range }, &locked);
            assert_eq!((RANGES.len(), RANGES.bytes()), (3, 600));
            assert_eq!(RANGES.take(0, &locked).map(|range| range.first), Some(1));
            let left: std::vec::Vec<_> =
                RANGES.iter().map(|(index, range)| (index, range.first, range.state, range.access)).collect();
            assert_eq!(left, [(0, 3, State::Empty, Access::Closed), (1, 2, State::Recent, Access::Open)]);
            assert_eq!(RANGES.bytes(), 500);
            assert!(RANGES.take(2, &locked).is_none());
        });
    }
}
