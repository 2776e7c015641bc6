//! Who has which addresses: no two live blocks may overlap, whichever threads they are of.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The addresses of all live blocks.
#[derive(Debug, Default)]
pub(crate) struct Territory(Mutex<BTreeMap<usize, usize>>);

impl Territory {
    fn map(&self) -> MutexGuard<'_, BTreeMap<usize, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block was handed out. To be called after that.
    ///
    /// # Panics
    /// If it overlaps another.
    pub(crate) fn claim(&self, start: usize, len: usize) {
        // An empty block has an address of its own all the same.
        let end = start + len.max(1);
        let mut map = self.map();
        if let Some((&other, &other_end)) = map.range(..end).next_back() {
            assert!(other_end <= start, "{start:#x}..{end:#x} overlaps {other:#x}..{other_end:#x}");
        }
        map.insert(start, end);
    }

    /// A block is about to be given back.
    ///
    /// # Panics
    /// If there is no such block.
    pub(crate) fn release(&self, start: usize) {
        assert!(self.map().remove(&start).is_some(), "no block at {start:#x}");
    }

    /// How many blocks are live.
    pub(crate) fn len(&self) -> usize {
        self.map().len()
    }
}
