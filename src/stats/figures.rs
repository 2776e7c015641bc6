//! The figures of a snapshot.

use crate::geometry::CLASSES;

/// What [`stats`](crate::stats()) has found.
///
/// All figures are of the whole process. Sizes are in bytes. The figures of one snapshot are read one after the other
/// while other threads go on: each is right for its own moment, as its documentation says, and sums over several
/// may be of no moment at all. With all other threads at rest they agree with each other.
///
/// `Display` shows them as a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes that live blocks have room for (what `usable_size` says, not what was asked for). As stale as the owner's last
    /// store to each page that has become visible; a block that is freed or allocated during the walk may count or not.
    pub live_bytes: u64,
    /// The most that `live_bytes` was found to be: a lower bound of the true peak. It is sampled when committed memory
    /// has grown by a sixteenth, and by every snapshot. What came and went in between, in memory that was
    /// committed already, is not seen. No more than `peak_committed` was ever live.
    pub peak_live_bytes: u64,
    /// Live blocks; as stale as `live_bytes`.
    pub live_blocks: u64,
    /// The most that `live_blocks` was found to be: sampled as `peak_live_bytes`.
    pub peak_live_blocks: u64,
    /// Blocks up to 128 KiB by size class, smallest first. Every class has its entry, used or not.
    pub classes: [ClassStats; CLASSES],
    /// Larger blocks, each with pages of its own.
    pub large: LargeStats,
    /// Blocks of any size that stand alone between guards: see the option `SAMPLED_GUARDS`. They are in none of the figures of
    /// `classes` and `large`, but for `ClassStats::sampled`.
    pub sampled: SampledStats,
    /// Bytes of address space for blocks: arenas, and mappings of huge blocks. Exact.
    pub reserved: u64,
    /// Arenas from which segments are made. Exact at its moment; they are given up under a limit of address space only.
    pub arenas: u64,
    /// Bytes of memory for blocks that the kernel may have behind it: what was handed to pages and not given back since,
    /// whether the program has touched it or not. Exact at its moment.
    pub committed: u64,
    /// The most that `committed` ever was. Exact.
    pub peak_committed: u64,
    /// Bytes given back to the kernel since the start of the process, in all: a byte that was committed again and given back again
    /// counts twice. Exact.
    pub purged: u64,
    /// Bytes of address space of freed large blocks that are not used again yet. Exact at its moment.
    pub quarantined: u64,
    /// Bytes of the allocator's own memory: descriptions of segments and pages, state bits, heaps. It is never given back. Not
    /// all of it was ever touched. Exact.
    pub metadata: u64,
    /// Segments of 32 MiB that are cut into pages. As of the walk; they are given up under a limit of address space only.
    pub segments: u64,
    /// Pages of blocks of a class. As of the walk.
    pub pages: u64,
    /// Of these, pages that their owners have found to be without a free block, and which have not got enough
    /// of them back since (a 32nd of the page). As stale as `live_bytes`.
    pub full_pages: u64,
    /// Of the pages, those whose threads have ended and which no other thread has adopted. Exact but for the moment of a claim.
    pub abandoned_pages: u64,
    /// Blocks of a class that were freed by another thread than their page's owner since the start of the process, whether the owner
    /// has taken them back or not. A block that is taken back during the walk may be counted twice, or not at all.
    pub cross_thread_frees: u64,
    /// Of these, blocks whose owner has not taken them back: neither live nor free. As of the walk.
    pub posted_blocks: u64,
    /// Guards round large blocks now, two for each. The ends of segments and free memory, which are always
    /// inaccessible too, are not counted. As of the walk.
    pub guards: u64,
    /// Protections that were left out since the start of the process, because the kernel refused them or they would have cost too many maps.
    /// Exact.
    pub guards_left_out: u64,
    /// Large blocks that were freed faster than `RAVELIN_CLOSING_RATE` has it since the start of the process: they stayed accessible
    /// until the next purge or the next block in their place. Exact.
    pub left_open: u64,
    /// Maps of the kernel that protections cost now, about. Exact at its moment.
    pub guard_maps: u64,
    /// System calls since the start of the process. Each figure is exact at its moment.
    pub system_calls: SystemCalls,
    /// Forks since the start of the first process that had this allocator in use: a child counts its own birth. A raw clone
    /// is not seen. Exact.
    pub forks: u64,
    /// Threads that have a heap: those that have allocated and not ended. Exact at its moment.
    pub threads: u64,
}

/// Blocks of one size class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ClassStats {
    /// Bytes that a block has room for. Never changes.
    pub block_size: u64,
    /// Live blocks; as stale as [`Stats::live_bytes`].
    pub blocks: u64,
    /// Bytes that these have room for; as stale as they.
    pub bytes: u64,
    /// The most that `blocks` was found to be: a lower bound, sampled as [`Stats::peak_live_bytes`].
    pub peak_blocks: u64,
    /// Bytes that so many blocks have room for; a lower bound as well.
    pub peak_bytes: u64,
    /// Pages of the class. As of the walk.
    pub pages: u64,
    /// Blocks of sizes of this class that were made to stand alone between guards since the start of the process. Exact.
    pub sampled: u64,
}

/// Blocks above 128 KiB, or aligned so widely that they have pages of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LargeStats {
    /// Live blocks. As of the walk.
    pub blocks: u64,
    /// Bytes that these have room for; as stale as they.
    pub bytes: u64,
    /// The most that `blocks` was found to be: a lower bound, sampled as [`Stats::peak_live_bytes`].
    pub peak_blocks: u64,
    /// The most that `bytes` was found to be: a lower bound, sampled likewise.
    pub peak_bytes: u64,
}

/// Blocks that stand alone between guards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SampledStats {
    /// Live ones. As of the walk.
    pub blocks: u64,
    /// Bytes that were asked for in them; as stale as they.
    pub bytes: u64,
    /// All that were made since the start of the process. Those that there were no guards for count among
    /// [`Stats::guards_left_out`]. Exact.
    pub made: u64,
    /// Bytes of address space of freed ones that stay inaccessible. Exact at its moment.
    pub waiting: u64,
}

/// How often the kernel was asked, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SystemCalls {
    /// To reserve address space.
    pub reserve: u64,
    /// To take address space back.
    pub release: u64,
    /// To change protections.
    pub protect: u64,
    /// To put guards on that cost no map.
    pub guard: u64,
    /// To take such guards off.
    pub unguard: u64,
    /// To take memory back.
    pub purge: u64,
    /// To put new memory in the place of old, which takes its guards and its properties with it.
    pub renew: u64,
    /// To move memory to another address.
    pub remap: u64,
    /// To seal mappings, with `sealed` built in: those that the kernel refused are among the failed.
    pub seal: u64,
    /// To give memory properties: that it is no part of core dumps, that it may have huge pages.
    pub advise: u64,
    /// To ask which pages of the system have memory.
    pub ask: u64,
    /// For random bytes.
    pub random: u64,
    /// How many of all these failed. Some are meant to: that is how it is found out what the kernel can do.
    pub failed: u64,
}
