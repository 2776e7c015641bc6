//! Who has which slice: the one lock of the segments, and what it guards.

use super::area::Home;
use super::arena::{Nature, Plot};
use super::zone::{Room, Zone};
use super::{HUGE, SHARED, Segment, arena, map, meta, peak, purge, trace};
use crate::entropy::{NoSecret, Rng};
use crate::geometry::{SEGMENT_SHIFT, SLICES};
use crate::os::{self, Errno, Guard, Lock};
use crate::page::Contents;
use crate::report::{self, Kind, Operation, Report};
use crate::sync::{Acquire, AtomicPtr, AtomicU32, AtomicUsize, Relaxed, Release};
use core::ptr;

static LOCK: Lock = Lock::new();
/// The thread that holds the lock over a fork; 0 if none does.
static FORKING: AtomicUsize = AtomicUsize::new(0);
/// Draws places in the address space. Used under the lock.
static DICE: Rng = Rng::new();
/// Segments with free slices.
static ROOM: Room = Room::new();
/// All segments by their number modulo 64, as a mailbox names them.
static ALL: [AtomicPtr<Segment>; 64] = [const { AtomicPtr::new(ptr::null_mut()) }; 64];
/// Descriptions of segments that were unmapped.
static STOCK: AtomicPtr<Segment> = AtomicPtr::new(ptr::null_mut());
/// What the map says of segments that a huge mapping covers and its block does not start in.
static COVERED: AtomicPtr<Segment> = AtomicPtr::new(ptr::null_mut());
static NUMBERS: AtomicU32 = AtomicU32::new(0);
static HUGE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Proof that the lock is held. Empty if it was held before.
pub(crate) struct Locked(#[allow(dead_code, reason = "held for its drop")] Option<Guard<'static>>);

/// Takes the lock. A thread that is reporting a misuse must not wait: it may hold the lock itself.
pub(crate) fn lock() -> Locked {
    if report::dying() {
        return lock_while_dying();
    }
    if !DICE.is_seeded() {
        seed_dice();
    }
    if is_held_by_this_fork() { Locked(None) } else { Locked(Some(LOCK.acquire())) }
}

/// Whether the calling thread holds the lock over a fork, and is in nobody's middle of anything: in another's fork handler, of a library
/// that registered before this one did, so that its handlers run inside ours.
fn is_held_by_this_fork() -> bool {
    // Written by the thread itself, or by another one: then it is not its mark, however late it is seen.
    let forking = FORKING.load(Relaxed);
    forking != 0 && forking == os::thread_mark()
}

/// Before the lock is taken: without randomness the process stops here, and a handler of its end may still allocate.
#[cold]
fn seed_dice() {
    if DICE.seed() == Err(NoSecret::NoRandomness) {
        report::die(&Report::new(Kind::NoRandomness, Operation::Malloc, 0))
    }
}

/// The reporter must not wait, for it may hold the lock itself; all others wait to die.
#[cold]
fn lock_while_dying() -> Locked {
    loop {
        if let Some(locked) = try_lock() {
            return locked;
        }
        if report::is_reporter() {
            report::finish();
        }
        report::die_if_dying();
    }
}

/// Takes the lock if nobody holds it.
pub(crate) fn try_lock() -> Option<Locked> {
    if is_held_by_this_fork() {
        return Some(Locked(None));
    }
    LOCK.try_acquire().map(|guard| Locked(Some(guard)))
}

/// Holds the lock over a fork; `release_after_fork` gives it back in both processes. Meanwhile the calling thread may take it.
pub(crate) fn hold_over_fork() {
    LOCK.hold();
    FORKING.store(os::thread_mark(), Relaxed);
}

/// The same, if nobody holds it.
#[must_use]
pub(crate) fn try_to_hold_over_fork() -> bool {
    let held = LOCK.try_to_hold();
    if held {
        FORKING.store(os::thread_mark(), Relaxed);
    }
    held
}

pub(crate) fn release_after_fork() {
    FORKING.store(0, Relaxed);
    LOCK.release();
}

/// The generator for places in the address space.
pub(super) fn dice() -> &'static Rng {
    &DICE
}

fn below(bound: u32) -> u32 {
    DICE.below(bound)
}

/// Slices claimed for a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) segment: &'static Segment,
    pub(crate) first: usize,
    pub(crate) count: usize,
    pub(crate) contents: Contents,
}

/// All segments whose number is `flag` modulo 64, the newest first.
pub(crate) fn segments_of(flag: usize) -> impl Iterator<Item = &'static Segment> {
    let mut next = ALL.get(flag).map_or(ptr::null_mut(), |head| head.load(Acquire));
    core::iter::from_fn(move || {
        // SAFETY: null or a segment's metadata, which is never unmapped.
        let segment = unsafe { next.as_ref() }?;
        next = segment.next.load(Acquire);
        Some(segment)
    })
}

