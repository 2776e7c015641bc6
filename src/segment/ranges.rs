//! Ranges of freed large blocks, and a fixed number of places for them.
//!
//! A range keeps what was made for its block: its slices or its mapping, its guards, its page's description. What it
//! may lose with time is its memory.

use super::space::Locked;
use super::{Role, Segment};
use crate::geometry::SLICE;
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

/// The range of a freed large block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) segment: &'static Segment,
    pub(super) first: usize,
    pub(super) count: usize,
    /// Bytes that it counts for where bytes are bounded.
    pub(super) charge: usize,
    pub(super) state: State,
}

impl Range {
    /// The range of this page of one block.
    pub(super) fn of(segment: &'static Segment, page: &Page, state: State) -> Range {
        let (first, count) = (page.face.first_slice(), page.face.slices());
        let charge = match segment.role() {
            Role::Huge => page.face.block_size(),
            _ => count.wrapping_mul(SLICE),
        };
        Range { segment, first, count, charge, state }
    }

    /// The description of the page that it was, and may become.
    pub(super) fn page(&self) -> Option<&'static Page> {
        self.segment.page_at(self.first)
    }

    /// Whether it has memory.
    pub(super) fn holds_memory(&self) -> bool {
        matches!(self.state, State::Recent | State::Aged)
    }
}

/// A place for a range.
struct Place {
    segment: AtomicPtr<Segment>,
    first: AtomicU32,
    count: AtomicU32,
    charge: AtomicUsize,
    state: AtomicU8,
}

impl Place {
    const fn new() -> Place {
        Place {
            segment: AtomicPtr::new(ptr::null_mut()),
            first: AtomicU32::new(0),
            count: AtomicU32::new(0),
            charge: AtomicUsize::new(0),
            state: AtomicU8::new(0),
        }
    }

    fn set(&self, range: &Range) {
        self.segment.store(ptr::from_ref(range.segment).cast_mut(), Relaxed);
        self.first.store(range.first as u32, Relaxed);
        self.count.store(range.count as u32, Relaxed);
        self.charge.store(range.charge, Relaxed);
        self.state.store(range.state as u8, Relaxed);
    }

    fn get(&self) -> Option<Range> {
        // SAFETY: null or a segment's metadata, which is never unmapped.
        let segment = unsafe { self.segment.load(Relaxed).as_ref() }?;
        let states = [State::Recent, State::Aged, State::Empty];
        let state = self.state.load(Relaxed);
        Some(Range {
            segment,
            first: self.first.load(Relaxed) as usize,
            count: self.count.load(Relaxed) as usize,
            charge: self.charge.load(Relaxed),
            state: states.into_iter().find(|known| *known as u8 == state).unwrap_or(State::Bare),
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

    /// The range with this index is in `state` from now on.
    pub(super) fn set_state(&self, index: usize, state: State, _locked: &Locked) {
        if let Some(place) = self.places.get(index) {
            place.state.store(state as u8, Relaxed);
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
                let range = Range { segment, first, count: 1, charge: first * 100, state: State::Recent };
                RANGES.add(&range, &locked);
            }
            RANGES.set_state(2, State::Empty, &locked);
            assert_eq!((RANGES.len(), RANGES.bytes()), (3, 600));
            assert_eq!(RANGES.take(0, &locked).map(|range| range.first), Some(1));
            let left: std::vec::Vec<_> =
                RANGES.iter().map(|(index, range)| (index, range.first, range.state)).collect();
            assert_eq!(left, [(0, 3, State::Empty), (1, 2, State::Recent)]);
            assert_eq!(RANGES.bytes(), 500);
            assert!(RANGES.take(2, &locked).is_none());
        });
    }
}
