//! Zeros in a large block whose range has held another.
//!
//! Many large blocks are never touched throughout, and those before them were not: what has no memory holds nothing. So only what has
//! memory is written to, which keeps the rest from getting some; to ask the kernel which OS pages have costs less than writing
//! to all. Of what has been found to have memory throughout it is not asked again: to write to more than is needed does no harm.

use super::single::Single;
use super::{Segment, map};
use crate::geometry::UserPtr;
use crate::os::{self, Span};
use crate::page::Page;

/// Up to so many bytes a block that is to hold nothing is filled with zeros; above it, its memory is given back. The kernel's zeros cost
/// less only where not all is written to: to whom writes to each OS page of 256 KiB, ten times what ours cost.
const WIPED_BY_HAND: usize = 1 << 22;

/// OS pages that this is at most: they have 4 KiB at least.
const MOST_PAGES: usize = WIPED_BY_HAND >> 12;

/// Makes the memory of a large block hold nothing, if it has just been made and nobody knows of it yet.
pub(crate) fn wipe_single(single: &Single) {
    if let Some((segment, granule)) = map::find(UserPtr::new(single.start.as_ptr())) {
        // SAFETY: the new block's memory.
        let block = unsafe { Span::new(single.start, single.size) };
        segment.wipe_block(segment.page_of(granule), block);
    }
}

impl Segment {
    /// The same for the block of this page.
    pub(super) fn wipe_block(&self, page: &Page, block: Span) {
        if self.is_brought() || block.len() <= page.face.filled() {
            fill(block);
        } else if block.len() > WIPED_BY_HAND {
            empty(block);
        } else if wipe_present(block) == Found::All {
            page.face.set_filled(block.len());
        }
    }
}

/// What of a block was found to have memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    All,
    Less,
}

fn wipe_present(block: Span) -> Found {
    let page = os::page_size();
    let mut bytes = [0; MOST_PAGES];
    let bytes = bytes.get_mut(..block.len() / page).unwrap_or_default();
    if os::present(block, bytes).is_err() {
        fill(block);
        return Found::Less;
    }
    let is_present = |byte: &u8| byte & 1 != 0;
    let mut offset = 0_usize;
    let mut pages = bytes.iter().map(is_present).peekable();
    while let Some(has_memory) = pages.next() {
        let mut len = page;
        while pages.next_if_eq(&has_memory).is_some() {
            len = len.wrapping_add(page);
        }
        let Some(part) = block.part(offset, len) else { break };
        // What was swapped out has no memory, but is not zero.
        if has_memory {
            fill(part)
        } else {
            empty(part)
        }
        offset = offset.wrapping_add(len);
    }
    if bytes.iter().all(is_present) { Found::All } else { Found::Less }
}

fn fill(part: Span) {
    // SAFETY: a new block or a part of it, which is open.
    unsafe { part.start().as_ptr().write_bytes(0, part.len()) };
}

/// Takes its memory, if it has any.
fn empty(part: Span) {
    // SAFETY: a new block or a part of it.
    if unsafe { os::purge(part) }.is_err() {
        fill(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::MODELS_ONLY;

    /// Every OS page of a span, and whether it has memory; none where the system is played.
    fn with_memory(span: Span) -> Option<std::vec::Vec<bool>> {
        let mut bytes = std::vec![0; span.len() / os::page_size()];
        os::present(span, &mut bytes).ok()?;
        let with_memory: std::vec::Vec<bool> = bytes.iter().map(|byte| byte & 1 != 0).collect();
        Some(with_memory).filter(|pages| !pages.iter().all(|page| *page))
    }

    #[test]
    fn all_is_zero_and_what_had_no_memory_gets_none() {
        if MODELS_ONLY {
            return;
        }
        let page = os::page_size();
        let span = os::reserve(16 * page, page, None).expect("address space");
        // SAFETY: this test's own.
        unsafe { os::open(span) }.expect("memory");
        let bytes = |index: usize| span.start().as_ptr().wrapping_add(index * page);
        for index in [0, 5, 6, 15] {
            // SAFETY: as above, and open.
            unsafe { bytes(index).write_bytes(7, page) };
        }
        let before = with_memory(span);
        assert_eq!(wipe_present(span), if before.is_some() { Found::Less } else { Found::All });
        assert_eq!(with_memory(span), before);
        // SAFETY: as above.
        let all = unsafe { core::slice::from_raw_parts(span.start().as_ptr(), span.len()) };
        assert!(all.iter().all(|byte| *byte == 0));
        // All of it has been read, and so has memory.
        fill(span);
        assert_eq!(wipe_present(span), Found::All);
        // SAFETY: nobody else knows of it.
        unsafe { os::release(span) };
    }
}
