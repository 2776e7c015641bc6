//! Blocks that stand alone: each with slices of its own, inaccessible but for the OS pages that it lies in.
//!
//! ```text
//!  to the right, or ..                             .. to the left, by a secret coin
//! |XXXXX|mmmmmmmmmmm|block|m|XXXXXXXXXXXXXXX|      |XXXXX|block|mmmmmmmmmmm|XXXXXXXXXXXXXXXX|
//!  guard  margin           ^ less than a granule           a whole number of OS pages
//!
//!  freed: |XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX|          waits in the pool, oldest out first
//! ```
//!
//! The first access behind the guard's edge faults, and so does every access after the free, for as long as the pool is large
//! enough. What lies in the same OS pages as the block is its *margin*: filled with a secret pattern when the block is made, and
//! checked when it is freed, resized or verified. The byte just behind the end is zero, so that a string that fills its block
//! ends there. A block of no bytes has no accessible byte.
//!
//! Such a block is a page of one block like any large one ([`super::single`]): whoever frees it claims it. Where no guards can be
//! had, there is none: it would be worth nothing. They lie in segments of their own, for guards in every slice would cost the
//! others their transparent huge pages.

use super::area::Home;
use super::single;
use super::space::{self, Failed, Locked, Run, dice, lock};
use super::trace::Trace;
use super::zone::Zone;
use super::{Segment, SingleShape, Singles, budget, peak};
use crate::geometry::{CLASSES, Class, GRANULE, SLICE};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os::{self, Caller, Span};
use crate::page::{Contents, Extent, Origin, Page};
use crate::remote::Owner;
use crate::report::{Life, Place};
use crate::sync::{AtomicPtr, AtomicU64, AtomicUsize, Relaxed};
use core::ops::Range;
use core::ptr::{self, NonNull};

/// A page of one block that stands alone, or stood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampled {
    segment: &'static Segment,
    page: &'static Page,
    trace: &'static Trace,
}

/// A margin holds what it should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where, seen from the block: the byte with the lowest address.
    pub(crate) place: Place,
}

/// How many were made, by class; the last is of those above all classes.
static MADE: [AtomicU64; CLASSES + 1] = [const { AtomicU64::new(0) }; CLASSES + 1];

/// Freed ones that wait, linked by their traces: the oldest, the youngest, and their bytes of address space.
static OLDEST: AtomicPtr<Page> = AtomicPtr::new(ptr::null_mut());
static YOUNGEST: AtomicPtr<Page> = AtomicPtr::new(ptr::null_mut());
static WAITING: AtomicUsize = AtomicUsize::new(0);

/// How many were made since the start of the process, by class; the last figure is of those above all classes.
pub(crate) fn made() -> impl Iterator<Item = u64> {
    MADE.iter().map(|made| made.load(Relaxed))
}

/// Bytes of address space of freed ones that wait.
pub(crate) fn waiting() -> usize {
    WAITING.load(Relaxed)
}

/// How many the pool gives up where there is no memory for one.
const SHARE: usize = 64;

/// Where a block lies in its slices, in bytes.
struct Seat {
    shape: SingleShape,
    /// Of the block.
    size: usize,
    align: usize,
    /// The accessible part: whole OS pages.
    open: usize,
    /// From the start of that to the block.
    offset: usize,
}

impl Seat {
    /// For `size` bytes aligned to `align` in slices of this shape.
    fn draw(shape: SingleShape, size: usize, align: usize) -> Seat {
        let align = align.max(GRANULE);
        let open = if size == 0 { 0 } else { shape.asked };
        let slack = open.wrapping_sub(size) & !align.wrapping_sub(1);
        let offset = if dice().below(2) == 0 { 0 } else { slack };
        Seat { shape, size, align, open, offset }
    }
}

/// The margins' bytes, by their address: the pattern over and over, but for the zero behind the block.
#[derive(Clone, Copy)]
struct Pattern {
    bytes: [u8; 8],
    end: usize,
}

impl Pattern {
    const WORD: usize = size_of::<u64>();

    fn at(&self, address: usize) -> u8 {
        let [first, ..] = &self.bytes;
        if address == self.end { 0 } else { *self.bytes.get(address % Self::WORD).unwrap_or(first) }
    }

    /// Whether `len` bytes at `address` are a word that holds the pattern and nothing else.
    fn is_word(&self, address: usize, len: usize) -> bool {
        let has_end = self.end.wrapping_sub(address) < Self::WORD;
        address.is_multiple_of(Self::WORD) && len >= Self::WORD && !has_end
    }

    /// # Safety
    /// - the span's bytes in `range`, from its start on, are accessible, and nobody else uses them.
    unsafe fn fill(&self, span: Span, range: Range<usize>) {
        let mut offset = range.start;
        while offset < range.end {
            let place = span.start().as_ptr().wrapping_add(offset);
            if self.is_word(place.addr(), range.end.wrapping_sub(offset)) {
                // SAFETY: the caller's promise; the word is aligned and lies in the range.
                unsafe { place.cast::<[u8; Self::WORD]>().write(self.bytes) };
                offset = offset.wrapping_add(Self::WORD);
            } else {
                // SAFETY: the caller's promise.
                unsafe { place.write(self.at(place.addr())) };
                offset = offset.wrapping_add(1);
            }
        }
    }

