//! What is asked of a new block besides its size.

use super::thread::{Heap, Thread};
use crate::mitigations::{MITIGATIONS, VALGRIND};
use crate::os::valgrind::{self, Holds};
use crate::page::{Block, Origin, Page};
use crate::segment::Zone;

/// What a new block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Anything; its first word is zero.
    Any,
    /// Zeros.
    Zero,
}

impl Fill {
    /// What a program may count on.
    #[inline(always)]
    pub(super) const fn holds(self) -> Holds {
        match self {
            Fill::Any => Holds::Anything,
            Fill::Zero => Holds::Something,
        }
    }
}

/// On what terms a block is handed out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    fill: Fill,
    origin: Origin,
    zone: Zone,
}

/// Alignments from which on a block may hold a pointer.
const POINTER: usize = 8;

impl Terms {
    /// For C's functions.
    pub(crate) const fn of(fill: Fill) -> Terms {
        Terms { fill, origin: Origin::MALLOC, zone: Zone::General }
    }

    /// For C's functions, for what will hold no pointer.
    pub(crate) const fn of_data(fill: Fill) -> Terms {
        Terms::of(fill).within(Zone::Data)
    }

    /// The same in this zone, if blocks are kept apart. What stands alone does so in either case.
    pub(crate) const fn within(self, zone: Zone) -> Terms {
        let is_data = MITIGATIONS.partition && matches!(zone, Zone::Data);
        Terms { zone: if is_data { Zone::Data } else { Zone::General }, ..self }
    }

    /// For C++'s operators.
    pub(crate) const fn of_operator(origin: Origin) -> Terms {
        Terms { fill: Fill::Any, origin, zone: Zone::General }
    }

    /// For one that comes back with a Layout of this alignment.
    #[inline(always)]
    pub(crate) const fn of_layout(fill: Fill, align: usize) -> Terms {
        let terms = Terms { fill, origin: Origin::layout(align), zone: Zone::General };
        terms.within(if align < POINTER { Zone::Data } else { Zone::General })
    }

    /// What the block holds.
    #[inline(always)]
    pub(super) const fn fill(self) -> Fill {
        self.fill
    }

    /// By what it was asked for.
    #[inline(always)]
    pub(super) const fn origin(self) -> Origin {
        self.origin
    }

    /// The same for a block of no bytes, which lies with those of either zone: whether a pointer may follow is told here.
    pub(super) fn void_origin(self) -> Origin {
        if self.zone == Zone::Data && self.origin == Origin::MALLOC { Origin::DATA } else { self.origin }
    }

    /// Where it lies.
    pub(super) const fn zone(self) -> Zone {
        self.zone
    }

    /// The calling thread's heap for such blocks, if it has one.
    #[inline(always)]
    pub(super) fn heap(self) -> Option<&'static Heap> {
        match self.zone {
            Zone::Data => Thread::current().map(|thread| thread.heap_for(Zone::Data)),
            _ => Heap::current(),
        }
    }

    /// This heap, or else that of the thread for such blocks.
    pub(super) fn heap_or(self, heap: Option<&'static Heap>, thread: Option<&'static Thread>) -> Option<&'static Heap> {
        heap.or_else(|| thread.map(|thread| thread.heap_for(self.zone)))
    }

    /// Makes of a block just popped for `size` bytes what it is to be.
    #[inline(always)]
    pub(super) fn hand_out(self, block: Block, page: &Page, size: usize) -> *mut u8 {
        if self.fill == Fill::Zero && !page.gives_zeroed() {
            // SAFETY: a block of this page has room for that much.
            unsafe { block.clear(page.face.block_size()) };
        }
        if MITIGATIONS.canaries {
            page.plant(page.tables(), block, page.face.block_size(), size, self.origin);
        }
        // The compiler keeps an atomic load that nobody needs.
        if VALGRIND {
            valgrind::block_begins(block.start(), size, page.face.block_size(), self.fill.holds());
        }
        block.start().as_ptr()
    }
}