/// All segments.
pub(crate) fn segments() -> impl Iterator<Item = &'static Segment> {
    (0..ALL.len()).flat_map(segments_of)
}

/// Bytes that mappings of huge blocks cover.
pub(crate) fn huge_bytes() -> usize {
    HUGE_BYTES.load(Relaxed)
}

pub(super) fn add_huge_bytes(bytes: usize) {
    HUGE_BYTES.fetch_add(bytes, Relaxed);
}

pub(super) fn remove_huge_bytes(bytes: usize) {
    HUGE_BYTES.fetch_sub(bytes, Relaxed);
}

/// How many segments are asked for slices that still have memory.
const WARM_LOOKS: usize = 8;

/// Claims slices for a page of blocks and makes them accessible: where it can be such as another page has left a moment ago, for
/// they are open, and hold memory that the kernel need not find.
pub(crate) fn claim(home: Home, count: usize) -> Result<Run, Errno> {
    let locked = lock();
    let open = |run: &Run| run.segment.open_for_blocks(run.first, run.count, &locked);
    let left = |segment: &'static Segment| {
        let has_some = !segment.dirty.is_empty();
        has_some.then(|| segment.used.draw_gap_within(&segment.dirty, count, arena::spread(), below)).flatten()
    };
    let mut nearest = roomy(home.zone(), home).take(WARM_LOOKS);
    let warm = nearest.find_map(|segment| take_from(segment, &left, count, &open, &locked)?.ok());
    let run = match warm {
        Some(run) => run,
        None => take(home, count, open, &locked)?,
    };
    if let Some(page) = run.segment.page_at(run.first) {
        page.face.take_blocks_in_hand(run.first, run.count);
    }
    drop(locked);
    peak::look_if_due();
    Ok(run)
}

/// Segments of the zone with free slices for who lives there. The next is found before one is handed out, which may leave the list.
fn roomy(zone: Zone, home: Home) -> impl Iterator<Item = &'static Segment> {
    let mut next = ROOM.first(zone);
    core::iter::from_fn(move || {
        // SAFETY: null or a segment's metadata, which is never unmapped.
        let segment = unsafe { next.as_ref() }?;
        next = segment.room_next.load(Relaxed);
        Some(segment)
    })
    .filter(move |segment| home.admits(segment.area()))
}

/// Gives the slices of a page of blocks back, out of whoever's hand. They are purged after the delay.
pub(crate) fn release(run: &Run) {
    let locked = lock();
    if let Some(page) = run.segment.page_at(run.first) {
        page.face.put_down();
    }
    run.segment.dirty.add(run.first, run.count);
    give(run, &locked);
    purge::schedule(run.segment, &locked);
}

/// Takes slices out of the free ones and has `open` make of them what they are to be.
///
/// Where the system lets no more memory be opened, slices that are open already may be left, here or in another segment; and where
/// it is maps that there are no more of, some are won by leaving guards out.
pub(super) fn take(
    home: Home,
    count: usize,
    open: impl Fn(&Run) -> Result<(), Errno>,
    locked: &Locked,
) -> Result<Run, Errno> {
    match take_new(home.zone(), home, count, &open, locked) {
        Err(Failed::ToOpen) => {}
        Err(Failed::ToReserve(error)) => return Err(error),
        Ok(run) => return Ok(run),
    }
    let within_reach =
        |segment: &'static Segment| segment.used.draw_gap_within(segment.within_reach(), count, arena::spread(), below);
    let fused = |segment: &'static Segment| segment.fuse(locked).ok().and_then(|()| within_reach(segment));
    if let Some(Ok(run)) = take_where(home.zone(), home, &within_reach, count, &open, locked) {
        return Ok(run);
    }
    take_where(home.zone(), home, &fused, count, &open, locked).unwrap_or(Err(Errno::NOMEM))
}

/// Why slices could not be taken.
pub(super) enum Failed {
    /// There were some, but they could not be made what they were to be.
    ToOpen,
    /// There were none, and no new segment.
    ToReserve(Errno),
}

/// Takes slices wherever they are free, or in a new segment, and leaves the protections of all others alone.
pub(super) fn take_new(
    zone: Zone,
    home: Home,
    count: usize,
    open: &impl Fn(&Run) -> Result<(), Errno>,
    locked: &Locked,
) -> Result<Run, Failed> {
    let anywhere = |segment: &'static Segment| segment.used.draw_gap(count, arena::spread(), below);
    match take_where(zone, home, &anywhere, count, open, locked) {
        Some(Ok(run)) => Ok(run),
        Some(Err(_)) => Err(Failed::ToOpen),
        None => {
            let segment = add_segment(zone, home, locked).map_err(Failed::ToReserve)?;
            let taken = take_from(segment, &anywhere, count, open, locked);
            taken.unwrap_or(Err(Errno::NOMEM)).map_err(Failed::ToReserve)
        }
    }
}

