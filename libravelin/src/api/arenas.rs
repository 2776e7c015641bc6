//! Arenas: memory for blocks that the program reserves or brings.

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;

use engine::raw::{self, ArenaId, Brought, HeapHandle, NoArena, Use};

use crate::talk::Text;

/// No arena.
const NONE: ArenaId = ArenaId(0);
/// How many arenas a program can have.
const MOST: i32 = 112;

fn used_by(exclusive: bool) -> Use {
    if exclusive { Use::Exclusive } else { Use::Shared }
}

/// Stores the number of a new arena, or of none, where somebody wants it.
///
/// # Safety
/// - `place` is null or may be written.
unsafe fn store(place: *mut ArenaId, made: Result<ArenaId, NoArena>) {
    if !place.is_null() {
        // SAFETY: the caller's promise.
        unsafe { place.write(made.unwrap_or(NONE)) };
    }
}

/// 0, or ENOMEM.
fn code<T>(made: Result<T, NoArena>) -> c_int {
    match made {
        Ok(_) => 0,
        Err(NoArena) => libc::ENOMEM,
    }
}

/// Pages of 1 GiB on a node; -1 is any node, and others count modulo how many there are. None wanted is no arena, and no error.
fn huge(pages: usize, node: c_int, milliseconds: usize, exclusive: bool) -> Result<ArenaId, NoArena> {
    if pages == 0 {
        return Ok(NONE);
    }
    let node = u32::try_from(node).ok().and_then(|node| node.checked_rem(nodes()));
    let (arena, _) = raw::reserve_huge_os_pages(pages, node, milliseconds as u64, used_by(exclusive))?;
    Ok(arena)
}

/// Pages spread over nodes, 0 for all that there are; the first node that has none ends it.
fn interleave(pages: usize, count: usize, milliseconds: usize) -> Result<(), NoArena> {
    let count = if count == 0 { nodes() as usize } else { count };
    let (each, more) = (pages.checked_div(count).unwrap_or(0), pages.checked_rem(count).unwrap_or(0));
    // A node has its share of the time, and a little more.
    let milliseconds = milliseconds.checked_div(count).unwrap_or(0).saturating_add(50);
    for node in 0..count {
        let here = each.saturating_add(usize::from(node < more));
        if here == 0 {
            break;
        }
        huge(here, c_int::try_from(node).unwrap_or(-1), milliseconds, false)?;
    }
    Ok(())
}

/// How many nodes the machine's memory has, one at least.
fn nodes() -> u32 {
    let mut count = 0_u32;
    while count < 256 {
        let mut path = Text::new();
        path.push(b"/sys/devices/system/node/node");
        path.push_number(count as usize);
        // SAFETY: a C string.
        if unsafe { libc::access(path.c_string(), libc::F_OK) } != 0 {
            break;
        }
        count = count.wrapping_add(1);
    }
    count.max(1)
}

