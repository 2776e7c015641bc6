//! Taking a snapshot.

use super::{ClassStats, LargeStats, Stats, SystemCalls};
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
        reserved: segment::reserved().wrapping_add(segment::huge_bytes()) as u64,
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
        guard_maps: segment::borders() as u64,
        system_calls: system_calls(),
        forks: heap::forks(),
        threads: heap::threads() as u64,
    }
}

fn classes(tally: &Tally) -> [ClassStats; CLASSES] {
    let mut classes = [ClassStats::default(); CLASSES];
    let found = tally.classes.iter().zip(peak::of_classes()).zip(Class::all());
    for (stats, ((count, peak), class)) in classes.iter_mut().zip(found) {
        *stats = ClassStats {
            block_size: class.block_size() as u64,
            blocks: count.blocks as u64,
            bytes: count.bytes as u64,
            peak_blocks: peak.blocks() as u64,
            peak_bytes: peak.bytes() as u64,
            pages: count.pages as u64,
        };
    }
    classes
}

fn system_calls() -> SystemCalls {
    let os::Calls { reserve, release, protect, guard, unguard, purge, remap, random, failed } = os::calls();
    SystemCalls { reserve, release, protect, guard, unguard, purge, remap, random, failed }
}
