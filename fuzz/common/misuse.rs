//! One misuse of the heap, and whether this build must stop it.

use crate::actions::Size;
use crate::child::{Report, announce};
use arbitrary::Arbitrary;
use core::alloc::{GlobalAlloc, Layout};
use ravelin::raw::{self, Operator};
use ravelin::{MITIGATIONS, Ravelin, check_heap, stats};
use std::hint::black_box;
use std::thread;

/// Who makes a call.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Owner,
    AnotherThread,
}

/// A size that is told, whatever was requested.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Told {
    Size(Size),
    /// A few bytes more or less.
    Near(i8),
    Any(u64),
}

impl Told {
    fn bytes(self, requested: usize) -> usize {
        match self {
            Told::Size(size) => size.bytes(),
            Told::Near(more) => requested.saturating_add_signed(more.into()),
            Told::Any(bytes) => bytes as usize,
        }
    }
}

/// By what a block is got, and given back.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Malloc,
    New,
    NewArray,
}

/// An alignment as a power of two.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Align(u8);

impl Align {
    /// Up to 2 MiB.
    fn modest(self) -> usize {
        1 << (self.0 % 22)
    }

    /// Up to half of all addresses.
    fn any(self) -> usize {
        1 << (self.0 % 64)
    }
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
    /// One byte behind what was requested of a large block, which was resized before, perhaps.
    OverflowLarge {
        size: u32,
        born: Option<Size>,
        byte: u8,
        who: Who,
    },
    /// The byte before a block is changed. The block before that, if there is one, is freed.
    Underflow {
        size: Size,
        change: u8,
        which: u8,
        who: Who,
    },
    /// `new` with `delete[]`, or `new[]` with `delete`.
    WrongOperator {
        size: Size,
        align: Align,
        many: bool,
        sized: bool,
        who: Who,
    },
    /// `free_sized`, or a sized `delete`, with another size.
    WrongSizeAlone {
        family: Family,
        size: Size,
        align: Align,
        told: Told,
        who: Who,
    },
    /// `free_aligned_sized` with another alignment, and perhaps another size.
    WrongAlign {
        size: Size,
        align: Align,
        told: Option<Told>,
        told_align: Align,
        who: Who,
    },
}

/// Above this a block lies between guards of its own.
const SMALL: usize = 128 << 10;
/// More is never needed of one class for two blocks to lie side by side.
const NEIGHBOURS: usize = 48;

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

/// The same by other functions, and aligned.
fn make_of(family: Family, size: usize, align: usize) -> usize {
    let block = black_box(match family {
        Family::Malloc => raw::allocate_aligned(size, align),
        Family::New => raw::operator_new_aligned(size, align, Operator::One),
        Family::NewArray => raw::operator_new_aligned(size, align, Operator::Many),
    });
    assert!(!block.is_null(), "no memory for {size} bytes aligned to {align}");
    block.expose_provenance()
}

/// Bytes of a block for so many, with all that its class gives it.
fn stride(size: usize) -> usize {
    raw::good_size(size) + raw::TRAILER
}

/// What serves a request.
#[derive(PartialEq, Eq)]
enum Shape {
    /// A class of blocks of so many bytes.
    Class(usize),
    /// A page of its own, for so many bytes.
    Alone(usize),
    Nothing,
}

/// Of a request of one byte at least: the smallest class whose blocks are all aligned so, or a page of its own.
fn shape(size: usize, align: usize) -> Shape {
    let Some(padded) = size.checked_add(raw::TRAILER) else { return Shape::Nothing };
    let mut block = padded;
    while block <= SMALL && align <= 64 << 10 {
        block = stride(block - raw::TRAILER);
        if block.is_multiple_of(align) {
            return Shape::Class(block);
        }
        block += 1;
    }
    padded.checked_next_multiple_of(4096).map_or(Shape::Nothing, Shape::Alone)
}