export! {
    /// Reserves an arena of at least `size` bytes. 0, or ENOMEM. Memory is taken as it is used, whatever `commit` and `large` say.
    fn reserve_os_memory(size: usize, _commit: bool, _large: bool) -> c_int {
        code(raw::reserve_os_memory(size, Use::Shared))
    }

    /// The same; an exclusive arena serves only heaps that were made in it.
    ///
    /// # Safety
    /// - `place` is null or may be written.
    unsafe fn reserve_os_memory_ex(
        size: usize,
        _commit: bool,
        _large: bool,
        exclusive: bool,
        place: *mut ArenaId,
    ) -> c_int {
        let made = raw::reserve_os_memory(size, used_by(exclusive));
        // SAFETY: the caller's promise.
        unsafe { store(place, made) };
        code(made)
    }

    /// Takes memory over that the program brings. False if it cannot be used.
    ///
    /// # Safety
    /// - Nobody else uses the memory from now on, it stays mapped for ever, and is as it is said to be.
    unsafe fn manage_os_memory(
        start: *mut c_void,
        size: usize,
        committed: bool,
        large: bool,
        zero: bool,
        _node: c_int,
    ) -> bool {
        let brought = Brought { committed, pinned: large, zero };
        // SAFETY: the caller's promise.
        unsafe { raw::manage_os_memory(start.cast(), size, brought, Use::Shared) }.is_ok()
    }

    /// The same; an exclusive arena serves only heaps that were made in it.
    ///
    /// # Safety
    /// - As for `manage_os_memory`, and `place` is null or may be written.
    unsafe fn manage_os_memory_ex(
        start: *mut c_void,
        size: usize,
        committed: bool,
        large: bool,
        zero: bool,
        _node: c_int,
        exclusive: bool,
        place: *mut ArenaId,
    ) -> bool {
        let brought = Brought { committed, pinned: large, zero };
        // SAFETY: the caller's promise.
        let made = unsafe { raw::manage_os_memory(start.cast(), size, brought, used_by(exclusive)) };
        // SAFETY: the caller's promise.
        unsafe { store(place, made) };
        made.is_ok()
    }

    /// Takes pages of 1 GiB that the system has set aside. 0 if there were any, else ENOMEM.
    fn reserve_huge_os_pages_at(pages: usize, node: c_int, milliseconds: usize) -> c_int {
        code(huge(pages, node, milliseconds, false))
    }

    /// The same; an exclusive arena serves only heaps that were made in it.
    ///
    /// # Safety
    /// - `place` is null or may be written.
    unsafe fn reserve_huge_os_pages_at_ex(
        pages: usize,
        node: c_int,
        milliseconds: usize,
        exclusive: bool,
        place: *mut ArenaId,
    ) -> c_int {
        let made = huge(pages, node, milliseconds, exclusive);
        // SAFETY: the caller's promise.
        unsafe { store(place, made) };
        code(made)
    }

    /// The same, spread over the nodes of the machine.
    fn reserve_huge_os_pages_interleave(pages: usize, nodes: usize, milliseconds: usize) -> c_int {
        code(interleave(pages, nodes, milliseconds))
    }

    /// The same, with a time in seconds. Stores how many pages there are, all or none.
    ///
    /// # Safety
    /// - `place` is null or may be written.
    unsafe fn reserve_huge_os_pages(pages: usize, seconds: f64, place: *mut usize) -> c_int {
        // What is negative or no number is no time, and what is too much the most.
        let milliseconds = (seconds * 1000.0) as usize;
        let made = interleave(pages, 0, milliseconds);
        if !place.is_null() {
            // SAFETY: the caller's promise.
            unsafe { place.write(if made.is_ok() { pages } else { 0 }) };
        }
        code(made)
    }

    /// Where an arena lies. Null and 0 if there is none of that number.
    ///
    /// # Safety
    /// - `size` is null or may be written.
    unsafe fn arena_area(arena: ArenaId, size: *mut usize) -> *mut c_void {
        let (start, bytes) = raw::arena_area(arena).unwrap_or((null_mut(), 0));
        if !size.is_null() {
            // SAFETY: the caller's promise.
            unsafe { size.write(bytes) };
        }
        start.cast()
    }

    /// A heap whose memory comes from this arena and from nowhere else.
    fn heap_new_in_arena(arena: ArenaId) -> Option<HeapHandle> {
        raw::heap_new_in_arena(arena)
    }

    /// Lists the program's arenas where all output goes, if the program is to be told more than it asked for.
    fn debug_show_arenas(_in_use: bool, _abandoned: bool, _purge: bool) {
        if !raw::is_verbose() {
            return;
        }
        for number in 1..=MOST {
            let Some((_, bytes)) = raw::arena_area(ArenaId(number)) else { break };
            let mut line = Text::new();
            line.push(b"ravelin: arena ");
            line.push_number(usize::try_from(number).unwrap_or(0));
            line.push(b": ");
            line.push_number(bytes >> 20);
            line.push(b" MiB\n");
            raw::say(line.bytes());
        }
    }
}
