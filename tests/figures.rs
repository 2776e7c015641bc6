//! Each figure of `stats()`, against work that is known.
//!
//! Ravelin is not this program's allocator: all that it has is what a test asks it for, in a process of its own, so that figures are held
//! to the number and not to bounds.
#![allow(clippy::panic, reason = "a test, and a panic is how it fails")]

use core::ptr::NonNull;
use ravelin::{ClassStats, Collect, MITIGATIONS, Stats, collect, raw, stats};
use std::sync::Barrier;
use std::thread;

mod alone;
use alone::alone;

const MIB: usize = 1 << 20;

/// A block, freed when it is dropped.
struct Block(NonNull<u8>);

// SAFETY: the block belongs to whoever has the value.
unsafe impl Send for Block {}

impl Block {
    /// With room for `size` bytes, its trailer included.
    fn of(size: usize) -> Block {
        Block(NonNull::new(raw::allocate(size - raw::TRAILER)).expect("memory"))
    }

    fn many(count: usize, size: usize) -> Vec<Block> {
        (0..count).map(|_| Block::of(size)).collect()
    }

    fn grow(self, size: usize) -> Block {
        let old = core::mem::ManuallyDrop::new(self);
        // SAFETY: a live block, not used again by its old name.
        Block(NonNull::new(unsafe { raw::reallocate(old.0.as_ptr(), size) }).expect("memory"))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: live, and not used again.
        unsafe { raw::free(self.0.as_ptr()) };
    }
}

fn class(stats: &Stats, size: usize) -> ClassStats {
    *stats.classes.iter().find(|class| class.block_size == size as u64).expect("a class of this size")
}

#[test]
fn nothing_is_counted_before_the_first_block() {
    alone("nothing_is_counted_before_the_first_block", || {
        let stats = stats();
        assert_eq!((stats.live_bytes, stats.live_blocks, stats.committed, stats.reserved), (0, 0, 0, 0), "{stats}");
        assert_eq!((stats.segments, stats.pages, stats.guards, stats.forks), (0, 0, 0, 0), "{stats}");
    });
}

#[test]
fn blocks_and_bytes_are_counted_by_class_and_in_all() {
    alone("blocks_and_bytes_are_counted_by_class_and_in_all", || {
        let (small, large) = (Block::many(1000, 48), Block::many(7, 1024));
        let during = stats();
        let of = |stats: &Stats, size| (class(stats, size).blocks, class(stats, size).bytes);
        assert_eq!((of(&during, 48), of(&during, 1024)), ((1000, 48_000), (7, 7 * 1024)), "{during}");
        assert_eq!((during.live_blocks, during.live_bytes), (1007, 48_000 + 7 * 1024), "{during}");
        // 48,000 bytes are less than a page holds, whatever it has for a guard.
        assert_eq!((class(&during, 48).pages, class(&during, 1024).pages, during.pages), (1, 1, 2), "{during}");
        drop(small);
        let after = stats();
        assert_eq!((of(&after, 48), after.live_blocks), ((0, 0), 7), "{after}");
        assert_eq!((class(&after, 48).peak_blocks, class(&after, 48).peak_bytes), (1000, 48_000), "{after}");
        assert_eq!((after.peak_live_blocks, after.peak_live_bytes), (1007, during.live_bytes), "{after}");
        drop(large);
        assert_eq!(stats().live_bytes, 0);
    });
}

#[test]
fn large_blocks_and_their_guards_are_counted_while_they_live() {
    alone("large_blocks_and_their_guards_are_counted_while_they_live", || {
        let blocks = [MIB, 5 * MIB, 40 * MIB].map(Block::of);
        let during = stats();
        assert_eq!((during.large.blocks, during.large.bytes), (3, 46 * MIB as u64), "{during}");
        assert_eq!(during.guards + 2 * during.guards_left_out, 6, "{during}");
        drop(blocks);
        let after = stats();
        assert_eq!((after.large.blocks, after.large.bytes, after.guards), (0, 0, 0), "{after}");
        assert_eq!((after.large.peak_blocks, after.large.peak_bytes), (3, 46 * MIB as u64), "{after}");
        // Without `free-checks` their ranges are the next blocks' at once.
        assert_eq!(after.quarantined != 0, MITIGATIONS.free_checks, "{after}");
        collect(Collect::Fully);
        assert_eq!(stats().quarantined, 0);
    });
}

