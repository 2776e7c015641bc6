//! What is live: a walk over all pages, by any thread, while the others go on.
//!
//! Nothing is counted on the paths of malloc and free, so what is live is found by looking. Pages are born, fill up and
//! are given up meanwhile: each is read as it is met, whatever it was a moment ago. A figure read between two births
//! is bounded by what the page could hold, so that no sum can run away.

use super::space::segments;
use super::{Role, Segment};
use crate::geometry::{CLASSES, SLICE};
use crate::page::{Kind, Page};
use crate::remote::Owner;
use crate::sync::Relaxed;

/// Pages and blocks of one class, or of all large blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) pages: usize,
    /// Blocks that the program holds.
    pub(crate) blocks: usize,
    /// Bytes that these have room for.
    pub(crate) bytes: usize,
}

/// What all pages held when they were met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) classes: [Count; CLASSES],
    /// Blocks with a page of their own.
    pub(crate) large: Count,
    /// Blocks that stand alone between guards, whatever their size.
    pub(crate) sampled: Count,
    /// Segments that are cut into slices.
    pub(crate) segments: usize,
    /// Pages without a free block, as their owners knew.
    pub(crate) full: usize,
    /// Blocks that another thread has freed and their owner has not taken back.
    pub(crate) posted: usize,
    /// Guards round large blocks.
    pub(crate) guards: usize,
}

impl Count {
    fn add(&mut self, blocks: usize, size: usize) {
        self.pages = self.pages.wrapping_add(1);
        self.blocks = self.blocks.wrapping_add(blocks);
        self.bytes = self.bytes.wrapping_add(blocks.wrapping_mul(size));
    }

    fn join(self, other: &Count) -> Count {
        Count {
            pages: self.pages.wrapping_add(other.pages),
            blocks: self.blocks.wrapping_add(other.blocks),
            bytes: self.bytes.wrapping_add(other.bytes),
        }
    }
}

impl Tally {
    /// Walks all segments.
    pub(crate) fn take() -> Tally {
        let none = Count::default();
        let mut tally =
            Tally { classes: [none; CLASSES], large: none, sampled: none, segments: 0, full: 0, posted: 0, guards: 0 };
        for segment in segments() {
            match segment.role() {
                Role::Shared => {
                    tally.segments = tally.segments.wrapping_add(1);
                    segment
                        .used
                        .iter()
                        .filter_map(|slice| segment.page_at(slice))
                        .for_each(|page| tally.meet(segment, page));
                }
                Role::Huge => segment.first_page().into_iter().for_each(|page| tally.meet(segment, page)),
                Role::Covered => {}
            }
        }
        tally
    }

    /// The sum over all classes and the large blocks.
    pub(crate) fn all(&self) -> Count {
        self.classes.iter().fold(self.large.join(&self.sampled), Count::join)
    }

    fn meet(&mut self, segment: &'static Segment, page: &'static Page) {
        match page.face.owner.load() {
            Owner::Nobody => {}
            // They have no bytes, and are of no class; but they are asked for as those of the smallest are.
            Owner::Single if page.face.has_voids() => {
                self.classes.first_mut().into_iter().for_each(|count| count.add(page.used() as usize, 0));
            }
            Owner::Single => {
                let count = if page.face.is_sampled() { &mut self.sampled } else { &mut self.large };
                count.add(1, page.face.block_size());
                if segment.has_guards_round(page) {
                    self.guards = self.guards.wrapping_add(2);
                }
            }
            Owner::Abandoned | Owner::Busy | Owner::Thread(_) => {
                let Kind::Blocks(class) = page.face.kind() else { return };
                let Some(count) = self.classes.get_mut(class.index()) else { return };
                // An upper bound: a guard may take some.
                let room = class.page_slices().wrapping_mul(SLICE).checked_div(class.block_size()).unwrap_or(0);
                let held = page.held();
                count.add(held.live.min(room), class.block_size());
                self.posted = self.posted.wrapping_add(held.posted.min(room));
                self.full = self.full.wrapping_add(usize::from(page.hot.full.load(Relaxed)));
            }
        }
    }
}
