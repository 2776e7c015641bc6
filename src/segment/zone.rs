//! What a segment is for: slices of different zones never lie in the same segment, now or later.

use super::Segment;
use crate::sync::{AtomicPtr, Relaxed};
use core::ptr;

/// How many zones there are.
const ZONES: usize = 3;

/// What a segment's slices are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Zone {
    /// Anything.
    General,
    /// Blocks that stand alone between guards: see [`super::sampled`].
    Sampled,
    /// Blocks that can hold no pointer, where they are kept apart: a stale pointer to a struct with pointers then never leads to
    /// bytes that somebody else chooses.
    Data,
}

impl Zone {
    pub(super) fn of(number: u8) -> Zone {
        match number {
            1 => Zone::Sampled,
            2 => Zone::Data,
            _ => Zone::General,
        }
    }
}

/// Segments with free slices, a list for each zone, linked by `room_next`.
pub(super) struct Room([AtomicPtr<Segment>; ZONES]);

impl Room {
    pub(super) const fn new() -> Room {
        Room([const { AtomicPtr::new(ptr::null_mut()) }; ZONES])
    }

    /// The head of the zone's list.
    pub(super) fn of(&self, zone: Zone) -> &AtomicPtr<Segment> {
        let [general, ..] = &self.0;
        self.0.get(zone as usize).unwrap_or(general)
    }

    /// The first segment of the zone's list.
    pub(super) fn first(&self, zone: Zone) -> *mut Segment {
        self.of(zone).load(Relaxed)
    }
}
