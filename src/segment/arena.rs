//! Arenas: the address space that segments are taken from, reserved a gigabyte at a time.

use super::area::{Brought, Home};
use super::slices::Spread;
use super::space::{Locked, dice};
use super::{committed, meta};
use crate::geometry::SEGMENT;
use crate::options::{self, Setting};
use crate::os::{self, Errno, Span};
use crate::sync::{Acquire, AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Relaxed, Release};
use core::ptr::{self, NonNull};

/// Segments of an arena at most: the bits of a word.
const MOST: usize = 64;

/// One reservation, or 64 segments of one. Valid when all its bytes are zero.
#[derive(Debug)]
struct Arena {
    base: AtomicPtr<u8>,
    segments: AtomicU32,
    /// Segments taken.
    used: AtomicU64,
    /// Those of them that were unmapped.
    gone: AtomicU64,
    next: AtomicPtr<Arena>,
    /// The area that the program knows it by; 0 for those that we have reserved ourselves.
    area: AtomicU32,
    /// What the program says of it, if it has brought it.
    nature: AtomicU8,
}

/// Memory for a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plot {
    pub(super) base: NonNull<u8>,
    pub(super) area: u32,
    pub(super) nature: Nature,
}

/// What memory is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nature(pub(super) u8);

impl Nature {
    /// The program has brought it.
    pub(super) const BROUGHT: u8 = 1;
    /// It can be read and written.
    pub(super) const COMMITTED: u8 = 2;
    /// And takes no protections.
    pub(super) const PINNED: u8 = 4;
    /// It is zero.
    pub(super) const ZERO: u8 = 8;

    fn of(brought: Option<Brought>) -> Nature {
        let Some(brought) = brought else { return Nature(Nature::ZERO) };
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        Nature(
            Nature::BROUGHT
                | flag(brought.committed, Nature::COMMITTED)
                | flag(brought.pinned, Nature::PINNED)
                | flag(brought.zero, Nature::ZERO),
        )
    }

    pub(super) const fn has(self, flag: u8) -> bool {
        self.0 & flag != 0
    }
}

// SAFETY: atomics, for which zero is valid.
unsafe impl meta::Zeroed for Arena {}

static ARENAS: AtomicPtr<Arena> = AtomicPtr::new(ptr::null_mut());
/// Descriptions without memory.
static SPARE: AtomicPtr<Arena> = AtomicPtr::new(ptr::null_mut());
static RESERVED: AtomicUsize = AtomicUsize::new(0);
/// Whether address space was limited when the last arena was reserved.
static SCARCE: AtomicBool = AtomicBool::new(false);

/// Address space reserved for arenas, in bytes.
pub(crate) fn reserved() -> usize {
    RESERVED.load(Relaxed)
}

/// How the slices of segments are to be drawn.
pub(super) fn spread() -> Spread {
    if SCARCE.load(Relaxed) { Spread::Grid } else { Spread::Anywhere }
}

/// How many arenas there are.
pub(crate) fn count() -> usize {
    arenas().count()
}

fn arenas() -> impl Iterator<Item = &'static Arena> {
    let mut next = ARENAS.load(Acquire);
    core::iter::from_fn(move || {
        // SAFETY: null or an arena, which is never unmapped.
        let arena = unsafe { next.as_ref() }?;
        next = arena.next.load(Relaxed);
        Some(arena)
    })
}

/// Takes the memory of a segment, from a random place of an arena that has one and lies at home.
pub(super) fn take(home: Home, locked: &Locked) -> Result<Plot, Errno> {
    let at_home = |arena: &&Arena| home.admits(arena.area.load(Relaxed));
    match arenas().filter(at_home).find_map(Arena::draw) {
        Some(plot) => Ok(plot),
        None if home.is_anywhere() => reserve(locked)?.draw().ok_or(Errno::NOMEM),
        None => Err(Errno::NOMEM),
    }
}

/// Whether the span meets an arena.
pub(super) fn overlaps(span: Span) -> bool {
    let end = span.address().wrapping_add(span.len());
    arenas().flat_map(Arena::plots).any(|plot| plot.addr() < end && span.address() < plot.addr().wrapping_add(SEGMENT))
}

/// The memory of a segment comes back, untouched.
pub(super) fn put_back(base: NonNull<u8>, _locked: &Locked) {
    if let Some((arena, mask)) = find(base) {
        arena.used.store(arena.used.load(Relaxed) & !mask, Relaxed);
    }
}

/// The memory of a segment, which has nothing in it and which nobody knows any more, goes back to the system.
pub(super) fn unmap(base: NonNull<u8>, locked: &Locked) {
    if let Some((arena, mask)) = find(base) {
        arena.unmap(mask, locked);
    }
}

/// The same for what was reserved at our own wish and never used.
pub(super) fn unmap_rest(locked: &Locked) {
    for arena in arenas().filter(|arena| arena.area.load(Relaxed) == 0) {
        // Read first: with its last segment the arena is forgotten.
        let (used, segments) = (arena.used.load(Relaxed), arena.segments.load(Relaxed));
        let free = (0..segments).map(|index| 1_u64.wrapping_shl(index)).filter(|mask| used & mask == 0);
        arena.used.store(free.clone().fold(used, |all, mask| all | mask), Relaxed);
        free.for_each(|mask| arena.unmap(mask, locked));
    }
}

/// The arena of a segment in use, and the segment's bit there.
fn find(base: NonNull<u8>) -> Option<(&'static Arena, u64)> {
    arenas().find_map(|arena| {
        let index = arena.plots().position(|plot| plot.addr() == base.addr().get())?;
        Some((arena, 1_u64.wrapping_shl(index as u32)))
    })
}

