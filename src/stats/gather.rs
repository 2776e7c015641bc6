//! Taking a snapshot.

use super::{ClassStats, LargeStats, Stats, SystemCalls};
use crate::geometry::{CLASSES, Class};
use crate::segment::{self, Tally};
use crate::{heap, os};

/// A snapshot, for any thread at any time.
pub(crate) fn stats() -> Stats {
    let tally = Tally::take();
    let all = tally.all();
    let pages = all.pages.wrapping_sub(tally.large.pages);
    let posted = tally.posted as u64;
    Stats {
        live_bytes: all.bytes as u64,
        peak_live_bytes: all.bytes as u64,
        live_blocks: all.blocks as u64,
        peak_live_blocks: all.blocks as u64,
        classes: classes(&tally),
        large: LargeStats {
            blocks: tally.large.blocks as u64,
            bytes: tally.large.bytes as u64,
            peak_blocks: tally.large.blocks as u64,
            peak_bytes: tally.large.bytes as u64,
        },
        reserved: segment::reserved().wrapping_add(segment::huge_bytes()) as u64,
        committed: all.bytes as u64,
        peak_committed: all.bytes as u64,
        purged: segment::purged() as u64,
        quarantined: segment::quarantined() as u64,
        metadata: 0,
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
    for ((stats, count), class) in classes.iter_mut().zip(&tally.classes).zip(Class::all()) {
        *stats = ClassStats {
            block_size: class.block_size() as u64,
            blocks: count.blocks as u64,
            bytes: count.bytes as u64,
            peak_blocks: count.blocks as u64,
            peak_bytes: count.bytes as u64,
            pages: count.pages as u64,
        };
    }
    classes
}

fn system_calls() -> SystemCalls {
    let os::Calls { reserve, release, protect, guard, unguard, purge, remap, random, failed } = os::calls();
    SystemCalls { reserve, release, protect, guard, unguard, purge, remap, random, failed }
}
