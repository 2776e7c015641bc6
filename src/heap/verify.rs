//! `check_heap`: every page of the calling thread and every abandoned page, counted and checked; and, for their canaries, large
//! blocks, which belong to no thread. And who asks: the program, a full collection, the end of the process.

use super::quarantine::Waiting;
use super::thread::{Heap, Thread};
use super::{Collect, abandon, sample};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::os;
use crate::os::valgrind::quiet;
use crate::page::{Kind, Page, PageFault};
use crate::remote::Owner;
use crate::report::{self, BlockFacts, Kind as ReportKind, Operation, Report};
use crate::segment::{self, Damage, Sampled, space};
use crate::sync::{AtomicBool, Relaxed};
use core::fmt;

/// What [`check_heap`](crate::check_heap) has counted: pages of the calling thread, and abandoned ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Census {
    /// Pages that were checked.
    pub pages: usize,
    /// Blocks that the program holds.
    pub live: usize,
    /// Blocks on free lists.
    pub free: usize,
    /// Blocks that other threads have freed and their owner has not collected yet.
    pub posted: usize,
    /// Blocks that stand alone between guards, of all threads: see the option `SAMPLED_GUARDS`. They are in no page counted
    /// above.
    pub alone: usize,
    /// Blocks that wait in the quarantine.
    pub quarantined: usize,
}

/// What a corrupted heap's corruption is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A free block's link was overwritten.
    Link,
    /// A free block was written to.
    Written,
    /// More was written to a live block than was requested.
    Overflow,
    /// A live block is on a free list.
    LiveOnList,
    /// A free list runs in a circle.
    Endless,
    /// A block was freed by another thread after its owner had taken it back.
    FreedTwice,
    /// Something wrote before the start of a block that stands alone.
    Underflow,
    /// The page's counters contradict its lists or its state bits.
    Count,
}

/// The first thing that [`check_heap`](crate::check_heap) has found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corruption {
    fault: Fault,
    address: usize,
    block: BlockFacts,
    place: Place,
}

/// Where in its block a corruption lies, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Unknown,
    /// In a free block.
    Offset(usize),
    /// Behind what was requested of a live block.
    Behind {
        requested: usize,
        offset: usize,
    },
    /// Round a block that stands alone.
    Round(report::Place),
}

impl Corruption {
    fn new(page: &Page, fault: PageFault) -> Self {
        let mut place = Place::Unknown;
        let (fault, address) = match fault {
            PageFault::Link(address) => (Fault::Link, address),
            PageFault::Written(address) => {
                place = Place::Offset(page.first_unwiped(address));
                (Fault::Written, address)
            }
            PageFault::Overflown { address, requested, offset } => {
                // As the program sees it, whose pointer may lie behind the block's start.
                let lead = page.face.skew();
                place = Place::Behind { requested: requested.wrapping_sub(lead), offset: offset.wrapping_sub(lead) };
                (Fault::Overflow, address.wrapping_add(lead))
            }
            PageFault::LiveOnList(address) => (Fault::LiveOnList, address),
            PageFault::Endless(address) => (Fault::Endless, address),
            PageFault::FreedTwice(address) => (Fault::FreedTwice, address),
            PageFault::Count => (Fault::Count, page.face.start().addr()),
        };
        Self { fault, address, block: super::diagnose::facts(page), place }
    }

    fn round(sampled: &Sampled, damage: &Damage) -> Self {
        let fault = match sample::kind_of(damage) {
            report::Kind::BufferUnderflow => Fault::Underflow,
            _ => Fault::Overflow,
        };
        let page = sampled.page();
        let place = Place::Round(damage.place);
        Self { fault, address: page.face.start().addr(), block: super::diagnose::facts(page), place }
    }

    /// Stops the process with it.
    fn die(&self, operation: Operation) -> ! {
        let kind = match self.fault {
            Fault::Link | Fault::LiveOnList | Fault::Endless => ReportKind::CorruptedFreeList,
            Fault::Written => ReportKind::WriteAfterFree,
            Fault::Overflow => ReportKind::BufferOverflow,
            Fault::Underflow => ReportKind::BufferUnderflow,
            Fault::FreedTwice => ReportKind::DoubleFree,
            Fault::Count => ReportKind::Internal,
        };
        let report = Report::new(kind, operation, self.address).of_block(self.block);
        report::die(&match self.place {
            Place::Unknown => report,
            Place::Offset(offset) => report.at_offset(offset),
            Place::Behind { requested, offset } => report.overflown(requested, offset),
            Place::Round(place) => report.with_place(place),
        })
    }

