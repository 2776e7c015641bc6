//! Arenas that the program asks for: memory reserved at its wish, or brought by it, and who may use it.
//!
//! ```text
//!   reserve(size)          ours: as any other arena, only when the program likes         -+
//!   manage(start, size)    brought: never unmapped, and not to be relied upon             +-> area 1, 2, 3 ..
//!   gigantic pages         ours, but pinned: no protection, nothing given back           -+
//! ```
//!
//! What is brought may be anything that can be read and written: another process may share it, it may be a file's, locked, of
//! huge pages. So nothing is inferred from what the kernel is told about it: it is never taken to be zero but at first, if the
//! program says so; what is given back is wiped by hand; guards in it are protections, where it takes them, and left out
//! where it does not (*pinned*: not even tried). Segments in it lie where the program has put them.
//!
//! An **exclusive** area is used by heaps that name it, and by nobody else; such a heap uses nothing else. When the heap is deleted,
//! its pages there are abandoned, not given to the backing heap.

use super::arena;
use super::space::{Locked, lock};
use super::{Zone, map, meta};
use crate::geometry::{SEGMENT, SEGMENT_SHIFT};
use crate::os::{self, Errno, GIGANTIC, Span};
use crate::sync::{AtomicBool, AtomicPtr, AtomicUsize, Relaxed, Release};
use core::ptr::{self, NonNull};

/// So many areas there can be.
const MOST: usize = 112;

struct Area {
    start: AtomicPtr<u8>,
    len: AtomicUsize,
    exclusive: AtomicBool,
}

static AREAS: [Area; MOST] = [const {
    Area { start: AtomicPtr::new(ptr::null_mut()), len: AtomicUsize::new(0), exclusive: AtomicBool::new(false) }
}; MOST];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// An arena that the program has asked for: 1, 2, 3 and so on. Any other number is none, and allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct ArenaId(pub i32);

/// Who may use an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// All heaps.
    Shared,
    /// Only heaps that name it.
    Exclusive,
}

/// What the program says of memory that it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brought {
    /// It can be read and written already. Else it is made so as it is used.
    pub committed: bool,
    /// It takes no protections and gives nothing back, as huge pages do. Then it must be committed.
    pub pinned: bool,
    /// It is zero.
    pub zero: bool,
}

/// The system has no such memory, or what was brought cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoArena;

/// Where a heap's slices come from: the number of an area, or 0 for any that is not exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Home(u32);

impl Home {
    pub(crate) const ANY: Home = Home(0);
    /// Any area as well, and segments of a zone of their own.
    pub(crate) const DATA: Home = Home(u32::MAX.wrapping_sub(1));

    /// Of a number, as [`Home::number`] gave it.
    pub(crate) const fn numbered(number: u32) -> Home {
        Home(number)
    }

    /// The home that is this arena alone. Of an id that is none: one that has no memory.
    pub(crate) fn of(id: ArenaId) -> Home {
        let known = id.index().is_some_and(|index| index < COUNT.load(Relaxed));
        Home(if known { id.0.cast_unsigned() } else { u32::MAX })
    }

    pub(crate) const fn number(self) -> u32 {
        self.0
    }

    /// Whether any area will do.
    pub(super) fn is_anywhere(self) -> bool {
        self == Home::ANY || self == Home::DATA
    }

    /// What the segments there are for.
    pub(super) fn zone(self) -> Zone {
        if self == Home::DATA { Zone::Data } else { Zone::General }
    }

    /// Whether who lives here may use what lies in that area (0: in none).
    pub(super) fn admits(self, area: u32) -> bool {
        if self.is_anywhere() { !is_exclusive(area) } else { self.0 == area }
    }
}

/// Whether only heaps that name the area may use it.
pub(super) fn is_exclusive(area: u32) -> bool {
    (area as usize).checked_sub(1).and_then(|index| AREAS.get(index)).is_some_and(|area| area.exclusive.load(Relaxed))
}

impl ArenaId {
    fn index(self) -> Option<usize> {
        usize::try_from(self.0).ok()?.checked_sub(1)
    }
}

/// Where an arena lies, and its length.
pub(crate) fn area(id: ArenaId) -> Option<(*mut u8, usize)> {
    let area = AREAS.get(id.index()?).filter(|area| area.len.load(Relaxed) != 0)?;
    Some((area.start.load(Relaxed), area.len.load(Relaxed)))
}

