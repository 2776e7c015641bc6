//! Limits of the system: address space, data, locked memory, maps.

use super::exercise::exercise;
use super::memory::{Limit, address_space, is_limited, limit, page_size, resident};
use core::ptr;
use corpus::stage::{
    Block, Case, Cases, Expect, GUARDS, SIZES, is_huge, maps, on_thread, patience, refuse, sized, skip,
};
use ravelin::{MITIGATIONS, check_heap, collect, raw, stats};
use std::os::unix::process::CommandExt;
use std::process::Command;

const MIB: usize = 1 << 20;

pub fn cases() -> Cases {
    let mut cases = Cases::from([
        Case::survives("i8_works_in_512_mib_of_address_space", works_in_little).arranged(in_little_address_space),
        Case::survives("i8_works_with_256_mib_of_data", works_in_little).arranged(with_little_data),
        Case::survives("i8_most_of_512_mib_of_address_space_can_be_large_blocks", || on_thread(filled_by_large))
            .arranged(in_little_address_space),
        // Not where they stood alone: their segments keep the traces of who freed them, and their addresses.
        Case::survives("i8_address_space_of_small_blocks_serves_others", serves_others)
            .arranged(in_little_address_space)
            .guarded(Expect::Chance),
        Case::survives("i6_all_memory_locked_now_and_later", locked),
        Case::survives("i12_transparent_huge_pages/never", exercise).arranged(without_huge_pages),
        Case::survives("i12_transparent_huge_pages/everywhere", huge_pages_everywhere),
        Case::survives("i12_transparent_huge_pages/everywhere_without_guards_of_the_kernels", huge_pages_everywhere)
            .arranged(without_guards),
        Case::survives("i9_65000_maps_in_use", || with_maps_used_up(500, exercise_without_huge)),
        Case::survives("i9_65000_maps_in_use_without_guards_of_the_kernels", || {
            Block::new(1).free();
            use_up_maps(120);
            large_until_null();
        })
        .arranged(without_guards)
        // Not where each block stands alone: then their guards take the last maps, which the budget cannot know to be the last.
        .guarded(Expect::Chance),
        // Nor here.
        Case::survives("i9_65000_maps_in_use_and_guards_refused_from_then_on", || {
            with_maps_used_up(500, || {
                refuse_guards();
                exercise_without_huge();
            });
        })
        .guarded(Expect::Chance),
        Case::survives("i9_all_maps_in_use_is_null_and_no_more", no_map_left),
        Case::survives("i9_more_large_blocks_than_maps", || many_large_blocks(sized(3_000, 40_000)))
            .arranged(without_guards),
        Case::survives("i9_more_large_blocks_than_guards_may_have_maps", || {
            many_large_blocks(2_000);
            assert_ne!(stats().guards_left_out, 0, "guards must have been left out, and that is to be said");
        })
        .arranged(|command| {
            without_guards(command);
            command.env("RAVELIN_GUARD_LIMIT", "500");
        }),
        Case::survives("i9_large_blocks_with_guards_refused_in_the_middle", || {
            many_large_blocks(1_000);
            refuse_guards();
            many_large_blocks(1_000);
        }),
    ]);
    for size in SIZES {
        // Of the smallest blocks some millions are enough: one segment.
        let small = size < 1024;
        let plays: [(&str, fn(&mut Command)); 2] = if small {
            [("little_address_space", in_next_to_no_address_space), ("data", with_next_to_no_data)]
        } else {
            [("address_space", in_little_address_space), ("data", with_little_data)]
        };
        for (name, arrange) in plays {
            let most = (small && name != "data").then_some(8 * MIB);
            let play = move || exhaust(size, most);
            cases.push(Case::survives(format_args!("i8_null_on_exhaustion/{name}/{size}"), play).arranged(arrange));
        }
    }
    cases
}

/// From before the program's first instruction on.
fn in_little_address_space(command: &mut Command) {
    before_start(command, || limit(Limit::AddressSpace, 512 * MIB));
}

fn in_next_to_no_address_space(command: &mut Command) {
    before_start(command, || limit(Limit::AddressSpace, 200 * MIB));
}

fn with_next_to_no_data(command: &mut Command) {
    before_start(command, || limit(Limit::Data, 48 * MIB));
}

fn with_little_data(command: &mut Command) {
    before_start(command, || limit(Limit::Data, 256 * MIB));
}

