//! A heap that the program has made, by its name.

use ravelin::raw::{self, HeapHandle, Visit, Visited};
use std::collections::BTreeSet;

/// The name. Only the heap's own thread may use it for more than to compare it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeapName(pub(crate) HeapHandle);

// SAFETY: a name and no memory; that its heap is used by its own thread only is the player's business, and checked by the engine.
unsafe impl Send for HeapName {}

impl HeapName {
    /// A new heap of this thread.
    pub(crate) fn new() -> Option<HeapName> {
        raw::heap_new().map(HeapName)
    }

    /// Its blocks stay.
    pub(crate) fn delete(self) {
        raw::heap_delete(self.0);
    }

    /// Its blocks, which nobody uses any more, end.
    pub(crate) fn destroy(self) {
        // SAFETY: the player has forgotten them.
        unsafe { raw::heap_destroy(self.0) };
    }

    /// Where the blocks lie that a walk over the heap shows.
    ///
    /// # Panics
    /// If one is shown twice, or is of no heap of this name.
    pub(crate) fn blocks(self) -> BTreeSet<usize> {
        let mut shown = BTreeSet::new();
        raw::heap_visit(self.0, Visit::Blocks, &mut |what| {
            if let Visited::Block(_, start, _) = what {
                assert!(raw::heap_contains(self.0, start.as_ptr()), "{start:?} is shown of {self:?}");
                assert!(shown.insert(start.addr().get()), "{start:?} is shown twice");
            }
            true
        });
        shown
    }
}
