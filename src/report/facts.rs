//! What a report tells, and the line that tells it.
//!
//! ```text
//! ravelin: double free of 0x7f3a5c0012c0 (block of class 64, page 0x7f3a5c000000, segment 3) by thread 4711
//!          `- kind      `- address        `- block, as far as it is known                             `- who
//!
//! ravelin: wrong layout (size 100, alignment 8) in dealloc of 0x7f3a5c0012c0 (block of class 64, ..) by thread 4711
//!                       `- detail                `- operation, unless the kind has said "free" already
//! ```

use core::fmt;

use super::kind::{Kind, Operation};
use super::line::Line;
use super::stack::{Life, Stack};
use crate::os;

/// What is known about the block that a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockFacts {
    class_size: usize,
    page: usize,
    segment: usize,
}

impl BlockFacts {
    /// Facts about a block of `class_size` bytes in the page that starts at address `page`, in segment number
    /// `segment`.
    #[must_use]
    pub(crate) const fn new(class_size: usize, page: usize, segment: usize) -> BlockFacts {
        BlockFacts { class_size, page, segment }
    }

    /// The size of the block, in bytes.
    #[must_use]
    pub const fn class_size(&self) -> usize {
        self.class_size
    }

    /// The address at which the block's page starts.
    #[must_use]
    pub const fn page(&self) -> usize {
        self.page
    }

    /// The number of the segment that holds the page: a segment's address divided by its size.
    #[must_use]
    pub const fn segment(&self) -> usize {
        self.segment
    }
}

/// What does not fit into the other fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    None,
    /// The layout that the caller gave: size and alignment in bytes.
    Layout(usize, usize),
    /// The size that the caller gave, and the one that was requested.
    Sizes(usize, usize),
    /// How many bytes were requested, and where in the block the first byte lies that was overwritten.
    Overflow(usize, usize),
    /// Where in the block the first byte lies that was written to.
    Offset(usize),
    /// What exactly was found.
    Note(&'static str),
    /// Where the damage or the access was, seen from the block.
    Place(Place),
}

/// A place seen from a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// So many bytes before its start: 1 is the byte just before.
    Before(usize),
    /// So many bytes from its start.
    Inside(usize),
    /// So many bytes behind its end: 1 is the byte just behind.
    Behind(usize),
}

impl Place {
    /// Where `address` lies seen from the block of `size` bytes at `start`.
    pub(crate) const fn of(address: usize, start: usize, size: usize) -> Place {
        if address < start {
            return Place::Before(start.wrapping_sub(address));
        }
        let offset = address.wrapping_sub(start);
        if offset < size { Place::Inside(offset) } else { Place::Behind(offset.wrapping_sub(size).wrapping_add(1)) }
    }

    fn describe(self, line: &mut Line) {
        let (bytes, words) = match self {
            Place::Before(bytes) => (bytes, " before the start"),
            Place::Inside(bytes) => (bytes, " from the start"),
            Place::Behind(bytes) => (bytes, " past the end"),
        };
        line.push_dec(bytes as u64).push_str(if bytes == 1 { " byte" } else { " bytes" }).push_str(words);
    }
}

/// Why the process is being stopped.
///
/// A hook (see [`set_report_hook`](crate::set_report_hook)) gets one. Its [`Display`](fmt::Display) form is the line
/// that was written, without the leading `ravelin: ` and the end of line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    kind: Kind,
    operation: Operation,
    address: usize,
    block: Option<BlockFacts>,
    detail: Detail,
    life: Life,
    thread: u64,
}

impl Report {
    /// A report of the calling thread about `address`, which is 0 when it is about no address.
    #[must_use]
    pub(crate) fn new(kind: Kind, operation: Operation, address: usize) -> Report {
        Report {
            kind,
            operation,
            address,
            block: None,
            detail: Detail::None,
            life: Life::default(),
            thread: os::thread_id(),
        }
    }

    /// Adds what is known about the block.
    #[must_use]
    pub(crate) const fn of_block(mut self, block: BlockFacts) -> Report {
        self.block = Some(block);
        self
    }

    /// Adds the layout that the caller gave, for [`Kind::WrongLayout`]. It takes the place of a note.
    #[must_use]
    pub(crate) const fn with_layout(mut self, size: usize, align: usize) -> Report {
        self.detail = Detail::Layout(size, align);
        self
    }

    /// Adds the size that the caller gave, and the one that was requested, for [`Kind::WrongSize`].
    #[must_use]
    pub(crate) const fn of_sizes(mut self, given: usize, requested: usize) -> Report {
        self.detail = Detail::Sizes(given, requested);
        self
    }

