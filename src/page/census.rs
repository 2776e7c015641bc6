//! Counting a page: the invariant of [`super`] checked against bits and lists, for `check_heap` and the statistics.

use super::block::wiped_part;
use super::link::Wild;
use super::{Block, Found, Kind, Page};
use crate::geometry::{GRANULE, Granule};
use crate::mitigations::MITIGATIONS;
use crate::remote::Owned;
use crate::sync::{AtomicU32, Relaxed};

/// What a page holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageCensus {
    pub(crate) live: usize,
    pub(crate) free: usize,
    /// Freed by another thread, not yet collected.
    pub(crate) posted: usize,
    /// Taken back, and not on a list yet.
    pub(crate) quarantined: usize,
}

/// What any thread can see of a page that it does not own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Blocks that the program holds.
    pub(crate) live: usize,
    /// Freed by another thread, not yet collected.
    pub(crate) posted: usize,
}

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageFault {
    /// The free block at this address carries a wrong link.
    Link(usize),
    /// The block at this address is on a list, and live.
    LiveOnList(usize),
    /// The free block at this address was written to.
    Written(usize),
    /// More was written to the live block at this address than was requested, at this offset.
    Overflown { address: usize, requested: usize, offset: usize },
    /// A list runs in a circle, or holds more than the page has.
    Endless(usize),
    /// A block was freed by another thread after its owner had taken it back.
    FreedTwice(usize),
    /// used + free + local is not the capacity.
    Count,
}

impl Page {
    /// Whether the block with this number was handed out and its owner has not taken it back.
    pub(super) fn is_out(&self, number: u32) -> bool {
        self.spot(Granule::of(self.nth(number).address())).is_out()
    }

    /// Blocks that are used, as the owner counts: a block that another thread has freed is, until it is collected.
    /// Callable by any thread; then the figure may be as old as the owner's last store.
    pub(crate) fn used(&self) -> u32 {
        self.hot.used.load(Relaxed)
    }

    /// Whether malloc may find something here: a free block, one yet to be made, or one that another thread has freed. Callable by any
    /// thread, as `used` is.
    pub(crate) fn may_have_room(&self) -> bool {
        self.used() < self.hot.reserved.load(Relaxed) || self.summary().load(Relaxed) != 0
    }

    /// What the page holds, for any thread: as of the owner's last stores that have become visible.
    pub(crate) fn held(&self) -> Held {
        // First the owner's count: were it read last, a collect in between would be subtracted twice.
        let used = if self.hot.torn.load(Relaxed) { self.count_out() } else { self.used() as usize };
        let posted = if self.summary().load(Relaxed) == 0 { 0 } else { self.count_posted() };
        Held { live: used.saturating_sub(posted).saturating_sub(self.quarantined()), posted }
    }

    /// Blocks that were handed out and not taken back, by the state bits: for a page whose count may be torn by a fork.
    fn count_out(&self) -> usize {
        if !MITIGATIONS.free_checks {
            return self.used() as usize;
        }
        self.bits().state.iter().map(|word| word.load(Relaxed).count_ones() as usize).sum()
    }

    /// Blocks that the owner has taken back and not yet put on a list.
    pub(crate) fn quarantined(&self) -> usize {
        if MITIGATIONS.quarantine { self.hot.quarantined.load(Relaxed) as usize } else { 0 }
    }

    /// Whether the page belongs to a heap, and not to whoever has claimed it for the moment.
    pub(crate) fn is_in_a_heap(&self) -> bool {
        !self.hot.heap.load(Relaxed).is_null()
    }

    /// Blocks that other threads have freed and the owner has not collected.
    fn count_posted(&self) -> usize {
        self.bits().remote.iter().map(|word| word.load(Relaxed).count_ones() as usize).sum()
    }

    /// Whether so few blocks are used that the page wants to be looked at.
    pub(crate) fn wants_attention(&self) -> bool {
        self.used() as i32 <= self.hot.trigger.load(Relaxed)
    }

    /// Whether the free block at `address` was ever given to the program: not so while it waits on a list of blocks that
    /// were only just made. For reports: the process is about to die, and the page may be another thread's.
    pub(crate) fn was_handed_out(&self, address: usize) -> bool {
        if !self.hot.untouched.load(Relaxed) {
            return true;
        }
        let mut name = self.hot.free.load(Relaxed);
        for _ in 0..self.capacity() {
            if name == 0 {
                return true;
            }
            let block = self.block_at(name);
            if block.address() == address {
                return false;
            }
            let Some(next) = self.next_of(block, name) else { return true };
            name = next;
        }
        true
    }

    /// Whether malloc can pop.
    pub(crate) fn has_free(&self) -> bool {
        self.hot.free.load(Relaxed) != 0
    }

    /// Blocks made so far.
    pub(crate) fn capacity(&self) -> u32 {
        self.hot.capacity.load(Relaxed) as u32
    }

