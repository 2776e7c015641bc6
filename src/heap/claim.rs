//! What whoever gives a block back says of it.

use super::{diagnose, free};
use crate::geometry::{GRANULE, UserPtr};
use crate::mitigations::MITIGATIONS;
use crate::page::{Block, Origin, Page};
use crate::report::Operation;
use crate::segment::Segment;

/// How a caller names a block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Claim {
    /// By its address alone.
    Any,
    /// By its address, to C++'s `delete` of this origin, perhaps with the size that was requested.
    Operator { origin: Origin, size: Option<usize> },
    /// By its address and the size that was requested.
    Sized { size: usize },
    /// By the Layout that it was allocated with.
    Layout { size: usize, align: usize },
}

/// A claim but for its numbers: who hands these on one by one needs no memory for them, and so no frame in the fast path of free.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Any,
    Operator(Origin),
    SizedOperator(Origin),
    Sized,
    Layout,
}

impl Claim {
    /// Its form, its size and its alignment, where it has them.
    #[inline(always)]
    pub(super) const fn parts(self) -> (Form, usize, usize) {
        match self {
            Claim::Any => (Form::Any, 0, 0),
            Claim::Operator { origin, size: None } => (Form::Operator(origin), 0, 0),
            Claim::Operator { origin, size: Some(size) } => (Form::SizedOperator(origin), size, 0),
            Claim::Sized { size } => (Form::Sized, size, 0),
            Claim::Layout { size, align } => (Form::Layout, size, align),
        }
    }

    /// The claim of these parts.
    pub(super) const fn of_parts(form: Form, size: usize, align: usize) -> Claim {
        match form {
            Form::Any => Claim::Any,
            Form::Operator(origin) => Claim::Operator { origin, size: None },
            Form::SizedOperator(origin) => Claim::Operator { origin, size: Some(size) },
            Form::Sized => Claim::Sized { size },
            Form::Layout => Claim::Layout { size, align },
        }
    }

    /// Where the block came from, if the claim is true, and in most cases anyway.
    #[inline(always)]
    pub(super) const fn origin(self) -> Origin {
        match self {
            Claim::Any | Claim::Sized { .. } => Origin::MALLOC,
            Claim::Operator { origin, .. } => origin,
            Claim::Layout { align, .. } => Origin::layout(align),
        }
    }

    /// How much was requested of the block, if the claim is true.
    #[inline(always)]
    const fn size(self) -> Option<usize> {
        match self {
            Claim::Any => None,
            Claim::Layout { size, .. } | Claim::Sized { size } => Some(size),
            Claim::Operator { size, .. } => size,
        }
    }

    /// Whether it is plainly true of a live block of `room` bytes. If not, `check` says what is wrong, if anything.
    #[inline(always)]
    pub(super) fn is_plain(self, segment: &'static Segment, page: &'static Page, block: Block, room: usize) -> bool {
        page.is_block_whole(segment.tables(), block, room, self.origin(), self.size())
    }

    /// The same for a page of which only that is known that the calling thread does not own it. Not for a page of one block, whose trailer is
    /// looked at by who has claimed it.
    #[inline(always)]
    pub(super) fn is_plain_elsewhere(self, pointer: UserPtr, segment: &'static Segment, page: &'static Page) -> bool {
        if !page.face.has_a_class() {
            return false;
        }
        let (block, room) = (page.face.block(pointer.address()), page.face.block_size());
        self.is_plain(segment, page, block, room)
    }

    /// Stops the process unless the claim is true of the live block, as far as this build can tell, and its canary whole.
    #[inline(always)]
    pub(super) fn check(self, pointer: UserPtr, segment: &'static Segment, page: &'static Page, operation: Operation) {
        if MITIGATIONS.canaries {
            if !page.is_whole(segment.tables(), pointer.address(), self.origin(), self.size()) {
                diagnose::examine(pointer, segment, page, operation, self);
            }
        } else if MITIGATIONS.layout_checks
            && let Claim::Layout { size, align } = self
            && !(align <= GRANULE && page.face.fits(size))
            && !free::is_of_layout(page, size, align)
        {
            diagnose::die_of_layout(pointer, page, operation, size, align);
        }
    }

    /// The same for a page of one block, which the calling thread has claimed: the block is not live any more, and its own.
    pub(super) fn check_claimed(self, segment: &'static Segment, page: &'static Page, operation: Operation) {
        let start = UserPtr::new(page.face.start());
        if !page.is_whole(segment.tables(), start.address(), self.origin(), self.size()) {
            diagnose::examine_claimed(start, segment, page, operation, self);
        }
    }

    /// Whether it is true of a block of which so much was requested, and in this way.
    pub(super) fn is_true_of(self, page: &Page, requested: usize, origin: Origin) -> bool {
        match self {
            Claim::Any => true,
            Claim::Sized { size } => size == requested,
            Claim::Operator { origin: operator, size } => {
                size.is_none_or(|size| size == requested) && !origin.clashes_with(operator)
            }
            Claim::Layout { size, align } => {
                size == requested
                    && match origin.alignment() {
                        Some(of_block) => of_block == align,
                        None => free::is_of_layout(page, size, align),
                    }
            }
        }
    }
}
