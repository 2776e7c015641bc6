//! A page of blocks of no bytes: places in one slice of which nothing is ever accessible.
//!
//! ```text
//! granules  | 0 | 1 | 2 | 3 | 4 | 5 |        no memory behind any of them
//! blocks          A       B
//! state       0   1   0   1   0   0          A and B are live
//! remote      0   0   0   0   1   0          the block at 4 was freed: this is what a double free is told by
//! ```
//!
//! There is no byte for a link, a canary or a wipe, so the bits are all there is: a place is drawn among those that are free, and to free
//! it clears its bit. With `canaries` the slack table, which has a byte for each granule, says by what the block was asked for.
//!
//! The page belongs to no thread: its words are changed under the lock of the segments, and read by anyone.

use super::{Extent, Origin, Page, Tables};
use crate::geometry::{GRANULE, Granule, SLICE};
use crate::mitigations::MITIGATIONS;
use crate::remote::{All, NotLive};
use crate::sync::{AcqRel, Relaxed};
use core::ptr::NonNull;

/// Whether this build has such pages: it must know what is live by bits alone, and spares no guard.
pub(crate) const VOIDS: bool = MITIGATIONS.page_guards && MITIGATIONS.free_checks;

/// Blocks that a page has at most.
pub(crate) const VOID_PLACES: u32 = (SLICE / GRANULE) as u32;
/// So many draws fail in a page that is three quarters full once in a thousand times.
const DRAWS: usize = 24;

impl Page {
    /// Makes this description that of a page of blocks of no bytes, none of them live.
    pub(crate) fn bear_voids(&self, tables: &'static Tables, extent: &Extent) {
        self.prepare_single(tables);
        self.hot.used.store(0, Relaxed);
        self.face.describe_voids(extent);
        self.face.owner.bear_single();
    }

    /// A block at a multiple of so many granules, drawn by `below`. None: too few are free.
    pub(crate) fn take_void(&self, step: u32, origin: Origin, below: impl Fn(u32) -> u32) -> Option<NonNull<u8>> {
        let steps = VOID_PLACES.checked_div(step)?;
        for _ in 0..DRAWS {
            let offset = (below(steps).wrapping_mul(step) as usize).wrapping_mul(GRANULE);
            let start = self.face.start().wrapping_add(offset);
            let granule = Granule::of(start.addr());
            let spot = self.spot(granule);
            if spot.is_out() {
                continue;
            }
            if MITIGATIONS.canaries {
                self.tables().set_slack(granule, origin.0.into());
            }
            spot.remote.fetch_and(!spot.mask(), Relaxed);
            spot.state.fetch_or(spot.mask(), AcqRel);
            self.hot.used.store(self.used().wrapping_add(1), Relaxed);
            return NonNull::new(start);
        }
        None
    }

    /// The block at this address is free from now on.
    ///
    /// # Errors
    /// [`NotLive`] if it was already.
    pub(crate) fn free_void(&self, address: usize) -> Result<(), NotLive> {
        let spot = self.spot(Granule::of(address));
        if spot.state.fetch_and(!spot.mask(), AcqRel) & spot.mask() == 0 {
            return Err(NotLive);
        }
        spot.remote.fetch_or(spot.mask(), AcqRel);
        self.hot.used.store(self.used().wrapping_sub(1), Relaxed);
        Ok(())
    }

    /// By what the block at this address was asked for.
    pub(crate) fn void_origin(&self, tables: &Tables, address: usize) -> Origin {
        if MITIGATIONS.canaries { Origin(tables.slack(Granule::of(address)) as u8) } else { Origin::MALLOC }
    }

    /// The live blocks of such a page, lowest first; of those that are freed meanwhile some.
    pub(crate) fn voids(&self) -> impl Iterator<Item = NonNull<u8>> {
        let start = self.face.start();
        (0..VOID_PLACES as usize)
            .map(move |place| start.wrapping_add(place.wrapping_mul(GRANULE)))
            .filter(|start| self.spot(Granule::of(start.addr())).is_out())
            .filter_map(NonNull::new)
    }

    /// No block is live from now on, whoever holds it, and the page is to be given up: no bit is left for what comes after it.
    pub(crate) fn end_voids(&self) -> Result<(), NotLive> {
        self.face.owner.claim_single::<All>()?;
        let bits = self.bits();
        bits.state.iter().chain(bits.remote).for_each(|word| word.store(0, Relaxed));
        self.hot.used.store(0, Relaxed);
        Ok(())
    }
}