/// Enters an area, whose memory nobody uses yet. None is left, or no memory for its description: then the span is as it was.
fn enter(span: Span, brought: Option<Brought>, used_by: Use, locked: &Locked) -> Result<ArenaId, Errno> {
    let index = COUNT.load(Relaxed);
    let area = AREAS.get(index).ok_or(Errno::NOMEM)?;
    map::start(locked)?;
    let number = index.wrapping_add(1) as u32;
    area.exclusive.store(used_by == Use::Exclusive, Relaxed);
    arena::add(span, number, brought, locked)?;
    area.start.store(span.start().as_ptr(), Relaxed);
    area.len.store(span.len(), Release);
    COUNT.store(index.wrapping_add(1), Relaxed);
    Ok(ArenaId(number.cast_signed()))
}

/// Reserves at least `size` bytes, for all heaps or for those that name the arena. Nothing is no arena.
pub(crate) fn reserve(size: usize, used_by: Use) -> Result<ArenaId, NoArena> {
    let size = size.checked_next_multiple_of(SEGMENT).filter(|size| *size > 0).ok_or(NoArena)?;
    let locked = lock();
    let span = os::reserve(size, SEGMENT, Some(meta::random_hint(SEGMENT, &locked))).map_err(|_| NoArena)?;
    enter(span, None, used_by, &locked).map_err(|_| {
        // SAFETY: just reserved, and nobody else's.
        unsafe { os::release(span) };
        NoArena
    })
}

/// Takes memory over that the program brings: whole segments of it. It must begin at a multiple of a segment's size, be mapped
/// all through, and be no memory of ours.
///
/// # Safety
/// - nobody else uses the memory from now on, and it stays mapped for ever;
/// - `brought` is true of it.
pub(crate) unsafe fn manage(start: *mut u8, size: usize, brought: Brought, used_by: Use) -> Result<ArenaId, NoArena> {
    let size = size & !SEGMENT.wrapping_sub(1);
    let start = NonNull::new(start).filter(|start| start.addr().get().is_multiple_of(SEGMENT)).ok_or(NoArena)?;
    let end = start.addr().get().checked_add(size).ok_or(NoArena)?;
    if size == 0 || end > 1 << os::ADDRESS_BITS || (brought.pinned && !brought.committed) {
        return Err(NoArena);
    }
    // SAFETY: what the caller brings; whether it is mapped is asked below.
    let span = unsafe { Span::new(start, size) };
    let locked = lock();
    let numbers = start.addr().get() >> SEGMENT_SHIFT..end >> SEGMENT_SHIFT;
    let is_ours = arena::overlaps(span) || numbers.into_iter().any(|number| map::find_number(number).is_some());
    if is_ours || !os::is_mapped(span) {
        return Err(NoArena);
    }
    // Memory that cannot be written is refused here and not where it is used.
    // SAFETY: the caller's promise.
    if brought.committed && !brought.pinned && unsafe { os::open(span) }.is_err() {
        return Err(NoArena);
    }
    enter(span, Some(brought), used_by, &locked).map_err(|_| NoArena)
}

/// Takes up to so many gigantic pages, in one piece, for at most so many milliseconds. How many there are, and the arena.
pub(crate) fn reserve_gigantic(
    pages: usize,
    node: Option<u32>,
    patience: u64,
    used_by: Use,
) -> Result<(ArenaId, usize), NoArena> {
    let begun = os::milliseconds();
    let mut taken: Option<Span> = None;
    let mut count = 0_usize;
    while count < pages && (count == 0 || os::milliseconds().wrapping_sub(begun) <= patience) {
        let hint = taken.map_or(0, |span| span.address().wrapping_add(span.len()));
        let Ok(page) = os::take_gigantic(hint, node) else { break };
        taken = match taken {
            None => Some(page),
            Some(span) if page.address() == hint => {
                // SAFETY: two mappings of ours that lie side by side.
                Some(unsafe { Span::new(span.start(), span.len().wrapping_add(GIGANTIC)) })
            }
            Some(_) => {
                // Elsewhere: one arena is one piece.
                // SAFETY: just taken, and nobody else's.
                unsafe { os::release(page) };
                break;
            }
        };
        count = count.wrapping_add(1);
    }
    let span = taken.ok_or(NoArena)?;
    let pinned = Brought { committed: true, pinned: true, zero: true };
    let entered = enter(span, Some(pinned), used_by, &lock());
    entered.map(|id| (id, count)).map_err(|_| {
        // SAFETY: just taken, and nobody else's.
        unsafe { os::release(span) };
        NoArena
    })
}
