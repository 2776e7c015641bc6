//! Arenas: the address space that segments are taken from, reserved a gigabyte at a time.

use super::meta;
use super::space::{Locked, dice};
use crate::geometry::SEGMENT;
use crate::options::{self, Setting};
use crate::os::{self, Errno};
use crate::sync::{Acquire, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Relaxed, Release};
use core::ptr::{self, NonNull};

/// Segments of an arena at most: the bits of a word.
const MOST: usize = 64;

/// One reservation. Valid when all its bytes are zero.
#[derive(Debug)]
struct Arena {
    base: AtomicPtr<u8>,
    segments: AtomicU32,
    /// Segments taken.
    used: AtomicU64,
    next: AtomicPtr<Arena>,
}

// SAFETY: atomics, for which zero is valid.
unsafe impl meta::Zeroed for Arena {}

static ARENAS: AtomicPtr<Arena> = AtomicPtr::new(ptr::null_mut());
static RESERVED: AtomicUsize = AtomicUsize::new(0);

/// Address space reserved for arenas, in bytes.
pub(crate) fn reserved() -> usize {
    RESERVED.load(Relaxed)
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

/// Takes the memory of a segment, inaccessible, from a random place of an arena that has one.
pub(super) fn take(locked: &Locked) -> Result<NonNull<u8>, Errno> {
    match arenas().find_map(Arena::draw) {
        Some(base) => Ok(base),
        None => reserve(locked)?.draw().ok_or(Errno::NOMEM),
    }
}

/// The memory of a segment comes back, untouched.
pub(super) fn put_back(base: NonNull<u8>, _locked: &Locked) {
    for arena in arenas() {
        let index = base.addr().get().wrapping_sub(arena.base.load(Relaxed).addr()) / SEGMENT;
        if index < arena.segments.load(Relaxed) as usize {
            arena.used.store(arena.used.load(Relaxed) & !1_u64.wrapping_shl(index as u32), Relaxed);
        }
    }
}

impl Arena {
    fn draw(&self) -> Option<NonNull<u8>> {
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
        NonNull::new(self.base.load(Relaxed).wrapping_add((index as usize).wrapping_mul(SEGMENT)))
    }
}

/// Reserves an arena: of the wished size, or of half as much as long as that is refused.
fn reserve(locked: &Locked) -> Result<&'static Arena, Errno> {
    let mut segments = (options::bytes(Setting::ArenaReserve) / SEGMENT).clamp(1, MOST);
    if let Some(limit) = os::address_space_limit() {
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
    let arena = match meta::allocate::<Arena>(locked) {
        Ok(arena) => arena,
        Err(error) => {
            // SAFETY: just reserved, and nobody else's.
            unsafe { os::release(span) };
            return Err(error);
        }
    };
    arena.base.store(span.start().as_ptr(), Relaxed);
    arena.segments.store(segments as u32, Relaxed);
    arena.next.store(ARENAS.load(Relaxed), Relaxed);
    ARENAS.store(ptr::from_ref(arena).cast_mut(), Release);
    RESERVED.fetch_add(span.len(), Relaxed);
    Ok(arena)
}
