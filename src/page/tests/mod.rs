//! Pages on their own, in memory of the test's: no segment, no heap.

mod attacks;
mod odds;
mod under_miri;

use super::*;
use crate::entropy::Rng;
use crate::geometry::{Class, GRANULE, SLICE};
use crate::remote::{All, NotLive, Posted, post};
use core::alloc::Layout;
use core::ptr::NonNull;
use std::alloc::{alloc_zeroed, dealloc};
use std::collections::BTreeSet;
use std::vec::Vec;

/// A page, its owner's token, and what it is made of.
struct Room {
    page: &'static Page,
    tables: &'static Tables,
    class: Class,
    extent: Extent,
    me: *mut Mailbox,
    rng: Rng,
    owned: Owned,
    /// What was allocated, as it was.
    parts: [(NonNull<u8>, Layout); 4],
}

/// Zeros for a `T`, on cache lines of their own.
fn lines_of<T>() -> (NonNull<u8>, Layout) {
    zeros(Layout::new::<T>().align_to(128).unwrap())
}

fn zeros(layout: Layout) -> (NonNull<u8>, Layout) {
    // SAFETY: no layout here is of size 0.
    (NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap(), layout)
}

/// A run of slices, all in one segment.
fn slices(count: usize) -> (NonNull<u8>, Layout) {
    zeros(Layout::from_size_align(count * SLICE, (count * SLICE).next_power_of_two()).unwrap())
}

impl Drop for Room {
    fn drop(&mut self) {
        for (part, layout) in self.parts {
            // SAFETY: allocated by `new` with this layout; the test is over.
            unsafe { dealloc(part.as_ptr(), layout) };
        }
    }
}

impl Room {
    /// A page for blocks of `size` bytes, without any yet.
    fn new(size: usize) -> Room {
        let class = Class::of(size).unwrap();
        let parts = [lines_of::<Page>(), lines_of::<Tables>(), lines_of::<Mailbox>(), slices(class.page_slices())];
        let [page, tables, me, start] = parts.map(|(part, _)| part);
        // SAFETY: atomics throughout, for which zero is valid.
        let page: &'static Page = unsafe { page.cast().as_ref() };
        // SAFETY: as above.
        let tables: &'static Tables = unsafe { tables.cast().as_ref() };
        let me = me.cast().as_ptr();
        let first_slice = Granule::of(start.addr().get()).slice();
        let extent = Extent { first_slice, slices: class.page_slices(), segment_number: 7, start };
        let rng = Rng::new();
        let owned = page.bear(tables, class, &extent, Contents::Zero, me, &rng).expect("nothing was freed late");
        Room { page, tables, class, extent, me, rng, owned, parts }
    }

    /// The same page in another life.
    fn bear_again(&mut self, contents: Contents) {
        self.owned = self
            .page
            .bear(self.tables, self.class, &self.extent, contents, self.me, &self.rng)
            .expect("nothing was freed late");
    }

    /// As malloc does: a block, made if need be. None: the page is full.
    fn get(&self) -> Option<Block> {
        if !(self.page.has_free()
            || self.page.refill(&self.owned)
            || self.page.extend(&self.owned, &self.rng).expect("nothing was written"))
        {
            return None;
        }
        Some(self.page.pop(&self.owned).expect("a sound list"))
    }

    /// As many blocks.
    fn get_many(&self, count: usize) -> Vec<Block> {
        (0..count).map(|_| self.get().expect("room")).collect()
    }

    /// As many as there are.
    fn get_all(&self) -> Vec<Block> {
        core::iter::from_fn(|| self.get()).collect()
    }

    /// As the owner's free does.
    fn give(&self, block: Block) -> Result<bool, NotLive> {
        let spot = self.page.spot(Granule::of(block.address()));
        self.page.take_back(self.tables, block.address(), self.page.face.block_size(), &spot.look()?, &self.owned)?;
        Ok(self.page.push(block.address(), &self.owned))
    }

    /// As another thread's free does.
    fn post(&self, block: Block) -> Result<Posted, NotLive> {
        let granule = Granule::of(block.address());
        post::<All>(&self.page.spot(granule), self.page.group(granule), &self.page.line())
    }

    /// As the owner's slow path does: how many blocks came back.
    fn collect(&self) -> Result<usize, usize> {
        let start = self.page.face.start().addr();
        let mut count = 0;
        crate::remote::collect::<All>(&self.page.bits(), self.page.summary(), &self.owned, |granule| {
            self.page.push(start + granule * GRANULE, &self.owned);
            count += 1;
        })?;
        Ok(count)
    }

    /// The page's invariant holds, with so many live and posted blocks.
    fn holds(&self, live: usize, posted: usize) {
        let census = self.page.count(&self.owned).expect("the invariant");
        let capacity = self.page.capacity() as usize;
        if crate::mitigations::MITIGATIONS.free_checks {
            assert_eq!((census.live, census.posted), (live, posted));
        }
        assert_eq!((census.free, self.page.used() as usize), (capacity - live - posted, live + posted));
    }
}