    /// Adds how many bytes were requested, and where in the block the first byte lies that was overwritten, for
    /// [`Kind::BufferOverflow`].
    #[must_use]
    pub(crate) const fn overflown(mut self, requested: usize, offset: usize) -> Report {
        self.detail = Detail::Overflow(requested, offset);
        self
    }

    /// Adds where in the block the first byte lies that was written to, for [`Kind::WriteAfterFree`].
    #[must_use]
    pub(crate) const fn at_offset(mut self, offset: usize) -> Report {
        self.detail = Detail::Offset(offset);
        self
    }

    /// Adds what exactly was found, for [`Kind::Internal`] and the like. It takes the place of a layout.
    #[must_use]
    pub(crate) const fn with_note(mut self, note: &'static str) -> Report {
        self.detail = Detail::Note(note);
        self
    }

    /// Adds where the damage or the access was. It takes the place of a layout and of a note.
    #[must_use]
    pub(crate) const fn with_place(mut self, place: Place) -> Report {
        self.detail = Detail::Place(place);
        self
    }

    /// Adds who allocated the block and who freed it.
    #[must_use]
    pub(crate) const fn with_life(mut self, life: Life) -> Report {
        self.life = life;
        self
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The call in which it was found.
    #[must_use]
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// The pointer that the caller gave, or the place of the damage; 0 if the report is about no address.
    #[must_use]
    pub const fn address(&self) -> usize {
        self.address
    }

    /// What is known about the block.
    #[must_use]
    pub const fn block(&self) -> Option<&BlockFacts> {
        self.block.as_ref()
    }

    /// The size and alignment that the caller gave, in bytes, for [`Kind::WrongLayout`].
    #[must_use]
    pub const fn layout(&self) -> Option<(usize, usize)> {
        match self.detail {
            Detail::Layout(size, align) => Some((size, align)),
            _ => None,
        }
    }

    /// How many bytes behind the block's start the first byte lies that was written to, for [`Kind::WriteAfterFree`] and
    /// [`Kind::BufferOverflow`].
    #[must_use]
    pub const fn offset(&self) -> Option<usize> {
        match self.detail {
            Detail::Offset(offset) | Detail::Overflow(_, offset) => Some(offset),
            _ => None,
        }
    }

    /// How many bytes of the block were requested, for [`Kind::BufferOverflow`] and [`Kind::WrongSize`].
    #[must_use]
    pub const fn requested(&self) -> Option<usize> {
        match self.detail {
            Detail::Overflow(requested, _) | Detail::Sizes(_, requested) => Some(requested),
            _ => None,
        }
    }

    /// Where the damage or the access was, seen from the block, for [`Kind::BufferOverflow`] and the like.
    #[must_use]
    pub const fn place(&self) -> Option<Place> {
        match self.detail {
            Detail::Place(place) => Some(place),
            _ => None,
        }
    }

    /// Who allocated the block, if that was noted: see the option `SAMPLED_GUARDS`.
    #[must_use]
    pub fn allocated_by(&self) -> Option<&'static Stack> {
        self.life.allocated()
    }

