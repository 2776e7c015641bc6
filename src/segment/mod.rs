//! Segments: 32 MiB of address space, cut into slices, and all that is known about them, kept elsewhere.
//!
//! ```text
//!  arena (1 GiB reserved, inaccessible, at a random address)
//! |- segment ------------------|- segment ------------------|- ...
//! |X|s|s|s|s|s| ... |s|s|s|s|X|X|s|s|s|s|s| ...                X: slices that are never accessible
//!    ^ slices hold pages; a free slice is inaccessible until it is used
//!
//!  metadata, one mapping a segment, at an unrelated random address between guards of its own
//! |X| tables: state, remote, pending | 512 page descriptions | heads | slice maps |X|
//!                                                              ^ slice -> the page that it belongs to
//!  segment map, a flat table: address >> 25 -> metadata, or nobody's
//! ```
//!
//! So a linear overflow of user memory meets an inaccessible slice before it leaves its segment, and metadata can be
//! reached only by knowing its address. Metadata is never unmapped and never changes its type: a late mark by another
//! thread always finds a valid place.
//!
//! All threads share the segments. One lock ([`space`]) guards who has which slice; it is taken when a page is born or
//! given up, never on the paths of malloc and free.
//!
//! Reading order: [`map`], [`meta`], [`slices`], [`arena`], [`mod@area`], [`budget`], [`access`], [`closing`], [`broad`], [`body`], [`zone`], [`space`], [`single`], [`singles`],
//! [`huge`], [`ranges`], [`quarantine`], [`purge`], [`vacant`], [`wiping`], [`orphans`], [`sampled`], [`trace`], [`voids`]; then what the statistics ask for: [`committed`],
//! [`tally`], [`peak`].

mod access;
mod area;
mod arena;
mod body;
mod broad;
mod budget;
mod closing;
pub(crate) mod committed;
mod huge;
pub(crate) mod map;
pub(crate) mod meta;
mod orphans;
pub(crate) mod peak;
mod purge;
mod quarantine;
mod ranges;
mod sampled;
mod single;
mod singles;
mod slices;
pub(crate) mod space;
mod tally;
mod trace;
mod vacant;
mod voids;
mod wiping;
mod zone;

pub use area::{ArenaId, Brought, NoArena, Use};
pub(crate) use area::{Home, area, manage, reserve, reserve_gigantic};
pub(crate) use arena::{count as arenas, reserved};
pub(crate) use budget::{borders, left_open, left_out};
pub(crate) use huge::grow as grow_to_huge;
pub(crate) use orphans::free_slices as free_slices_of_orphans;
pub(crate) use purge::{everything as purge_all, tick as purge_due};
pub(crate) use quarantine::bytes as quarantined;
pub(crate) use sampled::{
    Damage, Sampled, allocate as allocate_sampled, made as sampled_in_all, release_all as release_sampled,
    visit as visit_sampled, waiting as sampled_waiting,
};
#[cfg(test)]
pub(crate) use single::retire_half;
pub(crate) use single::{
    SingleShape, allocate as allocate_single, claim as claim_single, end_orphans, resize as resize_single,
    retire as retire_single,
};
pub(crate) use singles::Singles;
pub(crate) use space::{Run, claim, huge_bytes, segments, segments_of};
pub(crate) use tally::Tally;
pub(crate) use voids::{allocate as allocate_void, free as free_void};
pub(crate) use wiping::wipe_single;

use crate::entropy::Rng;
use crate::geometry::{Class, Granule, SEGMENT, SLICE, SLICES, UserPtr};
use crate::os::{Span, valgrind};
use crate::page::{Contents, Extent, Page, Tables};
use crate::remote::{Mailbox, Owned, Owner};
use crate::sync::{Acquire, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Relaxed, Release};
use arena::Nature;
use core::mem::offset_of;
use core::ptr::{self, NonNull};
use slices::SliceSet;
pub(crate) use zone::Zone;

/// What a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Shared by all threads, cut into slices.
    Shared,
    /// A mapping of its own, with one block. The segment is the one that the block starts in.
    Huge,
    /// A segment that such a mapping covers but its block does not start in, or a description that waits for its use.
    Covered,
}

const SHARED: u8 = 1;
const HUGE: u8 = 2;

