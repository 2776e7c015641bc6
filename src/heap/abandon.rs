//! Pages whose thread has ended: given away, found again, adopted.
//!
//! Where an abandoned page lies is noted in its segment, and how many there are of a class in a counter: hints only, set
//! before the page is published as abandoned, and taken back by whoever has claimed it. What counts is the owner word.

use super::mail::collect_page;
use super::queue::class_of;
use super::thread::{Heap, Thread};
use crate::geometry::{CLASSES, Class};
use crate::mitigations::MITIGATIONS;
use crate::options::{self, Setting};
use crate::page::{Kind, Page};
use crate::remote::{All, Owned, Owner};
use crate::report::Operation;
use crate::segment::{self, Role, Segment};
use crate::sync::{AtomicU64, AtomicUsize, Relaxed};

/// Abandoned pages by class.
static WAITING: [AtomicUsize; CLASSES] = [const { AtomicUsize::new(0) }; CLASSES];
/// All of them.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Blocks of abandoned pages that were collected by whoever freed them.
static COLLECTED: AtomicU64 = AtomicU64::new(0);

/// How many pages are abandoned now.
pub(crate) fn count() -> usize {
    COUNT.load(Relaxed)
}

/// Blocks that came back by being freed into abandoned pages.
pub(crate) fn collected() -> u64 {
    COLLECTED.load(Relaxed)
}

fn note(page: &Page, class: Class) {
    if let Some(segment) = segment::segment_of(page) {
        segment.abandoned.add(page.face.first_slice(), 1);
    }
    if let Some(waiting) = WAITING.get(class.index()) {
        waiting.fetch_add(1, Relaxed);
    }
    COUNT.fetch_add(1, Relaxed);
}

fn unnote(page: &Page, class: Class) {
    if let Some(segment) = segment::segment_of(page) {
        segment.abandoned.remove(page.face.first_slice(), 1);
    }
    if let Some(waiting) = WAITING.get(class.index()) {
        waiting.fetch_sub(1, Relaxed);
    }
    COUNT.fetch_sub(1, Relaxed);
}

/// In the child of a fork: what was noted may be half a note.
pub(super) fn forget_notes() {
    for waiting in &WAITING {
        waiting.store(0, Relaxed);
    }
    COUNT.store(0, Relaxed);
}

/// In the child of a fork: a page that is abandoned, or whose thread is not in this process.
pub(super) fn note_orphan(page: &Page) {
    if let Kind::Blocks(class) = page.face.kind() {
        note(page, class);
    }
}

/// Gives all pages of a thread away, and its metadata back.
pub(super) fn abandon_all(thread: &'static Thread) {
    if MITIGATIONS.quarantine {
        thread.empty_quarantine();
    }
    for heap in thread.heaps() {
        heap.forget_direct();
        for queue in heap.all_queues() {
            while let Some(page) = queue.first() {
                let (owned, class) = (heap.own(page, Operation::Collect), class_of(page, Operation::Collect));
                heap.leave(page, class);
                collect_page(heap, page, &owned);
                give_away(heap, page, class, owned);
            }
        }
        heap.singles.give(None);
    }
    thread.mailbox().take();
    thread.put_back();
}

/// A page that its thread, or who has claimed it, does not keep: retired if it is empty, else abandoned.
pub(super) fn give_away(heap: &Heap, page: &'static Page, class: Class, owned: Owned) {
    let mut owned = owned;
    loop {
        if page.used() == 0 {
            segment::retire(page, owned);
            return;
        }
        note(page, class);
        if !page.face.owner.abandon::<All>(page.summary(), owned) {
            return;
        }
        // Somebody has freed a block and found an owner that was none any more.
        let Some(claimed) = page.face.owner.claim::<All>() else { return };
        unnote(page, class);
        take_back(heap, page, &claimed);
        owned = claimed;
    }
}

/// Collects a claimed page. False: its lists are not to be trusted, and only the count was kept.
fn take_back(heap: &Heap, page: &'static Page, owned: &Owned) -> bool {
    let Some(segment) = segment::segment_of(page) else { return false };
    if page.renew(segment.tables(), owned, &heap.rng) {
        collect_page(heap, page, owned);
        return true;
    }
    let mut count = 0_usize;
    let _ = crate::remote::collect::<All>(&page.bits(), page.summary(), owned, |_| count = count.wrapping_add(1));
    page.uncount(count, owned);
    false
}