pub fn before_start(command: &mut Command, set: impl Fn() + Send + Sync + 'static) {
    let prepare = move || {
        set();
        // SAFETY: ends the process, if anything, later; exec does not change that.
        unsafe { libc::alarm(patience()) };
        Ok(())
    };
    // SAFETY: only system calls are made in the child.
    unsafe { command.pre_exec(prepare) };
}

fn without_guards(command: &mut Command) {
    before_start(command, || {
        refuse(&GUARDS);
    });
}

fn refuse_guards() {
    if !refuse(&GUARDS) {
        skip("no filters of system calls on this machine");
    }
}

fn works_in_little() {
    for size in SIZES {
        let blocks: Vec<Block> = (0..(8 * MIB / size).clamp(1, 100)).map(|_| Block::new(size)).collect();
        on_thread(|| blocks.iter().for_each(|block| block.free()));
    }
    check_heap().expect("a sound heap");
    let numbers: Vec<usize> = (0..1_000_000).collect();
    assert_eq!(numbers.iter().sum::<usize>(), 499_999_500_000);
}

/// Allocates until nothing is left, gives all back, and allocates on. The blocks hold each other: the test has no memory either.
/// With `most`, of address space no more than so many bytes on top of what it has now. (Not beside a limit of data: near that of
/// address space Linux forgets the other.)
fn exhaust(size: usize, most: Option<usize>) {
    if !is_limited() {
        skip("to be played under a limit only: it would take all memory of the machine");
    }
    on_thread(|| {
        if let Some(most) = most {
            limit(Limit::AddressSpace, address_space() + most);
        }
        let first = exhaust_once(size);
        for other in SIZES {
            // Huge ones may find the address space in pieces.
            if !is_huge(other) {
                let block = Block::new(other);
                block.write_byte(other - 1, 1);
                block.free();
            }
        }
        let second = exhaust_once(size);
        assert!(second * 10 >= first * 7, "{first} blocks of {size} bytes, and then only {second}");
    });
    check_heap().expect("a sound heap");
}

fn exhaust_once(size: usize) -> usize {
    let (mut held, mut count) = (Block(ptr::null_mut()), 0);
    loop {
        // There is room for the address of the one before.
        let new = raw::allocate(size.max(size_of::<usize>()));
        if new.is_null() {
            break;
        }
        let new = Block(new);
        new.write(0, held.address() as u64);
        (held, count) = (new, count + 1);
    }
    assert!(count > 0, "not one block of {size} bytes");
    // Exhausted is exhausted, in all forms and again and again; what is live stays as it is.
    for _ in 0..10 {
        assert!(raw::allocate(64 * MIB).is_null() || size > 64 * MIB);
        assert!(raw::allocate_zeroed(512 * MIB).is_null());
        assert!(held.realloc(512 * MIB).is_null() && raw::owns(held.0));
    }
    while !held.0.is_null() {
        let next = Block::at(held.read(0) as usize);
        held.free();
        held = next;
    }
    collect(ravelin::Collect::Fully);
    count
}

/// Runs of several slices leave no gaps between them: placed at random they filled 272 MiB.
fn filled_by_large() {
    if !is_limited() {
        skip("to be played under a limit only: it would take all memory of the machine");
    }
    let filled = exhaust_once(200_000) * 200_000;
    // What can hold no pointers has a segment of its own, if it is kept apart.
    let apart = if MITIGATIONS.partition { 32 * MIB } else { 0 };
    assert!(filled > 310 * MIB - apart, "{filled} bytes");
}

/// What small blocks had of the address space is there for a huge one, and then for a mapping of the program's own.
fn serves_others() {
    if !is_limited() {
        skip("to be played under a limit only: it would take all memory of the machine");
    }
    for size in [100, 8_000] {
        exhaust_once(size);
        Block::new(200 * MIB).free();
        collect(ravelin::Collect::Fully);
        let (flags, protection) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_NONE);
        // SAFETY: a new mapping, which replaces nothing.
        let start = unsafe { libc::mmap(ptr::null_mut(), 300 * MIB, protection, flags, -1, 0) };
        assert_ne!(start, libc::MAP_FAILED, "after blocks of {size} bytes");
        // SAFETY: that mapping, which nobody uses.
        unsafe { libc::munmap(start, 300 * MIB) };
    }
}

/// I6.
fn locked() {
    limit(Limit::Locked, usize::MAX);
    let early: Vec<Block> = SIZES.map(Block::new).to_vec();
    // SAFETY: locks this process's memory, and that is all.
    if unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) } != 0 {
        skip("mlockall is not permitted here");
    }
    early.into_iter().for_each(Block::free);
    exercise();
    exercise();
}