/// A segment's metadata. Valid when all its bytes are zero.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Segment {
    tables: Tables,
    pages: [Page; SLICES],
    /// For each slice in use, how far into this structure the description of its page lies; 0 if it was never used.
    heads: [AtomicU32; SLICES],
    /// The segment's memory.
    base: AtomicPtr<u8>,
    /// The whole mapping of a huge one.
    span_base: AtomicPtr<u8>,
    span_len: AtomicUsize,
    /// Bytes of a huge one that count as committed.
    committed: AtomicUsize,
    number: AtomicU32,
    role: AtomicU8,
    /// What its slices are for.
    zone: AtomicU8,
    /// Who allocated and freed what stands alone in this segment; null in segments of other zones.
    traces: AtomicPtr<trace::Traces>,
    /// What its memory is like.
    nature: AtomicU8,
    /// The area of the program's that it lies in; 0 if in none.
    area: AtomicU32,
    /// Slices that belong to a page or wait in the quarantine.
    used: SliceSet,
    /// Slices that the kernel lets us write, if no guard lies in them.
    writable: SliceSet,
    /// Slices with guards in them.
    guarded: SliceSet,
    /// Those of them where it is only the guard at the end of a page of blocks.
    ends: SliceSet,
    /// Slices in which the kernel was asked for huge pages.
    broad: SliceSet,
    /// First slices of pages of one block that can be closed and opened by themselves.
    apart: SliceSet,
    /// First slices of pages of one block whose guards had to be left out.
    bare: SliceSet,
    /// Unused slices that still hold memory.
    dirty: SliceSet,
    /// Slices that read as zero, for nobody has written to them since the kernel took their memory back. Not in use.
    zero: SliceSet,
    /// Slices where an abandoned page starts: a hint for those who look for one.
    pub(crate) abandoned: SliceSet,
    /// Those that were dirty already when the last purge came by.
    aged: SliceSet,
    /// When a purge comes by next, in milliseconds; 0 if nothing is dirty.
    due: AtomicU64,
    /// The next of the segments whose number is the same modulo 64. Segments are only ever added.
    next: AtomicPtr<Segment>,
    /// Links of the list of segments with free slices, or of the stock of unused descriptions.
    room_next: AtomicPtr<Segment>,
    room_previous: AtomicPtr<Segment>,
    in_room: AtomicU8,
}

