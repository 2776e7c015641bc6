//! Which allocations stand alone between guards (`sampled-guards`): one in N on the whole, whatever the sizes.
//!
//! The paths that pop a block know nothing of it. The decision falls in the slow path, which malloc takes anyway when a free list
//! has run out: then as many blocks are counted as that list had, and when N or so have been counted, the allocation that is
//! being made is the one. The step to the next is drawn between 1 and 2 N - 1. A list's length is not known where it is one of two
//! that the coin has filled; half of what both have is right on the whole.
//!
//! Where N is small, lists would be too long a step: then the tables stay empty, and every malloc takes the slow path.
//!
//! While the option is on, faults are watched: see [`super::fault`].

use super::start::warn_once;
use super::thread::{Heap, Thread};
use super::{diagnose, fault, start};
use crate::entropy::Rng;
use crate::geometry::{Class, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os::valgrind::{self, Holds};
use crate::os::{self, Caller};
use crate::page::{Origin, Page};
use crate::report::{self, Kind, Operation, Report};
use crate::segment::{self, Damage, Sampled};
use crate::sync::{AtomicBool, AtomicU32, Relaxed};
use core::ptr::NonNull;

/// Below this N every malloc takes the slow path.
const EXACT: u32 = 256;
/// For so many of the first it is looked whether a handler of faults has come before ours: std installs one at the program's
/// start, perhaps after the first allocations.
const EARLY: u32 = 64;

/// How many have been made or tried.
static DRAWN: AtomicU32 = AtomicU32::new(0);
static REFUSED: AtomicBool = AtomicBool::new(false);
static REPLACED: AtomicBool = AtomicBool::new(false);
/// For threads without a heap.
static DICE: Rng = Rng::new();

/// One in how many: 0 is none.
pub(super) fn every() -> usize {
    if MITIGATIONS.sampled_guards { options::bytes(Setting::SampledGuards) } else { 0 }
}

/// Makes the block that is asked for stand alone, if it is its turn. None: it is an ordinary one, also where there are no guards
/// to be had. Whatever it holds is zero.
pub(super) fn allocate(
    heap: Option<&'static Heap>,
    size: usize,
    align: usize,
    class: Option<Class>,
    origin: Origin,
    caller: &Caller<'_>,
) -> Option<NonNull<u8>> {
    let is_turn = match heap {
        Some(heap) => heap.samples() && heap.comes_to_turn(class),
        None => {
            start::start();
            let every = every() as u32;
            every != 0 && DICE.below(every) == 0
        }
    };
    if !is_turn {
        return None;
    }
    watch_faults();
    if let Some(heap) = heap {
        heap.beat(class);
    }
    let block = segment::allocate_sampled(size, align, origin, heap.map(|heap| &heap.singles), caller)?;
    valgrind::block_begins(block, size, size, Holds::Something);
    Some(block)
}

/// Sees to it that faults are explained: installed at the first, and looked after now and then.
fn watch_faults() {
    let drawn = DRAWN.fetch_add(1, Relaxed);
    if drawn < EARLY {
        if os::watch_faults(fault::watch()).is_err() {
            warn_once(&REFUSED, b"no handler of SIGSEGV can be installed: faults at guards are not explained");
        }
    } else if drawn.is_power_of_two() && os::front() == Ok(os::Front::Theirs) {
        warn_once(&REPLACED, b"another handler of SIGSEGV has taken the place of ours: faults at guards are explained only if it hands them on");
    }
}

/// What is done when the block of a page that was claimed stood alone: looks at the margins, and notes who frees it.
pub(super) fn part_from(pointer: UserPtr, operation: Operation, sampled: &Sampled, caller: &Caller<'_>) {
    inspect(pointer, operation, sampled);
    sampled.note_free(&caller.in_thread(Thread::current().map(|thread| &thread.stack)));
}

/// Looks at the margins of a block that is the caller's.
pub(super) fn inspect(pointer: UserPtr, operation: Operation, sampled: &Sampled) {
    // SAFETY: the block is the caller's, so nobody else frees it.
    if let Err(damage) = unsafe { sampled.inspect() } {
        die_of_damage(pointer, operation, sampled, &damage);
    }
}

/// What lies round a block was written to.
#[cold]
fn die_of_damage(pointer: UserPtr, operation: Operation, sampled: &Sampled, damage: &Damage) -> ! {
    let report = Report::new(kind_of(damage), operation, pointer.address()).with_place(damage.place);
    report::die(&diagnose::told(report, sampled.page()))
}

/// What such a damage is called.
pub(super) fn kind_of(damage: &Damage) -> Kind {
    match damage.place {
        report::Place::Before(_) => Kind::BufferUnderflow,
        report::Place::Inside(_) | report::Place::Behind(_) => Kind::BufferOverflow,
    }
}

/// Not drawn yet.
pub(super) const UNDRAWN: i64 = i64::MIN;

impl Heap {
    /// Whether any allocation of this heap stands alone.
    #[inline]
    pub(super) fn samples(&self) -> bool {
        MITIGATIONS.sampled_guards && self.every.load(Relaxed) != 0
    }

    /// Whether no table may name a page, so that every malloc takes the slow path.
    pub(super) fn takes_all_slow_paths(&self) -> bool {
        self.samples() && self.every.load(Relaxed) < EXACT
    }

    /// Counts what was handed out since the last slow path of this class, and the allocation that is being made if that is none
    /// of a list. True: it is to stand alone.
    fn comes_to_turn(&self, class: Option<Class>) -> bool {
        let handed = class.map_or(0, |class| self.direct_of(class).take_dealt()).max(1);
        let left = self.left().saturating_sub(i64::from(handed));
        let is_turn = left <= 0;
        self.countdown.store(if is_turn { self.step() } else { left }, Relaxed);
        is_turn
    }

    /// Whether the page's next list may be taken without more ado: not if one of its allocations may be the one.
    #[inline]
    pub(super) fn may_hurry(&self, page: &Page) -> bool {
        !self.samples() || self.hurries(page)
    }

    #[cold]
    #[inline(never)]
    fn hurries(&self, page: &Page) -> bool {
        let left = self.left().saturating_sub(i64::from(page.dealt()));
        if left > 0 {
            page.take_dealt();
            self.countdown.store(left, Relaxed);
        }
        left > 0
    }

    fn left(&self) -> i64 {
        match self.countdown.load(Relaxed) {
            UNDRAWN => self.step(),
            left => left,
        }
    }

    /// Allocations to the next one: 1 to 2 N - 1.
    fn step(&self) -> i64 {
        let bound = self.every.load(Relaxed).saturating_mul(2).saturating_sub(1).max(1);
        i64::from(self.rng.below(bound)).wrapping_add(1)
    }
}