/// The first that can be opened. None if no segment has a place.
fn take_where(
    zone: Zone,
    home: Home,
    place: &impl Fn(&'static Segment) -> Option<usize>,
    count: usize,
    open: &impl Fn(&Run) -> Result<(), Errno>,
    locked: &Locked,
) -> Option<Result<Run, Errno>> {
    let mut failed = None;
    for segment in roomy(zone, home) {
        match take_from(segment, place, count, open, locked) {
            Some(Ok(run)) => return Some(Ok(run)),
            Some(failure) => failed = Some(failure),
            None => {}
        }
    }
    failed
}

fn take_from(
    segment: &'static Segment,
    place: &impl Fn(&'static Segment) -> Option<usize>,
    count: usize,
    open: &impl Fn(&Run) -> Result<(), Errno>,
    locked: &Locked,
) -> Option<Result<Run, Errno>> {
    let first = place(segment)?;
    segment.used.add(first, count);
    let contents = if segment.zero.has_all(first, count) { Contents::Zero } else { Contents::Unknown };
    let run = Run { segment, first, count, contents };
    if let Err(error) = open(&run) {
        segment.used.remove(first, count);
        return Some(Err(error));
    }
    segment.commit(first, count, locked);
    if segment.used.len() == SLICES {
        leave_room(segment, locked);
    }
    Some(Ok(run))
}

/// Puts slices back among the free ones.
pub(super) fn give(run: &Run, locked: &Locked) {
    run.segment.used.remove(run.first, run.count);
    enter_room(run.segment, locked);
}

fn enter_room(segment: &'static Segment, _locked: &Locked) {
    if segment.in_room.swap(1, Relaxed) != 0 {
        return;
    }
    let list = ROOM.of(segment.zone());
    let head = list.load(Relaxed);
    segment.room_next.store(head, Relaxed);
    segment.room_previous.store(ptr::null_mut(), Relaxed);
    // SAFETY: null or a segment's metadata, which is never unmapped.
    if let Some(head) = unsafe { head.as_ref() } {
        head.room_previous.store(ptr::from_ref(segment).cast_mut(), Relaxed);
    }
    list.store(ptr::from_ref(segment).cast_mut(), Relaxed);
}

pub(super) fn leave_room(segment: &'static Segment, _locked: &Locked) {
    if segment.in_room.swap(0, Relaxed) == 0 {
        return;
    }
    let (previous, next) = (segment.room_previous.load(Relaxed), segment.room_next.load(Relaxed));
    // SAFETY: null or a segment's metadata, which is never unmapped.
    match unsafe { previous.as_ref() } {
        Some(previous) => previous.room_next.store(next, Relaxed),
        None => ROOM.of(segment.zone()).store(next, Relaxed),
    }
    // SAFETY: as above.
    if let Some(next) = unsafe { next.as_ref() } {
        next.room_previous.store(previous, Relaxed);
    }
}

/// A new segment of the zone, for all threads. What can fail is done before anything is made that could not be given back.
fn add_segment(zone: Zone, home: Home, locked: &Locked) -> Result<&'static Segment, Errno> {
    map::start(locked)?;
    let plot = arena::take(home, locked)?;
    let made = describe(zone, &plot, locked);
    match made {
        Ok(segment) => enter_room(segment, locked),
        Err(_) => arena::put_back(plot.base, locked),
    }
    made
}

/// Metadata for the segment in this memory, entered in the map.
fn describe(zone: Zone, plot: &Plot, locked: &Locked) -> Result<&'static Segment, Errno> {
    let number = plot.base.addr().get() >> SEGMENT_SHIFT;
    // Opens the map's chunk, so that the entry cannot fail when there is metadata, which is never given back.
    map::set(number, 1, None, locked)?;
    if zone == Zone::Sampled {
        if plot.nature.has(Nature::BROUGHT) {
            return Err(Errno::NOMEM); // whether it takes guards is not known
        }
        trace::stock(locked)?;
    }
    let segment = take_description(locked)?;
    if zone == Zone::Sampled {
        trace::give_to(segment, locked);
    }
    segment.zone.store(zone as u8, Relaxed);
    segment.base.store(plot.base.as_ptr(), Relaxed);
    segment.area.store(plot.area, Relaxed);
    segment.nature.store(plot.nature.0, Relaxed);
    for edge in [0, SLICES.wrapping_sub(1)] {
        segment.used.add(edge, 1);
    }
    if plot.nature.has(Nature::ZERO) {
        segment.zero.add(0, SLICES);
    }
    if plot.nature.has(Nature::COMMITTED) {
        segment.writable.add(0, SLICES);
    }
    segment.role.store(SHARED, Release);
    map::set(number, 1, Some(segment), locked)?;
    Ok(segment)
}