    /// What is wrong.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        self.fault
    }

    /// The address of the block that is wrong, or of the page.
    #[must_use]
    pub const fn address(&self) -> usize {
        self.address
    }

    /// The block's class and page.
    #[must_use]
    pub const fn block(&self) -> &BlockFacts {
        &self.block
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            Fault::Link => "corrupted free list",
            Fault::Written => "write after free",
            Fault::Overflow => "buffer overflow",
            Fault::LiveOnList => "live block on a free list",
            Fault::Endless => "endless free list",
            Fault::FreedTwice => "double free",
            Fault::Underflow => "buffer underflow",
            Fault::Count => "counters contradict the blocks",
        };
        write!(f, "{what} at {:#x} (class {}, page {:#x})", self.address, self.block.class_size(), self.block.page())
    }
}

impl core::error::Error for Corruption {}

/// Checks every page of the calling thread and every abandoned page.
pub(crate) fn check_heap() -> Result<Census, Corruption> {
    let _quiet = quiet();
    // Without memory for a moment's heap there is none to check.
    Thread::with_one(check_with).unwrap_or(Ok(Census::default()))
}

/// A collection begins: with `canaries` a full one checks the heap first.
pub(super) fn before_collection(how: Collect) {
    if MITIGATIONS.canaries && how == Collect::Fully {
        check_or_die(Operation::Collect);
    }
}

/// All blocks of a heap are about to be freed: what lies behind them, and round those that stand alone, is looked at as it would be if each were
/// freed by itself.
pub(super) fn before_destruction(heap: &'static Heap) {
    if (MITIGATIONS.canaries || heap.samples())
        && let Err(corruption) = check_blocks_of(heap, Operation::HeapDestroy)
    {
        corruption.die(Operation::HeapDestroy);
    }
}

fn check_blocks_of(heap: &'static Heap, operation: Operation) -> Result<(), Corruption> {
    if MITIGATIONS.canaries {
        for page in heap.pages() {
            page.check_live(&heap.own(page, operation)).map_err(|fault| Corruption::new(page, fault))?;
        }
    }
    let locked = space::lock();
    heap.singles.pages(&locked).try_for_each(|page| {
        match segment::segment_of(page).and_then(|segment| Sampled::of(segment, page)) {
            // SAFETY: it is on the list, and whoever frees it needs the lock to make it inaccessible.
            Some(sampled) => unsafe { sampled.inspect() }.map_err(|damage| Corruption::round(&sampled, &damage)),
            None => check_single(page),
        }
    })
}

/// The same as [`check_heap`], and stops the process with what it finds.
fn check_or_die(operation: Operation) {
    if let Err(corruption) = check_heap() {
        corruption.die(operation);
    }
}

/// Has the heap checked when the process exits in good order, if the option asks for it.
pub(crate) fn check_at_exit() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !options::enabled(Setting::CheckAtExit) || REGISTERED.swap(true, Relaxed) {
        return;
    }
    if os::at_exit(at_exit).is_err() {
        report::warn(&[b"no exit function can be registered: the heap will not be checked at the end"]);
    }
}

extern "C" fn at_exit() {
    check_or_die(Operation::Exit);
}

fn check_with(thread: &'static Thread) -> Result<Census, Corruption> {
    let mut census = Census::default();
    let mut check = |page: &'static Page, owned: &crate::remote::Owned| {
        let count = page.count(owned).map_err(|fault| Corruption::new(page, fault))?;
        census.pages = census.pages.wrapping_add(1);
        census.live = census.live.wrapping_add(count.live);
        census.free = census.free.wrapping_add(count.free);
        census.posted = census.posted.wrapping_add(count.posted);
        census.quarantined = census.quarantined.wrapping_add(count.quarantined);
        Ok(())
    };
    for heap in thread.heaps() {
        for page in heap.pages() {
            check(page, &heap.own(page, Operation::CheckHeap))?;
        }
    }
    abandon::visit(&thread.heap, check)?;
    segment::visit_sampled(|sampled, found| {
        found.map_err(|damage| Corruption::round(sampled, &damage))?;
        census.alone = census.alone.wrapping_add(1);
        Ok(())
    })?;
    if MITIGATIONS.quarantine && MITIGATIONS.zero_on_free {
        for Waiting { page, address } in thread.quarantine.iter() {
            if !page.is_wiped_wholly(address) {
                return Err(Corruption::new(page, PageFault::Written(address)));
            }
        }
    }
    if MITIGATIONS.canaries {
        check_singles()?;
    }
    Ok(census)
}

/// Whoever frees a large block closes its memory under the lock: while it is held, what is live can be read.
fn check_singles() -> Result<(), Corruption> {
    let _locked = space::lock();
    segment::segments()
        .flat_map(segment::Segment::pages)
        .filter(|page| !page.face.is_sampled())
        .try_for_each(check_single)
}

/// For a page that may be one of one block, while the lock is held.
fn check_single(page: &Page) -> Result<(), Corruption> {
    if !MITIGATIONS.canaries || page.face.owner.load() != Owner::Single || page.face.kind() != Kind::Single {
        return Ok(());
    }
    page.check_canary(page.face.start().addr()).map_err(|fault| Corruption::new(page, fault))
}