impl Segment {
    #[inline(always)]
    pub(crate) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The same, for those who keep it.
    pub(crate) fn tables_forever(&'static self) -> &'static Tables {
        &self.tables
    }

    /// The page that the slice of `granule` belongs to. Only for granules of blocks that are, or were, in use.
    #[inline(always)]
    pub(crate) fn page_of(&'static self, granule: Granule) -> &'static Page {
        // SAFETY: a granule's slice is below SLICES by construction.
        let head = unsafe { self.heads.get_unchecked(granule.slice()) }.load(Relaxed) as usize;
        let page = ptr::from_ref(self).wrapping_byte_add(head).cast::<Page>();
        // SAFETY: heads are written by `set_heads` only, with the offset of an element of `pages`; the zero of a slice that
        // was never used points at the tables, whose words are as valid for a page of atomics.
        unsafe { &*page }
    }

    /// The page that starts at `slice`.
    pub(crate) fn page_at(&'static self, slice: usize) -> Option<&'static Page> {
        self.pages.get(slice)
    }

    /// Whether the slice was ever part of a page.
    pub(crate) fn has_page(&self, granule: Granule) -> bool {
        self.heads.get(granule.slice()).is_some_and(|head| head.load(Relaxed) != 0)
    }

    /// From now on these slices belong to the page that starts at `first`.
    fn set_heads(&self, first: usize, slices: usize) {
        if let Some(page) = self.pages.get(first) {
            page.face.owner.conceive();
        }
        let offset = offset_of!(Segment, pages).wrapping_add(first.wrapping_mul(size_of::<Page>()));
        for head in self.heads.iter().skip(first).take(slices) {
            // Whoever finds the page by this sees that it was conceived: what it loads next depends on what it loads here.
            head.store(offset as u32, Release);
        }
    }

    /// The page of a huge block: the only one of its segment.
    pub(crate) fn first_page(&'static self) -> Option<&'static Page> {
        self.pages.iter().find(|page| page.face.owner.load() == Owner::Single)
    }

    /// All pages that exist now, of one block or of many.
    pub(crate) fn pages(&'static self) -> impl Iterator<Item = &'static Page> {
        self.pages.iter().filter(|page| page.face.owner.load() != Owner::Nobody)
    }

    pub(crate) fn role(&self) -> Role {
        match self.role.load(Acquire) {
            SHARED => Role::Shared,
            HUGE => Role::Huge,
            _ => Role::Covered,
        }
    }

    pub(crate) fn zone(&self) -> Zone {
        Zone::of(self.zone.load(Relaxed))
    }

    fn nature(&self) -> Nature {
        Nature(self.nature.load(Relaxed))
    }

    /// Whether the program has brought the memory.
    fn is_brought(&self) -> bool {
        self.nature().has(Nature::BROUGHT)
    }

    /// And it takes no protections.
    pub(crate) fn is_pinned(&self) -> bool {
        self.nature().has(Nature::PINNED)
    }

    fn area(&self) -> u32 {
        self.area.load(Relaxed)
    }

    /// Whether a heap that lives there may use the segment.
    pub(crate) fn is_at(&self, home: Home) -> bool {
        home.admits(self.area()) && self.zone() == home.zone()
    }

    pub(crate) fn number(&self) -> u32 {
        self.number.load(Relaxed)
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base.load(Relaxed)
    }

    /// Whether the slice belongs to a page, or waits in the quarantine.
    #[cfg(test)]
    pub(crate) fn is_used(&self, slice: usize) -> bool {
        self.used.has(slice)
    }

    /// The memory of these slices.
    fn span(&self, first: usize, slices: usize) -> Option<Span> {
        let base = NonNull::new(self.base())?;
        // SAFETY: a segment's base is the start of SEGMENT bytes of a mapping that is never given back while it is one.
        let whole = unsafe { Span::new(base, SEGMENT) };
        whole.part(first.wrapping_mul(SLICE), slices.wrapping_mul(SLICE))
    }

    /// Whether the address lies in the mapping of the huge block, guards included.
    pub(crate) fn maps_huge(&self, address: usize) -> bool {
        self.huge_span().is_some_and(|span| address.wrapping_sub(span.address()) < span.len())
    }

    /// The whole mapping of a huge block.
    fn huge_span(&self) -> Option<Span> {
        let base = NonNull::new(self.span_base.load(Relaxed))?;
        // SAFETY: both were stored together when the mapping was made.
        Some(unsafe { Span::new(base, self.span_len.load(Relaxed)) })
    }
}

/// The segment that a page lies in.
pub(crate) fn segment_of(page: &Page) -> Option<&'static Segment> {
    map::find(UserPtr::new(page.face.start())).map(|(segment, _)| segment)
}

/// A page of `class` is born in slices that were claimed for it, owned by the thread with mailbox `me`; or it is found that
/// the block with this granule's index was freed once more when nothing in these slices was live.
pub(crate) fn bear(
    run: &Run,
    class: Class,
    me: *mut Mailbox,
    rng: &Rng,
) -> Option<(&'static Page, Result<Owned, usize>)> {
    let page = run.segment.page_at(run.first)?;
    let span = run.segment.span(run.first, run.count)?;
    valgrind::nobody_may_access(span);
    let start = span.start();
    run.segment.set_heads(run.first, run.count);
    let extent = Extent { first_slice: run.first, slices: run.count, segment_number: run.segment.number(), start };
    let owned = page.bear(&run.segment.tables, class, &extent, run.contents, me, rng);
    page.face.put_down();
    Some((page, owned))
}

/// A page without live blocks is given up, and its slices with it.
pub(crate) fn retire(page: &'static Page, owned: Owned) {
    let (first, count) = (page.face.first_slice(), page.face.slices());
    let segment = segment_of(page);
    // Before, for a fork may come at once.
    page.face.take_blocks_in_hand(first, count);
    page.face.owner.retire(owned);
    if let Some(segment) = segment {
        space::release(&Run { segment, first, count, contents: Contents::Unknown });
    }
}

// SAFETY: every field is an atomic, or an array of such, and zero is valid for each.
unsafe impl meta::Zeroed for Segment {}