    /// Whether a block just popped holds zeros.
    #[inline(always)]
    pub(crate) fn gives_zeroed(&self) -> bool {
        let is_wiped = || {
            let size = self.hot.size.load(Relaxed) as usize;
            wiped_part(size) == size
        };
        (MITIGATIONS.zero_on_free && is_wiped()) || self.hot.zeroed.load(Relaxed)
    }

    /// Counts the page and checks it: lists against bits against counters, every link decoded.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(crate) fn count(&self, _owned: &Owned) -> Result<PageCensus, PageFault> {
        let hot = &self.hot;
        let capacity = self.capacity() as usize;
        let mut free = 0_usize;
        for list in [&hot.free, &hot.local] {
            free = free.wrapping_add(self.count_list(list, capacity.wrapping_sub(free))?);
        }
        if free.wrapping_add(self.used() as usize) != capacity {
            return Err(PageFault::Count);
        }
        let (mut live, mut posted, quarantined) = (0_usize, 0_usize, self.quarantined());
        if MITIGATIONS.free_checks && matches!(self.face.kind(), Kind::Blocks(_)) {
            let bits = self.bits();
            for (index, (state, remote)) in bits.state.iter().zip(bits.remote).enumerate() {
                let (out, freed) = (state.load(Relaxed), remote.load(Relaxed));
                if freed & !out != 0 {
                    let granule = (index << 6) | (freed & !out).trailing_zeros() as usize;
                    return Err(PageFault::FreedTwice(self.face.start().addr().wrapping_add(granule << 4)));
                }
                if MITIGATIONS.canaries {
                    self.check_canaries(index, out & !freed)?;
                }
                live = live.wrapping_add((out & !freed).count_ones() as usize);
                posted = posted.wrapping_add(freed.count_ones() as usize);
            }
            if live.wrapping_add(posted).wrapping_add(quarantined) != self.used() as usize {
                return Err(PageFault::Count);
            }
        } else {
            live = self.used() as usize;
        }
        Ok(PageCensus { live, free, posted, quarantined })
    }

    /// Checks the canaries of all live blocks.
    ///
    /// # Errors
    /// The first that has changed.
    pub(crate) fn check_live(&self, _owned: &Owned) -> Result<(), PageFault> {
        if !MITIGATIONS.free_checks || !matches!(self.face.kind(), Kind::Blocks(_)) {
            return Ok(());
        }
        let bits = self.bits();
        let words = bits.state.iter().zip(bits.remote).enumerate();
        words.into_iter().try_for_each(|(index, (state, remote))| {
            self.check_canaries(index, state.load(Relaxed) & !remote.load(Relaxed))
        })
    }

    /// Checks the canaries of the blocks with these state bits, of which this is the word's index.
    fn check_canaries(&self, index: usize, mut live: u64) -> Result<(), PageFault> {
        while live != 0 {
            let granule = (index << 6) | live.trailing_zeros() as usize;
            self.check_canary(self.face.start().addr().wrapping_add(granule.wrapping_mul(GRANULE)))?;
            live &= live.wrapping_sub(1);
        }
        Ok(())
    }

    /// Checks the canary of the block at this address, unless it was freed in the meantime.
    pub(crate) fn check_canary(&self, address: usize) -> Result<(), PageFault> {
        match self.examine(self.tables(), address) {
            Found::Damaged { requested, offset } if self.spot(Granule::of(address)).is_live() => {
                Err(PageFault::Overflown { address, requested, offset })
            }
            _ => Ok(()),
        }
    }

    /// What the link of the free block with this name says; none if it is not a link of that block.
    pub(super) fn next_of(&self, block: Block, name: u32) -> Option<u32> {
        let next = Wild::new(block.first_word()).decode(self.hot.key.load(Relaxed), name);
        let unit = u64::from(self.name(1)).max(1);
        (next <= u64::from(self.name(self.capacity())) && next.is_multiple_of(unit)).then_some(next as u32)
    }

    /// Walks one list, at most `most` blocks of it.
    fn count_list(&self, list: &AtomicU32, most: usize) -> Result<usize, PageFault> {
        let mut name = list.load(Relaxed);
        let mut count = 0_usize;
        while name != 0 {
            let block = self.block_at(name);
            if count == most {
                return Err(PageFault::Endless(block.address()));
            }
            let spot = self.spot(Granule::of(block.address()));
            if MITIGATIONS.free_checks && spot.is_out() {
                return Err(PageFault::LiveOnList(block.address()));
            }
            let next = self.next_of(block, name).ok_or(PageFault::Link(block.address()))?;
            if MITIGATIONS.zero_on_free && !self.is_wiped(block) {
                return Err(PageFault::Written(block.address()));
            }
            count = count.wrapping_add(1);
            name = next;
        }
        Ok(count)
    }
}
