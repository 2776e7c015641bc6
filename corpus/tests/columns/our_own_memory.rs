//! Group B of the corpus, second half: pointers into what is the allocator's, but no block that it has handed out.

use core::alloc::Layout;
use core::fmt::Display;
use corpus::stage::{Block, Case, Cases, Expect, Map, Needs, SIZES, Who, fork, is_huge, maps, say};
use ravelin::{Region, raw};

const NEVER: &[&str] = &["invalid free (never allocated) of "];
const FOREIGN: &[&str] = &["invalid free (foreign pointer) of "];

const SLICE: usize = 64 << 10;
const SEGMENT: usize = 32 << 20;

pub fn cases() -> Cases {
    let mut cases = Cases::default();
    for who in Who::ALL {
        for size in [64, 4096, 1 << 20] {
            let base = |block: Block| block.minus(block.address() % SEGMENT);
            for (name, offset) in [
                ("first_slice", 0),
                ("first_slice_inside", SLICE / 2),
                ("slice_never_used", 300 * SLICE),
                ("last_slice", SEGMENT - SLICE),
                ("last_granule", SEGMENT - 16),
            ] {
                let place = move |block| base(block).plus(offset);
                cases.push(beside(format_args!("b13_guard_of_a_segment/{name}"), size, who, place));
            }
        }
        for size in [200_000, 1 << 20, 64 << 20] {
            let room = raw::good_size(size) + raw::TRAILER;
            cases.push(beside("b13_guard_of_a_block/before", size, who, |block| block.minus(16)));
            cases.push(beside("b13_guard_of_a_block/page_before", size, who, |block| block.minus(4096)));
            cases.push(beside("b13_guard_of_a_block/behind", size, who, move |block| block.plus(room)));
            if is_huge(size) {
                let last = move |block: Block| block.plus(room + 4096 - 16);
                cases.push(beside("b13_guard_of_a_block/end_behind", size, who, last));
            }
        }
        metadata(&mut cases, who);
        beside_a_huge_mapping(&mut cases, who);
        for size in SIZES {
            of_a_heap_that_is_gone(&mut cases, size, who);
        }
    }
    cases.push(guards_after_a_fork());
    cases
}

/// A mapping of its own is longer than its block.
fn beside_a_huge_mapping(cases: &mut Cases, who: Who) {
    let play = move || {
        who.play(
            || {
                let block = Block::new(40 << 20);
                block.plus((56 << 20) - 4096)
            },
            Block::free_guilty,
        );
    };
    cases.push(Case::new(
        format_args!("b6_far_behind_a_huge_block/{who}"),
        Needs::FREE_CHECKS,
        Expect::Dies(NEVER),
        play,
    ));
}

/// Frees a place beside a live block, where no block was ever handed out.
fn beside(name: impl Display, size: usize, who: Who, place: impl FnOnce(Block) -> Block + Send + 'static) -> Case {
    Case::dies(format_args!("{name}/{size}/{who}"), NEVER, move || {
        who.play(
            move || {
                let place = place(Block::new(size));
                assert!(!raw::owns(place.0));
                place
            },
            Block::free_guilty,
        );
    })
}

/// Mappings that the allocator keeps its books in. They are nobody's blocks, and nobody's memory either as far as the segment map
/// knows: their addresses are in no segment.
fn metadata(cases: &mut Cases, who: Who) {
    let mut add = |name: &str, offset: usize, find: fn(&[Map]) -> Option<Map>| {
        let play = move || {
            who.play(
                move || {
                    // One of each, so that there is metadata of each.
                    for size in [64, 1 << 20, 64 << 20] {
                        let _ = Block::new(size);
                    }
                    Block::at(find(&maps()).expect("it is mapped").start + offset)
                },
                Block::free_guilty,
            );
        };
        cases.push(Case::new(
            format_args!("b13_metadata/{name}/{who}"),
            Needs::FREE_CHECKS,
            Expect::Dies(FOREIGN),
            play,
        ));
    };
    add("of_a_segment", 4096, |maps| between_guards(maps, |len| len > 512 << 10));
    add("of_a_segment_start", 0, |maps| between_guards(maps, |len| len > 512 << 10));
    add("of_threads", 256, |maps| between_guards(maps, |len| len == 256 << 10));
    add("guard_before", 0, |maps| guard_before(maps, |len| len > 512 << 10));
    add("secret", 0, |maps| between_guards(maps, |len| len == 4096));
    add("segment_map", 4096, |maps| table(maps, "r--p"));
    add("segment_map_in_use", 1024, |maps| table(maps, "rw-p"));
}

fn is_guard(map: &Map) -> bool {
    // Of one OS page: inaccessible slices, which lie round accessible ones, are larger.
    map.anonymous && map.protection == "---p" && map.len() == 4096
}

fn between_guards(maps: &[Map], fits: impl Fn(usize) -> bool) -> Option<Map> {
    let found = maps.windows(3).find(|three| {
        let middle = &three[1];
        let touches = three[0].end == middle.start && middle.end == three[2].start;
        touches && middle.protection == "rw-p" && fits(middle.len()) && is_guard(&three[0]) && is_guard(&three[2])
    });
    found.map(|three| three[1].clone())
}

fn guard_before(maps: &[Map], fits: impl Fn(usize) -> bool) -> Option<Map> {
    let inner = between_guards(maps, fits)?;
    maps.iter().find(|map| map.end == inner.start).cloned()
}

/// A part of the segment map, which is the one large mapping that can only be read, with writable chunks in it.
fn table(maps: &[Map], protection: &str) -> Option<Map> {
    let at = maps.iter().position(|map| map.anonymous && map.protection == "r--p" && map.len() > 4 << 20)?;
    let neighbours = &maps[at.saturating_sub(2)..(at + 3).min(maps.len())];
    neighbours.iter().find(|map| map.protection == protection && map.anonymous).cloned()
}

/// B16.
fn of_a_heap_that_is_gone(cases: &mut Cases, size: usize, who: Who) {
    const GONE: &[&str] =
        &["double free of ", "invalid free (never allocated) of ", "invalid free (foreign pointer) of "];
    cases.push(Case::dies(format_args!("b16_of_a_region_that_is_gone/{size}/{who}"), GONE, move || {
        who.play(
            move || {
                let region = Region::new().expect("memory");
                let layout = Layout::from_size_align(size, 16).expect("a Layout");
                let block = region.allocate(layout).expect("memory");
                let others = [(); 6].map(|()| region.allocate(layout).expect("memory"));
                core::hint::black_box(others);
                drop(region);
                Block(block.cast().as_ptr())
            },
            Block::free_guilty,
        );
    }));
}

/// I2: a child has its parent's guards.
fn guards_after_a_fork() -> Case {
    Case::new("i2_guards_survive_a_fork", Needs::NOTHING, Expect::Says("the child faults too"), || {
        let block = Block::new(1 << 20);
        let end = (block.usable_size() + raw::TRAILER).next_multiple_of(4096);
        let child = fork(|| {
            block.plus(end).write_byte(0, 1);
            0
        });
        assert!(matches!(child.signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGABRT), "{child:?}");
        let child = fork(|| {
            block.minus(1).write_byte(0, 1);
            0
        });
        assert!(matches!(child.signal, libc::SIGSEGV | libc::SIGBUS | libc::SIGABRT), "{child:?}");
        block.free();
        say(format_args!("the child faults too"));
    })
}
