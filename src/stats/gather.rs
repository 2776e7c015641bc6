//! Taking a snapshot.

use super::{ClassStats, LargeStats, SampledStats, Stats, SystemCalls};
use crate::geometry::{CLASSES, Class};
use crate::segment::{self, Tally, committed, meta, peak};
use crate::{heap, os};

/// A snapshot, for any thread at any time.
pub(crate) fn stats() -> Stats {
    let tally = Tally::take();
    peak::see(&tally);
    let all = tally.all();
    let pages = all.pages.wrapping_sub(tally.large.pages);
    let posted = tally.posted as u64;
    Stats {
        live_bytes: all.bytes as u64,
        peak_live_bytes: peak::of_all().bytes() as u64,
        live_blocks: all.blocks as u64,
        peak_live_blocks: peak::of_all().blocks() as u64,
        classes: classes(&tally),
        large: LargeStats {
            blocks: tally.large.blocks as u64,
            bytes: tally.large.bytes as u64,
            peak_blocks: peak::of_large().blocks() as u64,
            peak_bytes: peak::of_large().bytes() as u64,
        },
        sampled: SampledStats {
            blocks: tally.sampled.blocks as u64,
            bytes: tally.sampled.bytes as u64,
            made: segment::sampled_in_all().sum(),
            waiting: segment::sampled_waiting() as u64,
        },
        reserved: segment::reserved().wrapping_add(segment::huge_bytes()) as u64,
        arenas: segment::arenas() as u64,
        committed: committed::now() as u64,
        peak_committed: committed::most() as u64,
        purged: committed::purged() as u64,
        quarantined: segment::quarantined() as u64,
        metadata: meta::bytes() as u64,
        segments: tally.segments as u64,
        pages: pages as u64,
        full_pages: tally.full as u64,
        abandoned_pages: heap::abandoned_pages() as u64,
        cross_thread_frees: heap::cross_thread_frees().wrapping_add(posted),
        posted_blocks: posted,
        guards: tally.guards as u64,
        guards_left_out: segment::left_out() as u64,
        left_open: segment::left_open() as u64,
        guard_maps: segment::borders() as u64,
        system_calls: system_calls(),
        forks: heap::forks(),
        threads: heap::threads() as u64,
    }
}

/// Forgets the peaks: from now on they are those since this call.
pub(crate) fn forget_peaks() {
    committed::forget_most();
    peak::forget();
}

fn classes(tally: &Tally) -> [ClassStats; CLASSES] {
    let mut classes = [ClassStats::default(); CLASSES];
    let found = tally.classes.iter().zip(peak::of_classes()).zip(Class::all()).zip(segment::sampled_in_all());
    for (stats, (((count, peak), class), sampled)) in classes.iter_mut().zip(found) {
        *stats = ClassStats {
            block_size: class.block_size() as u64,
            blocks: count.blocks as u64,
            bytes: count.bytes as u64,
            peak_blocks: peak.blocks() as u64,
            peak_bytes: peak.bytes() as u64,
            pages: count.pages as u64,
            sampled,
        };
    }
    classes
}

fn system_calls() -> SystemCalls {
    let os::Calls { reserve, release, protect, guard, unguard, purge, renew, remap, seal, advise, ask, random, failed } =
        os::calls();
    SystemCalls { reserve, release, protect, guard, unguard, purge, renew, remap, seal, advise, ask, random, failed }
}

#[cfg(test)]
mod tests {
    // Other tests of this process have blocks of their own, so the figures here have only bounds; `tests/stats.rs` has the
    // process for itself.
    use super::*;
    use crate::geometry::{MEDIUM_MAX, UserPtr};
    use std::sync::mpsc;
    use std::thread;

    fn allocate(size: usize) -> UserPtr {
        let block = heap::allocate(size);
        assert!(!block.is_null());
        UserPtr::new(block)
    }

    /// For a test's threads: a pointer to a block that one of them owns.
    struct Given(UserPtr);

    // SAFETY: the block belongs to whoever has the pointer.
    unsafe impl Send for Given {}

    #[test]
    fn live_blocks_are_found_in_their_class_by_any_thread() {
        let class = Class::of(3000).unwrap().index();
        let blocks: std::vec::Vec<_> = (0..10).map(|_| allocate(3000)).collect();
        let large = allocate(MEDIUM_MAX + 1);
        let stats = thread::spawn(stats).join().unwrap();
        let found = stats.classes[class];
        assert!(found.blocks >= 10 && found.pages >= 1);
        assert_eq!(found.bytes, found.blocks * found.block_size);
        assert!(found.peak_blocks >= found.blocks && found.peak_bytes >= found.bytes);
        assert!(stats.large.blocks >= 1 && stats.large.bytes > MEDIUM_MAX as u64);
        assert!(stats.guards >= 2 || stats.guards_left_out != 0);
        assert!(stats.live_blocks >= 11 && stats.live_bytes > 10 * 3000 && stats.threads >= 1);
        assert!(stats.segments >= 1 && stats.reserved >= stats.segments && stats.metadata > 0);
        blocks.into_iter().for_each(heap::free);
        heap::free(large);
    }

    #[test]
    fn a_block_that_another_thread_frees_is_posted_and_counted_before_it_is_collected_and_after() {
        let (to_other, from_owner) = mpsc::channel();
        let (to_owner, from_other) = mpsc::channel::<()>();
        let before = stats().cross_thread_frees;
        let owner = thread::spawn(move || {
            let kept = allocate(700);
            to_other.send(Given(allocate(700))).unwrap();
            from_other.recv().unwrap();
            heap::collect(heap::Collect::Gently);
            let collected = stats().cross_thread_frees;
            heap::free(kept);
            collected
        });
        let Given(block) = from_owner.recv().unwrap();
        heap::free(block);
        let posted = stats();
        to_owner.send(()).unwrap();
        assert!(posted.posted_blocks >= 1 && posted.cross_thread_frees > before);
        assert!(owner.join().unwrap() > before);
    }
}
