//! One misuse of the heap, and whether this build must stop it.

use crate::actions::Size;
use crate::child::{Report, announce};
use arbitrary::Arbitrary;
use core::alloc::{GlobalAlloc, Layout};
use ravelin::{MITIGATIONS, Ravelin, check_heap, raw};
use std::hint::black_box;
use std::thread;

/// Who makes a call.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Owner,
    AnotherThread,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Misuse {
    /// With `between` blocks of the class made after the first free and freed again.
    FreeTwice {
        size: Size,
        first: Who,
        second: Who,
        between: u8,
        other: Size,
    },
    FreeInside {
        size: Size,
        offset: u32,
        who: Who,
    },
    /// Of any word that is no block.
    FreeAnything {
        address: u64,
        who: Who,
    },
    FreeStack {
        offset: u8,
        who: Who,
    },
    ReallocFreed {
        size: Size,
        new: Size,
        first: Who,
    },
    AskFreed {
        size: Size,
        first: Who,
    },
    /// `dealloc` with another size.
    WrongSize {
        size: Size,
        told: Size,
        who: Who,
    },
    /// A byte of a free block is changed; then the heap is checked, or used.
    WriteFreed {
        size: u16,
        offset: u16,
        change: u8,
        others: u8,
        use_on: bool,
    },
    /// From the end of the requested size on; then the block is freed.
    Overflow {
        size: u16,
        first: u8,
        more: u8,
        who: Who,
    },
}

fn has(feature: &str) -> bool {
    MITIGATIONS.list().into_iter().any(|(name, on)| on && name == feature)
}

fn by(who: Who, work: impl FnOnce() + Send) {
    match who {
        Who::Owner => work(),
        Who::AnotherThread => thread::scope(|scope| {
            scope.spawn(work);
        }),
    }
}

/// A pointer as a number, which may go to another thread.
fn make(size: usize) -> usize {
    let block = black_box(raw::allocate(black_box(size)));
    assert!(!block.is_null(), "no memory for {size} bytes");
    block.expose_provenance()
}

fn at(address: usize) -> *mut u8 {
    black_box(core::ptr::with_exposed_provenance_mut(address))
}

fn free(address: usize) {
    // SAFETY: none: this is the misuse, or its preparation.
    unsafe { raw::free(at(address)) };
}

fn write(address: usize, change: u8) {
    let place = at(address);
    // SAFETY: none: as above. A fault ends the child.
    let byte = unsafe { place.read_volatile() };
    // SAFETY: as above.
    unsafe { place.write_volatile(byte ^ change) };
}

impl Misuse {
    /// In a child. Returns if nothing stopped it.
    pub(crate) fn commit(self) {
        match self {
            Misuse::FreeTwice { size, first, second, between, other } => {
                let block = make(size.bytes());
                by(first, move || free(block));
                let others: Vec<usize> = (0..between).map(|_| make(other.bytes().min(4096))).collect();
                // The memory may have come to another owner by now, and then the free is his.
                if others.contains(&block) {
                    report_instead();
                }
                announce(block);
                by(second, move || free(block));
            }
            Misuse::FreeInside { size, offset, who } => {
                let size = size.bytes().max(2);
                let inside = make(size) + 1 + offset as usize % (size - 1);
                announce(inside);
                by(who, move || free(inside));
            }
            Misuse::FreeAnything { address, who } => {
                let address = address as usize;
                if address == 0 || raw::owns(at(address)) {
                    report_instead();
                }
                announce(address);
                by(who, move || free(address));
            }
            Misuse::FreeStack { offset, who } => {
                let some = [0_u8; 256];
                let place = (&raw const some).expose_provenance() + usize::from(offset);
                announce(place);
                by(who, move || free(place));
                black_box(some);
            }
            Misuse::ReallocFreed { size, new, first } => {
                let block = make(size.bytes());
                by(first, move || free(block));
                announce(block);
                // SAFETY: none: this is the misuse.
                black_box(unsafe { raw::reallocate(at(block), new.bytes().max(1)) });
            }
            Misuse::AskFreed { size, first } => {
                let block = make(size.bytes());
                by(first, move || free(block));
                announce(block);
                // SAFETY: none: this is the misuse.
                black_box(unsafe { raw::usable_size(at(block)) });
            }
            Misuse::WrongSize { size, told, who } => {
                let (size, told) = (size.bytes().max(1), told.bytes().max(1));
                let layout = |size| Layout::from_size_align(size, 8).expect("small enough");
                // SAFETY: the size is not 0.
                let block = unsafe { Ravelin.alloc(layout(size)) }.expose_provenance();
                assert_ne!(block, 0);
                announce(block);
                // SAFETY: none: this is the misuse.
                by(who, move || unsafe { Ravelin.dealloc(at(block), layout(told)) });
            }
            Misuse::WriteFreed { size, offset, change, others, use_on } => {
                let size = usize::from(size % 1024) + 1;
                let some: Vec<usize> = (0..=others).map(|_| make(size)).collect();
                let (block, others) = some.split_first().expect("one at least");
                others.iter().step_by(2).for_each(|&other| free(other));
                free(*block);
                announce(*block);
                write(block + usize::from(offset) % size.next_multiple_of(16), change);
                // Whoever uses the heap on meets the block sooner or later; who asks meets it now.
                if use_on {
                    (0..4096).for_each(|_| _ = make(size));
                }
                if let Err(corruption) = check_heap() {
                    eprintln!("ravelin: {corruption}");
                    std::process::abort();
                }
            }
            Misuse::Overflow { size, first, more, who } => {
                let size = usize::from(size) + 1;
                let block = make(size);
                announce(block);
                // SAFETY: none: this is the misuse. The byte just behind the block is never a NUL here.
                unsafe { at(block + size).write_volatile(first | 1) };
                for byte in 0..usize::from(more % 16) {
                    // SAFETY: as above.
                    unsafe { at(block + size + 1 + byte).write_volatile(first) };
                }
                by(who, move || free(block));
            }
        }
    }