/// As if the machine had them switched off.
fn without_huge_pages(command: &mut Command) {
    before_start(command, || {
        // SAFETY: a switch of this process's.
        unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    });
}

/// As if the machine had them switched to always: all memory that is mapped by then may have huge pages.
fn huge_pages_everywhere() {
    let advise = || {
        for map in maps().into_iter().filter(|map| map.anonymous) {
            let start = ptr::without_provenance_mut(map.start);
            // SAFETY: memory stays what it is.
            unsafe { libc::madvise(start, map.len(), libc::MADV_HUGEPAGE) };
        }
    };
    Block::new(1).free();
    advise();
    let before = resident();
    exercise();
    advise();
    exercise();
    collect(ravelin::Collect::Fully);
    let left = resident().saturating_sub(before);
    assert!(left < 12 * MIB, "{left} bytes are left of huge pages");
}

/// All sizes but the huge ones, whose mappings are the program's own to spare; half of the blocks are freed by another thread.
fn exercise_without_huge() {
    exercise_parts(|some| on_thread(|| some.iter().for_each(|block| block.free())));
}

fn exercise_parts(free_some: fn(&[Block])) {
    for _ in 0..3 {
        let mut live: Vec<Block> = Vec::new();
        for size in SIZES.into_iter().filter(|&size| !is_huge(size)) {
            for _ in 0..50 {
                let block = Block::new(size);
                block.soil(size.min(5000));
                live.push(block);
            }
        }
        let (some, rest) = live.split_at(live.len() / 2);
        free_some(some);
        rest.iter().for_each(|block| block.free());
        collect(ravelin::Collect::Fully);
        check_heap().expect("a sound heap");
    }
}

/// Uses up maps, all but about so many, by protections that alternate from page to page.
fn use_up_maps(left: usize) {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").expect("a kernel with /proc");
    let most: usize = text.trim().parse().expect("a number");
    if most > 200_000 {
        skip("this kernel allows too many maps to use them up");
    }
    let used = maps().len();
    let wanted = most - used - left;
    let page = page_size();
    // SAFETY: a new mapping, which replaces nothing.
    let start = unsafe {
        libc::mmap(
            ptr::null_mut(),
            (wanted + 2) * page,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(start, libc::MAP_FAILED);
    for index in (1..wanted).step_by(2) {
        let place = start.wrapping_byte_add(index * page);
        // SAFETY: a page of the new mapping.
        if unsafe { libc::mprotect(place, page, libc::PROT_READ) } != 0 {
            break;
        }
    }
}

/// I9.
fn with_maps_used_up(left: usize, work: fn()) {
    Block::new(1).free();
    use_up_maps(left);
    work();
    // And in a thread that is new, with pages of its own.
    on_thread(work);
}

/// Each large block costs maps: its guards are left out before it is refused, and what needs no map goes on.
fn large_until_null() {
    let blocks: [Block; 400] = core::array::from_fn(|_| Block(raw::allocate(140_000)));
    blocks.iter().filter(|block| !block.0.is_null()).for_each(|block| block.write_byte(139_999, 1));
    assert_ne!(stats().guards_left_out, 0, "guards must have been left out, and that is to be said");
    Block::new(1).free();
    blocks.into_iter().filter(|block| !block.0.is_null()).for_each(Block::free);
    check_heap().expect("a sound heap");
}

/// With no map left at all, what needs one is null, and what does not goes on; when they come back, so does everything.
fn no_map_left() {
    let held: Vec<Block> = SIZES.map(Block::new).to_vec();
    use_up_maps(0);
    for size in SIZES {
        for _ in 0..200 {
            let block = raw::allocate(size);
            if !block.is_null() {
                Block(block).write_byte(size - 1, 1);
                Block(block).free();
            }
        }
    }
    held.into_iter().for_each(Block::free);
    check_heap().expect("a sound heap");
}

/// Without guards of the kernel's each large block costs maps: past the budget they are left out, and allocation goes on.
fn many_large_blocks(count: usize) {
    let live: Vec<Block> = (0..count)
        .map(|_| {
            let block = Block::new(140_000);
            block.write_byte(0, 1);
            block
        })
        .collect();
    live.iter().step_by(2).for_each(|block| block.free());
    let more: Vec<Block> = (0..count / 2).map(|_| Block::new(200_000)).collect();
    on_thread(|| live.iter().skip(1).step_by(2).for_each(|block| block.free()));
    more.into_iter().for_each(Block::free);
    check_heap().expect("a sound heap");
    let maps = maps().len();
    assert!(maps < 60_000, "{maps} maps are left in use");
}