    /// Who freed the block, if that was noted.
    #[must_use]
    pub fn freed_by(&self) -> Option<&'static Stack> {
        self.life.freed()
    }

    /// Hands the lines about the block's life to `out`, each with its end.
    pub(super) fn tell_life(&self, out: &mut dyn FnMut(&[u8])) {
        self.life.tell(out);
    }

    /// The system's number of the thread that made the call.
    #[must_use]
    pub const fn thread(&self) -> u64 {
        self.thread
    }

    /// Appends the report, without the leading name of the crate.
    pub(crate) fn describe(&self, line: &mut Line) {
        line.push_str(self.kind.as_str());
        match self.detail {
            Detail::None => {}
            Detail::Layout(size, align) => {
                line.push_str(" (size ").push_dec(size as u64);
                line.push_str(", alignment ").push_dec(align as u64).push_str(")");
            }
            Detail::Sizes(given, requested) => {
                line.push_str(" (size ").push_dec(given as u64);
                line.push_str(", requested ").push_dec(requested as u64).push_str(")");
            }
            Detail::Overflow(requested, offset) => {
                line.push_str(" (").push_dec(requested as u64).push_str(" bytes requested, written at offset ");
                line.push_dec(offset as u64).push_str(")");
            }
            Detail::Offset(offset) => {
                line.push_str(" (at offset ").push_dec(offset as u64).push_str(")");
            }
            Detail::Note(note) => {
                line.push_str(" (").push_str(note).push_str(")");
            }
            Detail::Place(place) => {
                line.push_str(" (");
                place.describe(line);
                line.push_str(")");
            }
        }
        if !(self.kind.names_a_free() && self.operation.is_a_free()) {
            line.push_str(" in ").push_str(self.operation.as_str());
        }
        if self.address != 0 {
            let word = match self.kind {
                Kind::CorruptedFreeList | Kind::Internal => " at ",
                _ if self.operation.is_an_access() => " at ",
                Kind::DeadHeap | Kind::ForeignHeap => " with handle ",
                _ => " of ",
            };
            line.push_str(word).push_hex(self.address);
        }
        if let Some(block) = &self.block {
            line.push_str(" (block of class ").push_dec(block.class_size as u64);
            line.push_str(", page ").push_hex(block.page);
            line.push_str(", segment ").push_dec(block.segment as u64).push_str(")");
        }
        line.push_str(" by thread ").push_dec(self.thread);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line::new();
        self.describe(&mut line);
        // A line is made of this crate's own ASCII text only, so it is never refused.
        f.write_str(core::str::from_utf8(line.close()).unwrap_or(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    fn report(kind: Kind, operation: Operation) -> Report {
        let mut report = Report::new(kind, operation, 0x7f3a_5c00_12c0);
        report.thread = 4711;
        report
    }

    const BLOCK: BlockFacts = BlockFacts::new(64, 0x7f3a_5c00_0000, 3);

    #[test]
    fn every_kind_has_its_line() {
        let lines = [
            (Kind::DoubleFree, Operation::Free, "double free of 0x7f3a5c0012c0 by thread 4711"),
            (
                Kind::InteriorPointer,
                Operation::Free,
                "invalid free (interior pointer) of 0x7f3a5c0012c0 by thread 4711",
            ),
            (Kind::Misaligned, Operation::Free, "invalid free (misaligned pointer) of 0x7f3a5c0012c0 by thread 4711"),
            (Kind::NeverAllocated, Operation::Free, "invalid free (never allocated) of 0x7f3a5c0012c0 by thread 4711"),
            (Kind::Foreign, Operation::Free, "invalid free (foreign pointer) of 0x7f3a5c0012c0 by thread 4711"),
            (Kind::Wild, Operation::Free, "invalid free (wild pointer) of 0x7f3a5c0012c0 by thread 4711"),
            (
                Kind::CorruptedFreeList,
                Operation::Malloc,
                "corrupted free list in malloc at 0x7f3a5c0012c0 by thread 4711",
            ),
            (Kind::BufferOverflow, Operation::Free, "buffer overflow in free of 0x7f3a5c0012c0 by thread 4711"),
            (Kind::WriteAfterFree, Operation::Malloc, "write after free in malloc of 0x7f3a5c0012c0 by thread 4711"),
            (Kind::WrongLayout, Operation::Dealloc, "wrong layout in dealloc of 0x7f3a5c0012c0 by thread 4711"),
            (Kind::WrongSize, Operation::Free, "wrong size in free of 0x7f3a5c0012c0 by thread 4711"),
            (Kind::MismatchedDeallocation, Operation::Free, "mismatched deallocation of 0x7f3a5c0012c0 by thread 4711"),
            (Kind::UseAfterFree, Operation::Realloc, "use after free in realloc of 0x7f3a5c0012c0 by thread 4711"),
            (
                Kind::NoRandomness,
                Operation::Malloc,
                "no source of randomness in malloc of 0x7f3a5c0012c0 by thread 4711",
            ),
            (Kind::DeadHeap, Operation::Malloc, "dead heap in malloc with handle 0x7f3a5c0012c0 by thread 4711"),
            (
                Kind::ForeignHeap,
                Operation::HeapDestroy,
                "foreign heap in heap_destroy with handle 0x7f3a5c0012c0 by thread 4711",
            ),
            (Kind::Internal, Operation::Collect, "internal error in collect at 0x7f3a5c0012c0 by thread 4711"),
        ];
        for (kind, operation, expected) in lines {
            assert_eq!(report(kind, operation).to_string(), expected);
        }
    }

    #[test]
    fn the_operation_is_named_unless_the_kind_has_named_it() {
        let lines = [
            (Operation::Free, "double free of 0x7f3a5c0012c0 by thread 4711"),
            (Operation::Dealloc, "double free of 0x7f3a5c0012c0 by thread 4711"),
            (Operation::Realloc, "double free in realloc of 0x7f3a5c0012c0 by thread 4711"),
            (Operation::UsableSize, "double free in usable_size of 0x7f3a5c0012c0 by thread 4711"),
            (Operation::Malloc, "double free in malloc of 0x7f3a5c0012c0 by thread 4711"),
            (Operation::Collect, "double free in collect of 0x7f3a5c0012c0 by thread 4711"),
            (Operation::CheckHeap, "double free in check_heap of 0x7f3a5c0012c0 by thread 4711"),
        ];
        for (operation, expected) in lines {
            assert_eq!(report(Kind::DoubleFree, operation).to_string(), expected);
        }
    }

    #[test]
    fn a_block_is_described_as_far_as_it_is_known() {
        let known = report(Kind::DoubleFree, Operation::Free).of_block(BLOCK);
        assert_eq!(
            known.to_string(),
            "double free of 0x7f3a5c0012c0 (block of class 64, page 0x7f3a5c000000, segment 3) by thread 4711"
        );
    }

    #[test]
    fn details_follow_the_kind_and_no_address_is_left_out() {
        assert_eq!(
            report(Kind::WrongLayout, Operation::Dealloc).of_block(BLOCK).with_layout(100, 8).to_string(),
            "wrong layout (size 100, alignment 8) in dealloc of 0x7f3a5c0012c0 (block of class 64, \
             page 0x7f3a5c000000, segment 3) by thread 4711"
        );
        assert_eq!(
            report(Kind::WrongSize, Operation::Free).of_sizes(48, 40).to_string(),
            "wrong size (size 48, requested 40) in free of 0x7f3a5c0012c0 by thread 4711"
        );
        assert_eq!(
            report(Kind::BufferOverflow, Operation::Free).overflown(40, 41).to_string(),
            "buffer overflow (40 bytes requested, written at offset 41) in free of 0x7f3a5c0012c0 by thread 4711"
        );
        assert_eq!(
            report(Kind::WriteAfterFree, Operation::Malloc).at_offset(24).to_string(),
            "write after free (at offset 24) in malloc of 0x7f3a5c0012c0 by thread 4711"
        );
        let mut nowhere = report(Kind::Internal, Operation::CheckHeap).with_note("more blocks than the page holds");
        nowhere.address = 0;
        assert_eq!(
            nowhere.to_string(),
            "internal error (more blocks than the page holds) in check_heap by thread 4711"
        );
    }

    #[test]
    fn a_place_is_counted_from_the_block_s_nearest_end() {
        let place = |address| Place::of(address, 100, 10);
        let places = [
            (99, Place::Before(1), "buffer underflow (1 byte before the start)"),
            (100, Place::Inside(0), "buffer underflow (0 bytes from the start)"),
            (109, Place::Inside(9), "buffer underflow (9 bytes from the start)"),
            (110, Place::Behind(1), "buffer underflow (1 byte past the end)"),
            (117, Place::Behind(8), "buffer underflow (8 bytes past the end)"),
        ];
        for (address, expected, words) in places {
            assert_eq!(place(address), expected);
            let report = report(Kind::BufferUnderflow, Operation::Free).with_place(expected);
            assert_eq!(report.place(), Some(expected));
            assert_eq!(report.to_string(), words.to_string() + " in free of 0x7f3a5c0012c0 by thread 4711");
        }
        assert_eq!(Place::of(100, 100, 0), Place::Behind(1));
        let fault = report(Kind::BufferOverflow, Operation::Write).with_place(Place::Behind(1)).of_block(BLOCK);
        assert_eq!(
            fault.to_string(),
            "buffer overflow (1 byte past the end) in write at 0x7f3a5c0012c0 (block of class 64, \
             page 0x7f3a5c000000, segment 3) by thread 4711"
        );
    }

    #[test]
    fn the_longest_report_fits_a_line() {
        let mut longest = Report::new(Kind::NoRandomness, Operation::UsableSize, usize::MAX)
            .of_block(BlockFacts::new(usize::MAX, usize::MAX, usize::MAX))
            .with_layout(usize::MAX, usize::MAX);
        longest.thread = u64::MAX;
        assert!(longest.to_string().ends_with(" by thread 18446744073709551615"));
    }

    #[test]
    fn a_note_too_long_for_a_line_is_cut() {
        const NOTE: [u8; 1000] = [b'x'; 1000];
        let note = core::str::from_utf8(&NOTE).unwrap();
        let text = report(Kind::Internal, Operation::Collect).with_note(note).to_string();
        assert!(text.ends_with("..."));
        assert_eq!(text.len(), 511);
    }
}