    /// The first byte in `range` that is not as it was filled, by its offset.
    ///
    /// # Safety
    /// - the span's bytes in `range` are accessible.
    unsafe fn first_wrong(&self, span: Span, range: Range<usize>) -> Option<usize> {
        let word = u64::from_ne_bytes(self.bytes);
        let mut offset = range.start;
        while offset < range.end {
            let place = span.start().as_ptr().wrapping_add(offset);
            if self.is_word(place.addr(), range.end.wrapping_sub(offset)) {
                // SAFETY: the caller's promise; the word is aligned and lies in the range. The program may write there
                // meanwhile, against all rules: a number is read, whatever it is.
                if unsafe { place.cast::<u64>().read_volatile() } == word {
                    offset = offset.wrapping_add(Self::WORD);
                    continue;
                }
            }
            // SAFETY: as above.
            if unsafe { place.read_volatile() } != self.at(place.addr()) {
                return Some(offset);
            }
            offset = offset.wrapping_add(1);
        }
        None
    }
}

/// Makes one, for a heap's list if it has a heap. None if there are no guards for it, or no memory: that is counted among the
/// guards left out. A block too large for a segment stands between guards anyway.
pub(crate) fn allocate(
    size: usize,
    align: usize,
    origin: Origin,
    list: Option<&'static Singles>,
    caller: &Caller<'_>,
) -> Option<NonNull<u8>> {
    // A heap with memory of its own takes none elsewhere.
    if !Singles::home_of(list).is_anywhere() {
        return None;
    }
    let shape = SingleShape::of(size, align).filter(SingleShape::is_shared)?;
    let made = {
        let locked = lock();
        let seat = Seat::draw(shape, size, align);
        seat.take(&locked).and_then(|run| seat.bear(&run, origin, list, &locked))
    };
    let Some((start, trace)) = made else {
        budget::leave_out();
        return None;
    };
    trace.allocated.note(caller);
    if let Some(made) = MADE.get(Class::of(size).map_or(CLASSES, Class::index)) {
        made.fetch_add(1, Relaxed);
    }
    peak::look_if_due();
    Some(start)
}

impl Seat {
    /// Slices in which it is accessible, and nothing else. Where there is no memory for more, the pool gives up what is missing.
    fn take(&self, locked: &Locked) -> Option<Run> {
        let open = |run: &Run| run.segment.open_alone(run.first, run.count, self.shape.front, self.open);
        loop {
            match space::take_new(Zone::Sampled, Home::ANY, self.shape.total.div_ceil(SLICE), &open, locked) {
                Ok(run) => return Some(run),
                // No guards: that is no reason.
                Err(Failed::ToOpen) if !budget::may_split() => return None,
                // Some of them at once, for another failure costs as much as this one.
                Err(_) if release_share(locked) => {}
                Err(_) => return None,
            }
        }
    }

    fn bear(
        &self,
        run: &Run,
        origin: Origin,
        list: Option<&'static Singles>,
        locked: &Locked,
    ) -> Option<(NonNull<u8>, &'static Trace)> {
        let segment = run.segment;
        let span = segment.span(run.first, run.count)?.part(self.shape.front, self.open)?;
        let start = NonNull::new(span.start().as_ptr().wrapping_add(self.offset))?;
        let end = start.addr().get().wrapping_add(self.size);
        let pattern = Pattern { bytes: dice().next_u64().to_ne_bytes(), end };
        if run.contents == Contents::Unknown {
            // SAFETY: the slices are this thread's, and the span was opened.
            unsafe { span.start().as_ptr().write_bytes(0, span.len()) };
        }
        // SAFETY: the slices are this thread's, and the span was opened.
        unsafe { pattern.fill(span, 0..self.offset) };
        // SAFETY: as above.
        unsafe { pattern.fill(span, self.offset.wrapping_add(self.size)..span.len()) };
        let trace = segment.trace(run.first)?;
        trace.pattern.store(u64::from_ne_bytes(pattern.bytes), Relaxed);
        trace.allocated.forget();
        trace.freed.forget();
        let page = segment.page_at(run.first)?;
        segment.set_heads(run.first, run.count);
        let extent = Extent { first_slice: run.first, slices: run.count, segment_number: segment.number(), start };
        page.bear_sampled(segment.tables_forever(), self.size, self.align, origin, &extent);
        Singles::link(list, page, locked);
        single::set_live(segment, start);
        Some((start, trace))
    }
}

impl Sampled {
    /// The one that the page is, or was if nothing else has been in its slices since.
    pub(crate) fn of(segment: &'static Segment, page: &'static Page) -> Option<Sampled> {
        if !MITIGATIONS.sampled_guards || !page.face.is_sampled() {
            return None;
        }
        let trace = segment.trace(page.face.first_slice())?;
        Some(Sampled { segment, page, trace })
    }

