//! What other threads have freed: taking it back.

use super::thread::{Heap, Thread};
use super::{Collect, diagnose, malloc};
use crate::geometry::GRANULE;
use crate::mitigations::MITIGATIONS;
use crate::page::Page;
use crate::remote::{self, All, Owned};
use crate::report::{self, Kind, Operation, Report};
use crate::segment::{self, Role, Segment};
use crate::sync::Relaxed;

/// Collects the pages of this thread that other threads have told it of.
pub(super) fn take(thread: &'static Thread) {
    thread.mailbox().open::<All>(|flag| {
        for segment in segment::segments_of(flag).filter(|segment| segment.role() == Role::Shared) {
            take_from(thread, segment);
        }
    });
}

/// Collects this thread's marked pages of one segment.
fn take_from(thread: &'static Thread, segment: &'static Segment) {
    let own = |slice| {
        let page = segment.page_at(slice)?;
        Some((page, page.owned_by(thread.me())?))
    };
    remote::collect_marked::<All, _>(segment.tables().all_pending(), own, |page, owned| {
        collect_page(&thread.heap, page, &owned);
        if page.wants_attention() {
            thread.heap_of(page).attend(page, owned);
        }
    });
}

/// Takes back what other threads have freed in this page.
pub(super) fn collect_page(heap: &Heap, page: &'static Page, owned: &Owned) {
    let start = page.face.start().addr();
    let mut count = 0_u64;
    let result = remote::collect::<All>(&page.bits(), page.summary(), owned, |granule| {
        let address = start.wrapping_add(granule.wrapping_mul(GRANULE));
        let taken = match heap.thread().filter(|_| MITIGATIONS.quarantine && page.is_in_a_heap()) {
            Some(thread) => page.post_to_quarantine(address, owned).map(|()| {
                thread.detain_posted(page, address, page.face.block_size());
            }),
            None => page.push_posted(address, owned).map(|_| ()),
        };
        if let Err(refused) = taken {
            malloc::die_of_damage(page, refused, Operation::Collect);
        }
        count = count.wrapping_add(1);
    });
    if let Some(thread) = heap.thread() {
        thread.collected.store(thread.collected.load(Relaxed).wrapping_add(count), Relaxed);
    }
    if let Err(granule) = result {
        die_of_double_free(page, granule);
    }
}

/// The block at this granule of the page was freed when it was free already; whose call it was is not known any more.
#[cold]
pub(super) fn die_of_double_free(page: &'static Page, granule: usize) -> ! {
    let address = page.face.start().addr().wrapping_add(granule.wrapping_mul(GRANULE));
    let report = Report::new(Kind::DoubleFree, Operation::Collect, address);
    report::die(&report.of_block(diagnose::facts(page)))
}

impl Thread {
    /// The heap that a page of this thread belongs to.
    pub(super) fn heap_of(&'static self, page: &Page) -> &'static Heap {
        let heap = page.hot.heap.load(Relaxed).cast::<Heap>();
        // SAFETY: a page that a thread owns names one of its heaps, whose metadata is never unmapped, or none.
        unsafe { heap.as_ref() }.unwrap_or(&self.heap)
    }

    /// Takes everything back that others have freed, and lets go of empty pages; with `how`, also what waits in the quarantine.
    pub(super) fn collect(&'static self, how: Collect) {
        if MITIGATIONS.quarantine && how == Collect::Fully {
            self.empty_quarantine();
        }
        take(self);
        self.heaps().for_each(Heap::collect);
    }
}

impl Heap {
    /// Takes everything back that others have freed into this heap's pages, and lets go of empty ones.
    pub(super) fn collect(&self) {
        for page in self.pages() {
            let owned = self.own(page, Operation::Collect);
            self.renew(page, &owned);
            collect_page(self, page, &owned);
        }
        self.sort_out();
    }
}