#[test]
fn what_is_committed_is_what_pages_have_and_all_of_it_is_purged() {
    alone("what_is_committed_is_what_pages_have_and_all_of_it_is_purged", || {
        let (small, huge) = (Block::of(48), Block::of(40 * MIB));
        let during = stats();
        assert_eq!(during.committed, 64 * 1024 + 40 * MIB as u64, "a slice, and a block that is a mapping: {during}");
        assert_eq!((during.arenas, during.segments), (1, 1), "{during}");
        assert!(during.reserved >= 72 * MIB as u64 && during.metadata != 0, "{during}");
        drop((small, huge));
        collect(Collect::Fully);
        let after = stats();
        assert_eq!((after.committed, after.purged), (0, during.committed), "{after}");
        assert_eq!(after.peak_committed, during.committed, "{after}");
        assert!(after.reserved <= during.reserved - 40 * MIB as u64, "{after}");
    });
}

#[test]
fn pages_that_an_ended_thread_leaves_are_abandoned_until_they_are_empty() {
    alone("pages_that_an_ended_thread_leaves_are_abandoned_until_they_are_empty", || {
        let (sizes, threads) = ([48, 112, 256, 1024, 8192], stats().threads);
        let left = thread::spawn(move || sizes.map(Block::of)).join().expect("a thread");
        let before = stats();
        assert_eq!((before.abandoned_pages, before.pages, before.threads), (5, 5, threads), "{before}");
        drop(left);
        let after = stats();
        assert_eq!((after.abandoned_pages, after.cross_thread_frees, after.posted_blocks), (0, 5, 0), "{after}");
    });
}

#[test]
fn a_free_by_another_thread_is_posted_until_the_owner_collects_and_counted_for_ever() {
    alone("a_free_by_another_thread_is_posted_until_the_owner_collects_and_counted_for_ever", || {
        let (mine, kept) = (Block::many(100, 256), Block::of(256));
        thread::spawn(move || drop(mine)).join().expect("a thread");
        let posted = stats();
        assert_eq!((posted.posted_blocks, posted.cross_thread_frees, posted.live_blocks), (100, 100, 1), "{posted}");
        collect(Collect::Gently);
        let collected = stats();
        assert_eq!((collected.posted_blocks, collected.cross_thread_frees), (0, 100), "{collected}");
        drop(kept);
    });
}

#[test]
fn threads_with_a_heap_are_counted() {
    alone("threads_with_a_heap_are_counted", || {
        let (barrier, before) = (Barrier::new(6), stats().threads);
        let worker = || {
            let block = Block::of(48);
            barrier.wait();
            barrier.wait();
            drop(block);
        };
        let counted = thread::scope(|scope| {
            (0..5).for_each(|_| _ = scope.spawn(worker));
            barrier.wait();
            let counted = stats().threads;
            barrier.wait();
            counted
        });
        assert_eq!(counted, before + 5);
    });
}

#[test]
fn system_calls_are_counted_by_kind() {
    alone("system_calls_are_counted_by_kind", || {
        // What is known of a huge block is described in memory that stays.
        drop((Block::of(48), Block::of(40 * MIB)));
        collect(Collect::Fully);
        let calls = |work: &mut dyn FnMut()| {
            let before = stats().system_calls;
            work();
            (before, stats().system_calls)
        };
        assert!(stats().system_calls.random != 0, "the secret was drawn");
        let mut block = None;
        let (before, after) = calls(&mut || block = Some(Block::of(40 * MIB)));
        assert_eq!(after.reserve, before.reserve + 1, "a mapping of its own");
        assert_eq!(after.protect, before.protect + 1, "which was opened");
        let (before, after) = calls(&mut || block = block.take().map(|block| block.grow(500 * MIB)));
        assert!(after.remap > before.remap || after.failed > before.failed, "its pages were moved");
        let (before, after) = calls(&mut || {
            block = None;
            collect(Collect::Fully);
        });
        assert!(after.release >= before.release + 2, "both mappings go");
        let (before, after) = calls(&mut || {
            let block = Block::of(MIB);
            drop(block);
            collect(Collect::Fully);
        });
        // By marks or by protections, whichever the kernel has.
        let changes = |calls: &ravelin::SystemCalls| calls.guard + calls.unguard + calls.protect + calls.renew;
        assert!(changes(&after) >= changes(&before) + 2, "made and taken apart: {before:?} {after:?}");
        assert_eq!(after.reserve, before.reserve, "in a segment that was there: {before:?} {after:?}");
        if MITIGATIONS.free_checks && after.guard != before.guard && after.failed == before.failed {
            assert_eq!(after.advise, before.advise + 2, "its guards are told apart: {before:?} {after:?}");
            assert_eq!(after.renew, before.renew + 1, "and replaced: {before:?} {after:?}");
        }
    });
}