impl Arena {
    /// Where its segments lie, used or not; null for those that are gone.
    fn plots(&'static self) -> impl Iterator<Item = *mut u8> {
        let (base, gone) = (self.base.load(Relaxed), self.gone.load(Relaxed));
        (0..self.segments.load(Relaxed)).map(move |index| match gone & 1_u64.wrapping_shl(index) {
            0 => base.wrapping_add((index as usize).wrapping_mul(SEGMENT)),
            _ => ptr::null_mut(),
        })
    }

    /// The memory of the segment with this bit, which is used by nobody, goes back to the system; with the last of them the arena is
    /// none any more, and its description waits for the next.
    fn unmap(&'static self, mask: u64, _locked: &Locked) {
        let Some(start) = self.plots().nth(mask.trailing_zeros() as usize).and_then(NonNull::new) else { return };
        // SAFETY: the segment's part of a mapping of ours.
        let span = unsafe { Span::new(start, SEGMENT) };
        // SAFETY: it is given up.
        unsafe { os::release(span) };
        RESERVED.fetch_sub(SEGMENT, Relaxed);
        self.gone.store(self.gone.load(Relaxed) | mask, Relaxed);
        if self.gone.load(Relaxed).count_ones() < self.segments.load(Relaxed) {
            return;
        }
        let links = || core::iter::once(&ARENAS).chain(arenas().map(|arena| &arena.next));
        if let Some(link) = links().find(|link| ptr::eq(link.load(Relaxed), self)) {
            link.store(self.next.load(Relaxed), Relaxed);
        }
        self.used.store(0, Relaxed);
        self.gone.store(0, Relaxed);
        self.next.store(SPARE.load(Relaxed), Relaxed);
        SPARE.store(ptr::from_ref(self).cast_mut(), Relaxed);
    }

    fn draw(&self) -> Option<Plot> {
        let used = self.used.load(Relaxed);
        let count = self.segments.load(Relaxed);
        let free = count.checked_sub(used.count_ones()).filter(|&free| free != 0)?;
        let mut skip = dice().below(free);
        let index = (0..count).find(|&index| {
            let is_free = used & 1_u64.wrapping_shl(index) == 0;
            let chosen = is_free && skip == 0;
            skip = skip.wrapping_sub(u32::from(is_free));
            chosen
        })?;
        self.used.store(used | 1_u64.wrapping_shl(index), Relaxed);
        let base = NonNull::new(self.base.load(Relaxed).wrapping_add((index as usize).wrapping_mul(SEGMENT)))?;
        Some(Plot { base, area: self.area.load(Relaxed), nature: Nature(self.nature.load(Relaxed)) })
    }
}

/// Reserves an arena: of the wished size, or of half as much as long as that is refused.
fn reserve(locked: &Locked) -> Result<&'static Arena, Errno> {
    let mut segments = (options::bytes(Setting::ArenaReserve) / SEGMENT).clamp(1, MOST);
    let limit = os::address_space_limit();
    SCARCE.store(limit.is_some(), Relaxed);
    if let Some(limit) = limit {
        // The program needs address space of its own: stacks, libraries, mappings.
        segments = segments.min((limit / 8 / SEGMENT).max(1));
    }
    let span = loop {
        match os::reserve(segments.wrapping_mul(SEGMENT), SEGMENT, Some(meta::random_hint(SEGMENT, locked))) {
            Ok(span) => break span,
            Err(error) if segments == 1 => return Err(error),
            Err(_) => segments /= 2,
        }
    };
    if let Err(error) = add(span, 0, None, locked) {
        // SAFETY: just reserved, and nobody else's.
        unsafe { os::release(span) };
        return Err(error);
    }
    arenas().next().ok_or(Errno::NOMEM)
}

/// Makes arenas of a span of whole segments. On failure it is as it was.
pub(super) fn add(span: Span, area: u32, brought: Option<Brought>, locked: &Locked) -> Result<(), Errno> {
    let segments = span.len() / SEGMENT;
    for _ in 0..segments.div_ceil(MOST) {
        // All descriptions first: what is made cannot be given back, but waits for the next.
        let arena = meta::allocate::<Arena>(locked)?;
        arena.next.store(SPARE.load(Relaxed), Relaxed);
        SPARE.store(ptr::from_ref(arena).cast_mut(), Relaxed);
    }
    // From the last to the first: the first is found first.
    for part in (0..segments.div_ceil(MOST)).rev() {
        // SAFETY: null or an arena, which is never unmapped.
        let Some(arena) = (unsafe { SPARE.load(Relaxed).as_ref() }) else { return Err(Errno::NOMEM) };
        SPARE.store(arena.next.load(Relaxed), Relaxed);
        let first = part.wrapping_mul(MOST);
        let base = span.start().as_ptr().wrapping_add(first.wrapping_mul(SEGMENT));
        arena.base.store(base, Relaxed);
        arena.segments.store(segments.wrapping_sub(first).min(MOST) as u32, Relaxed);
        arena.area.store(area, Relaxed);
        arena.nature.store(Nature::of(brought).0, Relaxed);
        arena.next.store(ARENAS.load(Relaxed), Relaxed);
        ARENAS.store(ptr::from_ref(arena).cast_mut(), Release);
    }
    RESERVED.fetch_add(span.len(), Relaxed);
    if brought.is_some_and(|brought| brought.committed) {
        committed::rise(span.len(), locked);
    }
    Ok(())
}