/// Gives the segment a number and lets others find it.
fn enlist(segment: &'static Segment, _locked: &Locked) {
    let number = NUMBERS.fetch_add(1, Relaxed);
    segment.number.store(number, Relaxed);
    if let Some(head) = ALL.get((number & 63) as usize) {
        segment.next.store(head.load(Relaxed), Relaxed);
        head.store(ptr::from_ref(segment).cast_mut(), Release);
    }
}

/// A description for a huge block.
pub(super) fn take_huge_description(locked: &Locked) -> Result<&'static Segment, Errno> {
    map::start(locked)?;
    let segment = take_description(locked)?;
    segment.nature.store(0, Relaxed);
    segment.role.store(HUGE, Release);
    Ok(segment)
}

/// A description without memory: used again if there is one in stock.
fn take_description(locked: &Locked) -> Result<&'static Segment, Errno> {
    let head = STOCK.load(Relaxed);
    // SAFETY: null or a segment's metadata, which is never unmapped.
    if let Some(segment) = unsafe { head.as_ref() } {
        STOCK.store(segment.room_next.load(Relaxed), Relaxed);
        return Ok(segment);
    }
    let segment = meta::allocate::<Segment>(locked)?;
    enlist(segment, locked);
    Ok(segment)
}

/// The memory of a segment is gone: its description waits for the next.
pub(super) fn give_description(segment: &'static Segment, _locked: &Locked) {
    segment.role.store(0, Relaxed);
    segment.span_base.store(ptr::null_mut(), Relaxed);
    // The next one's pages may lie elsewhere.
    segment.heads.iter().for_each(|head| head.store(0, Relaxed));
    segment.room_next.store(STOCK.load(Relaxed), Relaxed);
    STOCK.store(ptr::from_ref(segment).cast_mut(), Relaxed);
}

/// The segment without blocks that stands for covered ones.
pub(super) fn covered(locked: &Locked) -> Result<&'static Segment, Errno> {
    // SAFETY: null or a segment's metadata, which is never unmapped.
    if let Some(segment) = unsafe { COVERED.load(Relaxed).as_ref() } {
        return Ok(segment);
    }
    let segment = meta::allocate::<Segment>(locked)?;
    COVERED.store(ptr::from_ref(segment).cast_mut(), Relaxed);
    Ok(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{self, Setting};
    use crate::testing::alone;
    use std::vec::Vec;

    #[test]
    fn slices_that_still_have_memory_are_handed_out_before_others() {
        alone("segment::space::tests::slices_that_still_have_memory_are_handed_out_before_others", || {
            options::set(Setting::PurgeDelay, -1);
            let draw = || (0..6).map(|_| claim(Home::ANY, 1).unwrap()).collect::<Vec<_>>();
            let places = |runs: &[Run]| {
                let mut places: Vec<_> = runs.iter().map(|run| (run.segment.number(), run.first)).collect();
                places.sort_unstable();
                places
            };
            let first = draw();
            first.iter().for_each(release);
            let before = os::calls();
            for _ in 0..if cfg!(miri) { 2 } else { 20 } {
                let next = draw();
                assert_eq!(places(&next), places(&first));
                next.iter().for_each(release);
            }
            assert_eq!(os::calls(), before, "they are open, and stay so, with the guards at their ends");
        });
    }

    /// Runs lie where shorter and longer ones have left their guards.
    #[test]
    fn a_run_is_accessible_up_to_its_end_whatever_lay_there_before() {
        alone("segment::space::tests::a_run_is_accessible_up_to_its_end_whatever_lay_there_before", || {
            options::set(Setting::PurgeDelay, -1);
            for count in [1, 2, 1, 3, 3, 1, 4, 2] {
                let runs: Vec<_> = (0..8).map(|_| claim(Home::ANY, count).unwrap()).collect();
                for run in &runs {
                    let span = run.segment.span(run.first, run.count).unwrap();
                    for at in (0..span.len() - crate::page::end_guard()).step_by(512) {
                        // SAFETY: slices that were claimed, and are nobody else's.
                        unsafe { span.start().as_ptr().wrapping_add(at).write_volatile(1) };
                    }
                }
                runs.iter().for_each(release);
            }
        });
    }
}