/// Two of these blocks of one class, if some are: the second begins where the first one's memory ends.
fn neighbours(blocks: &[usize], stride: usize, which: u8) -> Option<(usize, usize)> {
    let pairs: Vec<_> = blocks.iter().map(|&block| (block, block + stride)).collect();
    let mut pairs: Vec<_> = pairs.into_iter().filter(|(_, second)| blocks.contains(second)).collect();
    let index = usize::from(which).checked_rem(pairs.len())?;
    Some(pairs.swap_remove(index))
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
            Misuse::OverflowLarge { size, born, byte, who } => {
                let size = Misuse::large(size);
                let mut block = make(born.map_or(size, Size::bytes));
                if born.is_some() {
                    // SAFETY: a live block, ours.
                    block = unsafe { raw::reallocate(at(block), size) }.expose_provenance();
                    assert_ne!(block, 0, "no memory for {size} bytes");
                }
                announce(block);
                // SAFETY: none: this is the misuse. The byte there is never a NUL here.
                unsafe { at(block + size).write_volatile(byte | 1) };
                by(who, move || free(block));
            }
            Misuse::Underflow { size, change, which, who } => {
                let size = size.bytes().max(1);
                if stride(size) > SMALL {
                    let block = make(size);
                    // A guard costs a mapping where the kernel is old, and may then be left out.
                    if stats().guards_left_out != 0 {
                        report_instead();
                    }
                    announce(block);
                    return write(block - 1, change | 1);
                }
                let blocks: Vec<usize> = (0..NEIGHBOURS).map(|_| make(size)).collect();
                let Some((before, block)) = neighbours(&blocks, stride(size), which) else { report_instead() };
                announce(before);
                write(block - 1, change | 1);
                by(who, move || free(before));
            }
            Misuse::WrongOperator { size, align, many, sized, who } => {
                let (size, align) = (size.bytes(), align.modest());
                let (family, other) =
                    if many { (Family::NewArray, Operator::One) } else { (Family::New, Operator::Many) };
                let block = make_of(family, size, align);
                announce(block);
                by(who, move || {
                    if sized {
                        // SAFETY: none: this is the misuse.
                        unsafe { raw::operator_delete_sized(at(block), size, other) }
                    } else {
                        // SAFETY: none: this is the misuse.
                        unsafe { raw::operator_delete(at(block), other) }
                    }
                });
            }
            Misuse::WrongSizeAlone { family, size, align, told, who } => {
                let size = size.bytes();
                let (block, told) = (make_of(family, size, align.modest()), told.bytes(size));
                announce(block);
                by(who, move || match family {
                    // SAFETY: none: this is the misuse.
                    Family::Malloc => unsafe { raw::free_sized(at(block), told) },
                    // SAFETY: none: as above.
                    Family::New => unsafe { raw::operator_delete_sized(at(block), told, Operator::One) },
                    // SAFETY: none: as above.
                    Family::NewArray => unsafe { raw::operator_delete_sized(at(block), told, Operator::Many) },
                });
            }
            Misuse::WrongAlign { size, align, told, told_align, who } => {
                let size = size.bytes().max(1);
                let block = make_of(Family::Malloc, size, align.modest());
                let told = told.map_or(size, |told| told.bytes(size));
                announce(block);
                // SAFETY: none: this is the misuse.
                by(who, move || unsafe { raw::free_aligned_sized(at(block), told, told_align.any()) });
            }
        }
    }

    /// The size of a large block, also of one that has a mapping of its own.
    fn large(bits: u32) -> usize {
        SMALL + 1 + bits as usize % (20 << 20)
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
            Misuse::Overflow { .. } | Misuse::OverflowLarge { .. } => has("canaries"),
            // A large block has a guard before it in every build; of small ones the end of the one before is looked at.
            Misuse::Underflow { size, .. } => has("canaries") || stride(size.bytes().max(1)) > SMALL,
            Misuse::WrongOperator { .. } => has("origin-checks"),
            Misuse::WrongSizeAlone { size, told, .. } => has("canaries") && size.bytes() != told.bytes(size.bytes()),
            Misuse::WrongAlign { size, align, told, told_align, .. } => {
                let size = size.bytes().max(1);
                let told = told.map_or(size, |told| told.bytes(size));
                let another_size = has("canaries") && size != told;
                // With `page-guards` a block for no bytes is of no class.
                let another_shape = shape(size, align.modest()) != shape(told.max(1), told_align.any());
                MITIGATIONS.layout_checks && (another_size || another_shape)
            }
        }
    }

    /// Whether it is none after all: then nothing may stop it.
    pub(crate) fn is_innocent(self) -> bool {
        match self {
            Misuse::WrongSize { size, told, .. } => size.bytes().max(1) == told.bytes().max(1),
            Misuse::WrongSizeAlone { size, told, .. } => size.bytes() == told.bytes(size.bytes()),
            Misuse::WrongAlign { size, align, told, told_align, .. } => {
                let size = size.bytes().max(1);
                told.is_none_or(|told| told.bytes(size) == size) && align.modest() == told_align.any()
            }
            _ => false,
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
                begins(&[&overflow(size, size)])
            }
            Misuse::OverflowLarge { size, .. } => {
                let size = Misuse::large(size);
                begins(&[&overflow(size, size)])
            }
            Misuse::Underflow { size, .. } => {
                let size = size.bytes().max(1);
                begins(&[&overflow(size, stride(size) - 1)])
            }
            Misuse::WrongOperator { many, .. } => begins(&[match many {
                false => "mismatched deallocation (allocated by new, freed by delete[]) of ",
                true => "mismatched deallocation (allocated by new[], freed by delete) of ",
            }]),
            Misuse::WrongSizeAlone { size, told, .. } => {
                let size = size.bytes();
                begins(&[&format!("wrong size (size {}, requested {size}) in free of ", told.bytes(size))])
            }
            Misuse::WrongAlign { size, told, told_align, .. } => {
                let size = size.bytes().max(1);
                let (told, align) = (told.map_or(size, |told| told.bytes(size)), told_align.any());
                begins(&[&format!("wrong layout (size {told}, alignment {align}) in free of ")])
            }
        }
    }

    /// Whether memory may be gone that it touches.
    pub(crate) fn may_fault(self) -> bool {
        let writes = matches!(
            self,
            Misuse::WriteFreed { .. }
                | Misuse::Overflow { .. }
                | Misuse::OverflowLarge { .. }
                | Misuse::Underflow { .. }
        );
        writes || !MITIGATIONS.free_checks
    }
}

/// How a report of an overflow begins, when the block is freed.
fn overflow(requested: usize, offset: usize) -> String {
    format!("buffer overflow ({requested} bytes requested, written at offset {offset}) in free of ")
}

const NOTHING: &str = "nothing to report";

/// Nothing was to be stopped after all: an end as if it had been.
fn report_instead() -> ! {
    eprintln!("ravelin: {NOTHING}");
    std::process::abort();
}
