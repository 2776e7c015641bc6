//! Blocks of no bytes, where the build has guards to spare: pages of them, and which of a heap's is allocated from.
//!
//! Such a page takes 64 KiB of address space for up to 4,096 blocks, and no memory. It is a page of a heap's list like one of a single
//! large block ([`Singles`]), so that it moves and ends with the heap; and it lies in the segments of what stands alone, for a slice that
//! stays closed would cost others their huge pages.
//!
//! All is done under the lock: nobody asks for nothing so often that it would matter, and anybody may free.

use super::area::Home;
use super::space::{self, Locked, Run, dice, lock};
use super::zone::Zone;
use super::{Singles, segment_of};
use crate::geometry::GRANULE;
use crate::os::Errno;
use crate::page::{Contents, Extent, Origin, Page, VOID_PLACES, VOIDS};
use crate::remote::NotLive;
use core::ptr::{self, NonNull};

/// Above this the next block comes from another page: places are drawn until a free one is found.
const FULL: u32 = VOID_PLACES / 4 * 3;
/// Below this a page is allocated from again when the one that is has more.
const ROOMY: u32 = VOID_PLACES / 4;
/// Wider alignments are served with memory, for a page has too few such places.
const WIDEST: usize = 4096;

/// For those who have no heap.
static NOBODYS: Singles = Singles::new();

/// A block of no bytes, for a heap's list if it has a heap. None: an ordinary one must do.
pub(crate) fn allocate(align: usize, origin: Origin, list: Option<&'static Singles>) -> Option<NonNull<u8>> {
    if !VOIDS || align > WIDEST || !Singles::home_of(list).is_anywhere() {
        return None;
    }
    let step = (align.max(GRANULE) / GRANULE) as u32;
    let locked = lock();
    let take = |page: &Page| page.take_void(step, origin, |bound| dice().below(bound));
    let head = list.unwrap_or(&NOBODYS);
    let block = match head.voids().filter(|page| page.used() < FULL).and_then(take) {
        Some(block) => block,
        None => {
            let page = make(list, &locked)?;
            head.set_voids(Some(page));
            take(page)?
        }
    };
    Some(block)
}

fn make(list: Option<&'static Singles>, locked: &Locked) -> Option<&'static Page> {
    let shut = |run: &Run| if run.segment.shuts(run.first, run.count) { Ok(()) } else { Err(Errno::NOMEM) };
    let Run { segment, first, count, contents } = space::take_new(Zone::Sampled, Home::ANY, 1, &shut, locked).ok()?;
    if contents == Contents::Zero {
        // Nothing was written there, and nothing will be.
        segment.uncommit(first, count, locked);
    }
    let (page, span) = (segment.page_at(first)?, segment.span(first, count)?);
    segment.set_heads(first, count);
    let extent = Extent { first_slice: first, slices: count, segment_number: segment.number(), start: span.start() };
    page.bear_voids(segment.tables_forever(), &extent);
    Singles::link(list, page, locked);
    Some(page)
}

/// Frees one.
///
/// # Errors
/// [`NotLive`] if it is not live; nothing is changed then.
pub(crate) fn free(page: &'static Page, address: usize) -> Result<(), NotLive> {
    let locked = lock();
    // Whoever was faster may have given the page up.
    if !page.face.has_voids() {
        return Err(NotLive);
    }
    page.free_void(address)?;
    let head = Singles::of(page).unwrap_or(&NOBODYS);
    let current = head.voids();
    if current.is_some_and(|current| ptr::eq(current, page)) {
        return Ok(());
    }
    if page.used() == 0 {
        end(page, &locked);
    } else if page.used() < ROOMY && current.is_none_or(|current| current.used() >= ROOMY) {
        head.set_voids(Some(page));
    }
    Ok(())
}

/// All blocks of the page are freed, and it is given up. It may be on a list still, but not the one that is allocated from.
pub(super) fn end(page: &'static Page, locked: &Locked) {
    Singles::unlink(page, locked);
    if let (Some(segment), Ok(())) = (segment_of(page), page.end_voids()) {
        let (first, count) = (page.face.first_slice(), page.face.slices());
        space::give(&Run { segment, first, count, contents: Contents::Unknown }, locked);
    }
}
