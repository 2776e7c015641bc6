//! Arenas that the program asks for, as the C library hands them on.
//!
//! What a build cannot guarantee in memory that the program brings: it lies where the program has put it, so its base is no
//! secret; guards in it are protections, counted like all others, and in pinned memory there are none; and if another process can
//! see it (a shared mapping, also one shared by a fork), nothing is promised at all.

use crate::heap::{self, HeapHandle};
use crate::segment;

pub use crate::segment::{ArenaId, Brought, NoArena, Use};

/// Reserves an arena of at least `size` bytes, rounded up to 32 MiB. Its memory is taken as it is used.
///
/// # Errors
/// [`NoArena`]: a size of 0, no address space, or 112 arenas already.
pub fn reserve_os_memory(size: usize, used_by: Use) -> Result<ArenaId, NoArena> {
    heap::start();
    segment::reserve(size, used_by)
}

/// Takes memory over that the program brings, from `start`, which must be a multiple of 32 MiB, in whole pieces of 32 MiB. It is
/// never unmapped.
///
/// # Errors
/// [`NoArena`]: it does not begin at such a multiple, is shorter than one piece, is not mapped all through, cannot be written
/// although it is said to be committed, or is the allocator's already; or there are 112 arenas.
///
/// # Safety
/// - nobody else uses the memory from now on, and it stays mapped for ever;
/// - `brought` is true of it.
pub unsafe fn manage_os_memory(
    start: *mut u8,
    size: usize,
    brought: Brought,
    used_by: Use,
) -> Result<ArenaId, NoArena> {
    heap::start();
    // SAFETY: the caller's promise.
    unsafe { segment::manage(start, size, brought, used_by) }
}

/// Takes up to `pages` pages of 1 GiB, of this node of the machine if that is told, for at most about so many milliseconds. The
/// arena, and how many pages it has.
///
/// # Errors
/// [`NoArena`]: the system has set none aside, or there are 112 arenas.
pub fn reserve_huge_os_pages(
    pages: usize,
    node: Option<u32>,
    milliseconds: u64,
    used_by: Use,
) -> Result<(ArenaId, usize), NoArena> {
    heap::start();
    segment::reserve_gigantic(pages, node, milliseconds, used_by)
}

/// Where an arena lies, and its bytes.
#[must_use]
pub fn arena_area(id: ArenaId) -> Option<(*mut u8, usize)> {
    segment::area(id)
}

/// A new heap of the calling thread, whose memory comes from this arena and from nowhere else: when that is full, allocations
/// fail, and of an id that is none they all do. Blocks above 16 MiB it cannot have.
#[must_use]
pub fn heap_new_in_arena(id: ArenaId) -> Option<HeapHandle> {
    heap::new_at(id)
}
