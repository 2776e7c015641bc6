//! Freed large ranges wait here, inaccessible, before their addresses are used again: which of them leaves next is drawn.

use super::space::{self, Locked, Run, dice};
use super::{Role, Segment};
use crate::geometry::SLICE;
use crate::options::{self, Setting};
use crate::page::Contents;
use crate::sync::{AtomicPtr, AtomicU32, AtomicUsize, Relaxed};
use core::ptr;

/// Places there are; the option can only lower the number in use.
pub(crate) const PLACES: usize = 256;

struct Place {
    segment: AtomicPtr<Segment>,
    first: AtomicU32,
    count: AtomicU32,
    /// What the range counts for, as it did when it came: the option may have changed since.
    charge: AtomicUsize,
}

static WAITING: [Place; PLACES] = [const {
    Place {
        segment: AtomicPtr::new(ptr::null_mut()),
        first: AtomicU32::new(0),
        count: AtomicU32::new(0),
        charge: AtomicUsize::new(0),
    }
}; PLACES];
static COUNT: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes of address space that wait.
pub(crate) fn bytes() -> usize {
    BYTES.load(Relaxed)
}

/// What the range counts for. One that is larger than all that may wait waits alone, and gives its memory back at once.
fn charge(run: &Run, most: usize) -> usize {
    let length = match run.segment.role() {
        Role::Huge => run.segment.huge_span().map_or(0, |span| span.len()),
        _ => run.count.wrapping_mul(SLICE),
    };
    length.min(most)
}

/// The range waits from now on; others may leave for it.
pub(super) fn enter(run: Run, locked: &Locked) {
    let (most_bytes, most) =
        (options::bytes(Setting::QuarantineBytes), options::bytes(Setting::QuarantineCount).min(PLACES));
    if most_bytes == 0 || most == 0 {
        leave(&run, locked);
        return;
    }
    let length = charge(&run, most_bytes);
    if length == most_bytes {
        // As large as all that may wait: it waits alone, and its memory does not.
        match run.segment.role() {
            Role::Huge => run.segment.purge_huge(true, locked),
            _ => run.segment.purge_run(run.first, run.count, locked),
        }
    }
    while COUNT.load(Relaxed) >= most || BYTES.load(Relaxed).wrapping_add(length) > most_bytes {
        evict(locked);
    }
    let count = COUNT.load(Relaxed);
    if let Some(place) = WAITING.get(count) {
        place.segment.store(ptr::from_ref(run.segment).cast_mut(), Relaxed);
        place.first.store(run.first as u32, Relaxed);
        place.count.store(run.count as u32, Relaxed);
        place.charge.store(length, Relaxed);
        COUNT.store(count.wrapping_add(1), Relaxed);
        BYTES.fetch_add(length, Relaxed);
    }
}

/// One range, drawn at random, leaves.
fn evict(locked: &Locked) {
    let count = COUNT.load(Relaxed);
    let last = count.wrapping_sub(1);
    let chosen = dice().below(count as u32) as usize;
    let (Some(place), Some(filler)) = (WAITING.get(chosen), WAITING.get(last)) else { return };
    // SAFETY: a place below COUNT holds a segment's metadata, which is never unmapped.
    let segment = unsafe { place.segment.load(Relaxed).as_ref() };
    let (first, slices) = (place.first.load(Relaxed) as usize, place.count.load(Relaxed) as usize);
    BYTES.fetch_sub(place.charge.load(Relaxed), Relaxed);
    place.segment.store(filler.segment.load(Relaxed), Relaxed);
    place.first.store(filler.first.load(Relaxed), Relaxed);
    place.count.store(filler.count.load(Relaxed), Relaxed);
    place.charge.store(filler.charge.load(Relaxed), Relaxed);
    COUNT.store(last, Relaxed);
    if let Some(segment) = segment {
        leave(&Run { segment, first, count: slices, contents: Contents::Unknown }, locked);
    }
}

/// All leave.
pub(super) fn empty(locked: &Locked) {
    while COUNT.load(Relaxed) != 0 {
        evict(locked);
    }
}

fn leave(run: &Run, locked: &Locked) {
    match run.segment.role() {
        Role::Huge => run.segment.unmap_huge(locked),
        _ => space::give(run, locked),
    }
}