    /// Whether this build promises to stop it.
    pub(crate) fn must_be_stopped(self) -> bool {
        match self {
            Misuse::FreeTwice { .. }
            | Misuse::FreeInside { .. }
            | Misuse::FreeAnything { .. }
            | Misuse::FreeStack { .. }
            | Misuse::ReallocFreed { .. }
            | Misuse::AskFreed { .. } => MITIGATIONS.free_checks,
            Misuse::WrongSize { size, told, .. } => {
                let (size, told) = (size.bytes().max(1), told.bytes().max(1));
                let another_class = raw::good_size(size) != raw::good_size(told);
                MITIGATIONS.layout_checks && if has("canaries") { size != told } else { another_class }
            }
            Misuse::WriteFreed { size, offset, change, .. } => {
                let size = usize::from(size % 1024) + 1;
                let offset = usize::from(offset) % size.next_multiple_of(16);
                let noticed = offset < 8 && MITIGATIONS.encoded_links || has("zero-on-free");
                change != 0 && noticed
            }
            Misuse::Overflow { .. } => has("canaries"),
        }
    }

    /// Whether a report is of this misuse, and of the pointer that was misused.
    pub(crate) fn is_told_by(self, report: &Report) -> bool {
        report.text == NOTHING || self.is_of_this_kind(&report.text) && report.names_what_was_announced()
    }

    fn is_of_this_kind(self, report: &str) -> bool {
        let begins = |words: &[&str]| words.iter().any(|words| report.starts_with(words));
        match self {
            // Where the block was, there may be a page of another class by now, or nothing.
            Misuse::FreeTwice { .. } | Misuse::FreeAnything { .. } => begins(&["double free of ", "invalid free ("]),
            Misuse::FreeInside { .. } => {
                begins(&["invalid free (interior pointer) of ", "invalid free (misaligned pointer) of "])
            }
            Misuse::FreeStack { .. } => begins(&["invalid free (foreign pointer) of "]),
            // A huge mapping that was given back is nobody's.
            Misuse::ReallocFreed { .. } => {
                begins(&["use after free in realloc of ", "invalid free (foreign pointer) in realloc of "])
            }
            Misuse::AskFreed { .. } => {
                begins(&["use after free in usable_size of ", "invalid free (foreign pointer) in usable_size of "])
            }
            Misuse::WrongSize { .. } => begins(&["wrong layout ("]),
            Misuse::WriteFreed { .. } => begins(&["corrupted free list ", "write after free "]),
            Misuse::Overflow { size, .. } => {
                let size = usize::from(size) + 1;
                begins(&[&format!("buffer overflow ({size} bytes requested, written at offset {size}) in free of ")])
            }
        }
    }

    /// Whether memory may be gone that it touches.
    pub(crate) fn may_fault(self) -> bool {
        matches!(self, Misuse::WriteFreed { .. } | Misuse::Overflow { .. }) || !MITIGATIONS.free_checks
    }
}

const NOTHING: &str = "nothing to report";

/// Nothing was to be stopped after all: an end as if it had been.
fn report_instead() -> ! {
    eprintln!("ravelin: {NOTHING}");
    std::process::abort();
}