/// Adopts an abandoned page of `class` for the heap, if there is one with room.
pub(super) fn adopt(heap: &'static Heap, class: Class) -> Option<&'static Page> {
    if WAITING.get(class.index())?.load(Relaxed) == 0 {
        return None;
    }
    for segment in shared_segments().filter(|segment| segment.is_at(heap.home())) {
        for slice in segment.abandoned.iter() {
            let Some(page) = segment.page_at(slice) else { continue };
            // Full pages stay where they are: who took one would need another at once.
            let is_wanted = page.face.kind() == Kind::Blocks(class) && page.may_have_room();
            if !is_wanted || page.face.owner.load() != Owner::Abandoned {
                continue;
            }
            if let Some(claimed) = page.face.owner.claim::<All>() {
                // What a page was may have changed before it was claimed.
                let Kind::Blocks(found) = page.face.kind() else { continue };
                unnote(page, found);
                if found == class && take_back(heap, page, &claimed) {
                    keep(heap, page, class, claimed);
                    return Some(page);
                }
                give_away(heap, page, found, claimed);
            }
        }
    }
    None
}

/// A claimed page becomes one of the heap's.
fn keep(heap: &'static Heap, page: &'static Page, class: Class, claimed: Owned) {
    if page.face.owner.adopt::<All>(page.summary(), heap.me(), &claimed) {
        collect_page(heap, page, &claimed);
    }
    heap.enter(page, class, &claimed);
}

/// A block was freed into an abandoned page: collect it there and then, and keep the page, if the calling thread has a
/// heap and has not adopted too many already. An empty page goes back at once.
#[cold]
#[inline(never)]
pub(super) fn reclaim(page: &'static Page) {
    let Some(claimed) = page.face.owner.claim::<All>() else { return };
    let Kind::Blocks(class) = page.face.kind() else { return };
    unnote(page, class);
    let Some(thread) = Thread::current() else {
        let Some(thread) = Thread::take() else {
            // Without memory for a moment's heap: the next who needs a page of the class collects it.
            publish(page, class, claimed);
            return;
        };
        let before = thread.collected();
        take_back(&thread.heap, page, &claimed);
        COLLECTED.fetch_add(thread.collected().wrapping_sub(before), Relaxed);
        thread.collected.store(before, Relaxed);
        give_away(&thread.heap, page, class, claimed);
        thread.put_back();
        return;
    };
    let heap = &thread.heap;
    let usable = take_back(heap, page, &claimed);
    let adopted = heap.adopted.load(Relaxed);
    let is_at_home = segment::segment_of(page).is_some_and(|segment| segment.is_at(heap.home()));
    if usable && is_at_home && page.used() != 0 && adopted < options::bytes(Setting::AbandonedLimit) {
        heap.adopted.store(adopted.wrapping_add(1), Relaxed);
        keep(heap, page, class, claimed);
    } else {
        give_away(heap, page, class, claimed);
    }
}

fn publish(page: &'static Page, class: Class, owned: Owned) {
    note(page, class);
    let _ = page.face.owner.abandon::<All>(page.summary(), owned);
}

/// Collects all abandoned pages and gives the empty ones back.
pub(super) fn sweep(thread: &'static Thread) {
    for segment in shared_segments() {
        for slice in segment.abandoned.iter() {
            let Some(page) = segment.page_at(slice) else { continue };
            let Some(claimed) = page.face.owner.claim::<All>() else { continue };
            let Kind::Blocks(class) = page.face.kind() else { continue };
            unnote(page, class);
            take_back(&thread.heap, page, &claimed);
            give_away(&thread.heap, page, class, claimed);
        }
    }
}

/// Calls `visit` for each abandoned page, claimed for the moment.
pub(super) fn visit<E>(heap: &Heap, mut visit: impl FnMut(&'static Page, &Owned) -> Result<(), E>) -> Result<(), E> {
    for segment in shared_segments() {
        for slice in segment.abandoned.iter() {
            let Some(page) = segment.page_at(slice) else { continue };
            let Some(claimed) = page.face.owner.claim::<All>() else { continue };
            let Kind::Blocks(class) = page.face.kind() else { continue };
            unnote(page, class);
            // A page that a fork has torn must be rebuilt before its count is believed.
            let result = if take_back(heap, page, &claimed) { visit(page, &claimed) } else { Ok(()) };
            give_away(heap, page, class, claimed);
            result?;
        }
    }
    Ok(())
}

pub(super) fn shared_segments() -> impl Iterator<Item = &'static Segment> {
    segment::segments().filter(|segment| segment.role() == Role::Shared)
}