    /// The page.
    pub(crate) fn page(&self) -> &'static Page {
        self.page
    }

    /// Who allocated and freed it, as far as that was noted.
    pub(crate) fn life(&self) -> Life {
        self.trace.life()
    }

    /// Whether its block is the program's.
    pub(crate) fn is_live(&self) -> bool {
        self.page.face.owner.load() == Owner::Single
    }

    /// Looks at the margins: first behind the block, then before it.
    ///
    /// # Safety
    /// - its memory is accessible and stays so: the block is the caller's, or was claimed by the caller, or it is live and the
    ///   lock of the segments is held.
    pub(crate) unsafe fn inspect(&self) -> Result<(), Damage> {
        let (start, size) = (self.page.face.start().addr(), self.page.face.block_size());
        let Some(span) = self.open_span() else { return Ok(()) };
        let offset = start.wrapping_sub(span.address());
        let pattern = Pattern { bytes: self.trace.pattern.load(Relaxed).to_ne_bytes(), end: start.wrapping_add(size) };
        let behind = offset.wrapping_add(size)..span.len();
        // SAFETY: the range lies in the span; the caller's promise.
        let found = unsafe { pattern.first_wrong(span, behind) };
        // SAFETY: as above.
        match found.or_else(|| unsafe { pattern.first_wrong(span, 0..offset) }) {
            Some(found) => Err(Damage { place: Place::of(span.address().wrapping_add(found), start, size) }),
            None => Ok(()),
        }
    }

    /// The accessible part; none if the block has no bytes.
    fn open_span(&self) -> Option<Span> {
        let page = os::page_size();
        let (start, size) = (self.page.face.start().addr(), self.page.face.block_size());
        if size == 0 {
            return None;
        }
        let low = start & !page.wrapping_sub(1);
        let high = start.wrapping_add(size).next_multiple_of(page);
        let slices = self.segment.span(self.page.face.first_slice(), self.page.face.slices())?;
        slices.part(low.wrapping_sub(slices.address()), high.wrapping_sub(low))
    }

    /// Notes who frees it.
    pub(crate) fn note_free(&self, caller: &Caller<'_>) {
        self.trace.freed.note(caller);
    }

    /// A claimed one that has left its heap's list becomes inaccessible, and waits.
    pub(super) fn put_away(&self, locked: &Locked) {
        let (first, count) = (self.page.face.first_slice(), self.page.face.slices());
        self.segment.seal_alone(first, count, self.page.face.block_size(), locked);
        self.trace.next.store(ptr::null_mut(), Relaxed);
        let page = ptr::from_ref(self.page).cast_mut();
        // SAFETY: null or a page's description, which is never unmapped.
        match unsafe { YOUNGEST.load(Relaxed).as_ref() }.and_then(trace_of) {
            Some(youngest) => youngest.next.store(page, Relaxed),
            None => OLDEST.store(page, Relaxed),
        }
        YOUNGEST.store(page, Relaxed);
        WAITING.fetch_add(count.wrapping_mul(SLICE), Relaxed);
        while WAITING.load(Relaxed) > options::bytes(Setting::SampledPool) && release_oldest(locked) {}
    }
}

fn trace_of(page: &'static Page) -> Option<&'static Trace> {
    super::segment_of(page)?.trace(page.face.first_slice())
}

/// The oldest of those that wait gives its slices back. False: there is none.
fn release_oldest(locked: &Locked) -> bool {
    // SAFETY: null or a page's description, which is never unmapped.
    let Some(page) = (unsafe { OLDEST.load(Relaxed).as_ref() }) else { return false };
    let Some(trace) = trace_of(page) else { return false };
    let next = trace.next.load(Relaxed);
    OLDEST.store(next, Relaxed);
    if next.is_null() {
        YOUNGEST.store(ptr::null_mut(), Relaxed);
    }
    let (first, count) = (page.face.first_slice(), page.face.slices());
    WAITING.fetch_sub(count.wrapping_mul(SLICE), Relaxed);
    if let Some(segment) = super::segment_of(page) {
        space::give(&Run { segment, first, count, contents: Contents::Unknown }, locked);
    }
    true
}

/// A share of those that wait does. False: there is none.
fn release_share(locked: &Locked) -> bool {
    (0..SHARE).take_while(|_| release_oldest(locked)).count() != 0
}

/// All that wait give their slices back: there is no memory.
pub(crate) fn release_all() {
    let locked = lock();
    while release_oldest(&locked) {}
}

/// Calls `visit` for each live one while its memory stays accessible.
pub(crate) fn visit<E>(mut visit: impl FnMut(&Sampled, Result<(), Damage>) -> Result<(), E>) -> Result<(), E> {
    for segment in super::segments().filter(|segment| segment.zone() == Zone::Sampled) {
        for page in segment.pages() {
            let seen = {
                let _locked = lock();
                let sampled = Sampled::of(segment, page).filter(Sampled::is_live);
                // SAFETY: it is live, and whoever frees it needs the lock to make it inaccessible.
                sampled.map(|sampled| (sampled, unsafe { sampled.inspect() }))
            };
            if let Some((sampled, found)) = seen {
                visit(&sampled, found)?;
            }
        }
    }
    Ok(())
}
