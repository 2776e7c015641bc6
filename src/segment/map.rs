//! The segment map: one load tells whose segment an address is in, or that it is nobody's.
//!
//! A flat table indexed by `address >> 25`, reserved once: readable only, so that it is charged to no limit, and zero, which
//! is "nobody's". A chunk becomes writable when a segment is first entered in it.

use super::space::Locked;
use super::{Segment, meta};
use crate::geometry::{GRANULES, Granule, SEGMENT, SEGMENT_NUMBERS, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::os::{self, Errno};
use crate::sync::{Acquire, AtomicPtr, AtomicU64, AtomicUsize, Relaxed, Release};
use core::ptr;

/// Bytes of a chunk.
const CHUNK: usize = 64 * 1024;
/// Bytes of the table.
const BYTES: usize = SEGMENT_NUMBERS * size_of::<Entry>();
const CHUNKS: usize = BYTES.div_ceil(CHUNK);

type Entry = AtomicPtr<Segment>;

/// Where the table is, and how far it reaches: two words that every free reads.
#[repr(C, align(64))]
struct Map {
    /// Granules from this number on are nobody's. 0 until there is a table.
    limit: AtomicUsize,
    table: AtomicPtr<Entry>,
    /// Which chunks are writable.
    opened: [AtomicU64; CHUNKS.div_ceil(64)],
}

static MAP: Map = Map {
    limit: AtomicUsize::new(0),
    table: AtomicPtr::new(ptr::null_mut()),
    opened: [const { AtomicU64::new(0) }; CHUNKS.div_ceil(64)],
};

/// The segment that the pointer lies in and its granule there, if the segment is ours and a block can start there: not at an
/// address that is no multiple of a granule.
#[inline(always)]
pub(crate) fn find(pointer: UserPtr) -> Option<(&'static Segment, Granule)> {
    let number = pointer.granule_number();
    // Acquire: a thread that asks about a pointer out of nowhere may see the limit of a table before the table.
    if number >= MAP.limit.load(Acquire) {
        return None;
    }
    let table = MAP.table.load(Relaxed);
    let entry = table.wrapping_add(number / GRANULES);
    // SAFETY: the limit was set behind the table and read before it, so there is one, with an entry for every granule below the limit.
    let segment = unsafe { &*entry }.load(Acquire);
    // SAFETY: an entry is null or a segment's metadata, which is never unmapped.
    let segment = unsafe { segment.as_ref() }?;
    Some((segment, Granule::numbered(number)))
}

/// The segment with this number, if it is ours.
pub(crate) fn find_number(number: usize) -> Option<&'static Segment> {
    let start = ptr::without_provenance_mut(number.checked_mul(SEGMENT)?);
    find(UserPtr::new(start)).map(|(segment, _)| segment)
}

/// Where it stands whose a block is, for tests.
#[cfg(test)]
pub(super) fn place_of(block: *mut u8) -> *mut u8 {
    MAP.table.load(Relaxed).wrapping_add(UserPtr::new(block).granule_number() / GRANULES).cast()
}

/// Reserves the table.
pub(super) fn start(_locked: &Locked) -> Result<(), Errno> {
    if MAP.limit.load(Relaxed) != 0 {
        return Ok(());
    }
    let table = os::reserve_table(BYTES.next_multiple_of(os::page_size().max(CHUNK)))?;
    MAP.table.store(table.start().as_ptr().cast(), Relaxed);
    MAP.limit.store(SEGMENT_NUMBERS.wrapping_mul(GRANULES), Release);
    Ok(())
}

/// Enters `segment` for `count` numbers from `first` on, or takes them out.
pub(super) fn set(first: usize, count: usize, segment: Option<&'static Segment>, locked: &Locked) -> Result<(), Errno> {
    let end = first.wrapping_add(count);
    if end > SEGMENT_NUMBERS {
        return Err(Errno::NOMEM);
    }
    for number in first..end {
        open_chunk(number, locked)?;
    }
    let table = MAP.table.load(Relaxed);
    let value = segment.map_or(ptr::null_mut(), |segment| ptr::from_ref(segment).cast_mut());
    for number in first..end {
        let entry = table.wrapping_add(number);
        // SAFETY: the number is below SEGMENT_NUMBERS, and its chunk was made writable above.
        unsafe { &*entry }.store(value, Release);
    }
    Ok(())
}

/// Makes the chunk with this number's entry writable.
fn open_chunk(number: usize, locked: &Locked) -> Result<(), Errno> {
    let chunk = number.wrapping_mul(size_of::<Entry>()) / CHUNK;
    let Some(word) = MAP.opened.get(chunk >> 6) else { return Err(Errno::NOMEM) };
    let mask = 1_u64.wrapping_shl(chunk as u32 & 63);
    if word.load(Relaxed) & mask != 0 {
        return Ok(());
    }
    let start = MAP.table.load(Relaxed).cast::<u8>().wrapping_add(chunk.wrapping_mul(CHUNK));
    let Some(start) = ptr::NonNull::new(start) else { return Err(Errno::NOMEM) };
    // SAFETY: a chunk of the table, whose length is a multiple of chunks; those are whole OS pages up to 64 KiB.
    let span = unsafe { os::Span::new(start, CHUNK) };
    // SAFETY: nobody relies on the table being unwritable.
    unsafe { os::open(span) }?;
    if MITIGATIONS.sealed {
        // SAFETY: a chunk that is writable stays so for ever.
        let _ = unsafe { os::seal(span) }; // counted where it is refused
    }
    meta::add_bytes(CHUNK, locked);
    word.store(word.load(Relaxed) | mask, Relaxed);
    Ok(())
}
