//! Which blocks of a page the program holds: for those who look at every one.

use super::Page;
use crate::geometry::{GRANULE, Granule, SLICE};
use crate::mitigations::MITIGATIONS;
use crate::remote::Owned;
use crate::sync::Relaxed;

/// Most blocks that a page has: those of the smallest class, in one slice.
const MOST: usize = SLICE / GRANULE;
const WORDS: usize = MOST.div_ceil(64);

/// A set of a page's blocks.
#[derive(Debug)]
pub(crate) struct BlockSet([u64; WORDS]);

impl BlockSet {
    fn put(&mut self, number: u32, is_member: bool) {
        let index = number.wrapping_sub(1);
        if let Some(word) = self.0.get_mut(index as usize >> 6) {
            let mask = 1_u64.wrapping_shl(index);
            *word = if is_member { *word | mask } else { *word & !mask };
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many blocks of the page lie before each member, lowest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..MOST as u32)
            .filter(|&index| self.0.get(index as usize >> 6).is_some_and(|word| word.wrapping_shr(index) & 1 != 0))
    }
}

impl Page {
    /// The blocks that the program holds now.
    pub(crate) fn live_blocks(&self, _owned: &Owned) -> BlockSet {
        let mut set = BlockSet([0; WORDS]);
        for number in 1..=self.capacity() {
            let spot = self.spot(Granule::of(self.nth(number).address()));
            set.put(number, if MITIGATIONS.free_checks { spot.is_live() } else { !spot.is_posted() });
        }
        if MITIGATIONS.free_checks {
            return set;
        }
        // Without state bits a block is live if it is on no list.
        for list in [&self.hot.free, &self.hot.local] {
            let mut name = list.load(Relaxed);
            for _ in 0..self.capacity() {
                if name == 0 {
                    break;
                }
                let block = self.block_at(name);
                set.put(self.number_of(block), false);
                name = self.next_of(block, name).unwrap_or(0);
            }
        }
        set
    }

    /// How often the description was that of a new page: whoever remembers it knows the page again.
    pub(crate) fn life(&self) -> u32 {
        self.hot.births.load(Relaxed)
    }

    /// Blocks that the page has room for.
    pub(crate) fn room(&self) -> u32 {
        self.hot.reserved.load(Relaxed)
    }
}
