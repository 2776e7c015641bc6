//! Who has which addresses: no two live blocks may overlap, whichever threads they are of.

use ravelin::MITIGATIONS;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a block may hold, if it lies with others of which the same is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Pointers,
    /// No pointer.
    Data,
    /// Nobody has promised where it lies: in a heap of the program's, and later wherever that has left it. Neither of blocks of no bytes.
    Anywhere,
}

/// Blocks of the two zones share none of these.
const SEGMENT: usize = 32 << 20;

/// The addresses of all live blocks.
#[derive(Debug, Default)]
pub(crate) struct Territory(Mutex<Map>);

#[derive(Debug, Default)]
struct Map {
    /// Each block's start, with its end and zone.
    blocks: BTreeMap<usize, (usize, Zone)>,
    /// Whose each segment is that has blocks of a zone, and how many.
    segments: BTreeMap<usize, (Zone, usize)>,
}

impl Map {
    /// The segments of a block that somebody has promised to keep apart.
    fn kept_apart(start: usize, end: usize, zone: Zone) -> impl Iterator<Item = usize> {
        let is_kept = MITIGATIONS.partition && zone != Zone::Anywhere;
        (start / SEGMENT..=(end - 1) / SEGMENT).take(if is_kept { usize::MAX } else { 0 })
    }
}

impl Territory {
    fn map(&self) -> MutexGuard<'_, Map> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block was handed out. To be called after that.
    ///
    /// # Panics
    /// If it overlaps another, or lies with blocks that it must be kept apart from.
    pub(crate) fn claim(&self, start: usize, len: usize, zone: Zone) {
        // An empty block has an address of its own all the same.
        let end = start + len.max(1);
        let mut map = self.map();
        if let Some((&other, &(other_end, _))) = map.blocks.range(..end).next_back() {
            assert!(other_end <= start, "{start:#x}..{end:#x} overlaps {other:#x}..{other_end:#x}");
        }
        map.blocks.insert(start, (end, zone));
        for segment in Map::kept_apart(start, end, zone) {
            let (of, count) = map.segments.entry(segment).or_insert((zone, 0));
            assert_eq!(*of, zone, "{start:#x}..{end:#x} is not kept apart");
            *count += 1;
        }
    }

    /// A block is about to be given back.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn release(&self, start: usize) {
        let mut map = self.map();
        let Some((end, zone)) = map.blocks.remove(&start) else { panic!("no block at {start:#x}") };
        for segment in Map::kept_apart(start, end, zone) {
            let (_, count) = map.segments.get_mut(&segment).expect("it was claimed");
            *count -= 1;
            if *count == 0 {
                map.segments.remove(&segment);
            }
        }
    }

    /// How many blocks are live.
    pub(crate) fn len(&self) -> usize {
        self.map().blocks.len()
    }
}
