//! Group F, F5 to F12: techniques that aim at what other allocators keep beside their blocks, at chance, or at what has leaked.

use super::words::{DAMAGE, DOUBLE_FREE};
use crate::allocator::{check, current, owns, step};
use crate::stage::{Block, Case, Cases, Company, Expect, Needs, Who, access, harm, neighbours, on_thread, say, sized};
use crate::table::{Column, is_guarded};
use core::iter::repeat_with;

pub(super) fn cases() -> Cases {
    let mut cases = Cases::default();
    for size in [0x80, 0x420, 0x1000, 16 << 10] {
        unlinks(&mut cases, size);
        wilderness(&mut cases, size);
    }
    for size in [16, 64, 1024, 4096] {
        cases.push(leaked_trailer(size));
        cases.push(replay(size));
    }
    for who in Who::ALL {
        arc_heap(&mut cases, who);
    }
    cases
}

/// Allocates so much that anything forged is met, and looks whether what comes is memory of the allocator's and nobody else's.
fn allocate_on(size: usize, target: &[u64]) {
    let blocks: Vec<Block> = repeat_with(|| Block::new(size)).take(2_000).collect();
    let (start, end) = (target.as_ptr().addr(), target.as_ptr().addr() + size_of_val(target));
    if blocks.iter().any(|block| (start..end).contains(&block.address())) {
        return harm(format_args!("a block lies where nobody has allocated"));
    }
    let mut sorted = blocks;
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0].address() + size > pair[1].address()) {
        return harm(format_args!("two live blocks overlap"));
    }
    if target.iter().any(|word| *word != 0x5a5a) {
        harm(format_args!("what nobody has allocated was written to"));
    }
}

/// F5: the pointers of a doubly linked list, in a freed block, aim at memory of the attacker's choice; so do the sizes beside it.
fn unlinks(cases: &mut Cases, size: usize) {
    let mut add = |name: &str, forge: fn(Block, usize, usize)| {
        let case =
            Case::new(format_args!("f5_{name}/{size}"), Needs::NOTHING, Expect::HarmlessOrDies(DAMAGE), move || {
                on_thread(|| {
                    let target = core::hint::black_box([0x5a5a_u64; 64]);
                    // Where each stands alone, the link is forged all the same.
                    let apart = || (Block::new(size), Block::new(size), step(size));
                    let (lower, upper, apart) = neighbours(size).unwrap_or_else(apart);
                    lower.free();
                    access(lower.address(), || forge(lower, target.as_ptr().addr(), apart));
                    // What merges with its neighbour does so here, or with the next.
                    upper.free();
                    allocate_on(size, &target);
                });
            });
        cases.push(case.needing(Needs::ENCODED_LINKS).guarded(Expect::Faults));
    };
    add("unsafe_unlink", |block, target, apart| {
        // A fake free chunk whose neighbours' links point back at it, and the flags that say so.
        block.write(0, (target - 24) as u64);
        block.write(8, (target - 16) as u64);
        block.write(apart - 16, apart as u64);
    });
    add("large_bin_attack", |block, target, _| {
        for offset in [0, 8, 16, 24] {
            block.write(offset, (target - 32) as u64);
        }
    });
    add("house_of_lore", |block, target, _| block.write(8, target as u64));
}

/// F6: what lies behind the last block is made to look endless, and then much is asked for.
fn wilderness(cases: &mut Cases, size: usize) {
    let case = Case::new(
        format_args!("f6_house_of_force/{size}"),
        Needs::NOTHING,
        Expect::HarmlessOrDies(DAMAGE),
        move || {
            on_thread(|| {
                let target = core::hint::black_box([0x5a5a_u64; 64]);
                let block = Block::new(size);
                let end = step(size);
                access(block.address(), || block.write(end.max(size), u64::MAX));
                // As far as from there to the stack.
                let far = target.as_ptr().addr().wrapping_sub(block.address()).wrapping_sub(2 * size);
                core::hint::black_box((current().allocate)(far));
                allocate_on(size, &target);
                block.free();
            });
        },
    );
    cases.push(case.needing(Needs::ENCODED_LINKS).guarded(Expect::FaultsOrDies(DAMAGE)));
}

/// F9: a trailer has leaked, and is tried as a link.
fn leaked_trailer(size: usize) -> Case {
    const FOUND: &str = "every forged link was found";
    let case = Case::open(format_args!("f9_links_forged_from_a_trailer/{size}"), move || {
        on_thread(|| {
            let (_company, block, _more) = (Company::of(size), Block::new(size), Company::of(size));
            let trailer = access(block.address(), || block.read(size));
            block.free();
            let link = access(block.address(), || block.read(0));
            for turn in 0..sized(3_000, 1_000_000) as u64 {
                let forged = trailer.rotate_left((turn % 64) as u32) ^ (turn / 64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                if forged == link {
                    continue;
                }
                block.write(0, forged);
                if check().is_ok() {
                    return harm(format_args!("a forged link {forged:#x} was taken for one, in try {turn}"));
                }
            }
            block.write(0, link);
            check().expect("as it was");
            say(format_args!("{FOUND}"));
        });
    });
    case.own().with(Column::P, Needs::all(&["canaries", "encoded-links"]), Expect::Says(FOUND)).guarded(Expect::Faults)
}

/// F10: links of other free blocks of the page are played again in this one.
fn replay(size: usize) -> Case {
    const FOUND: &str = "every replayed link was found";
    let case =
        Case::new(format_args!("f10_links_replayed/{size}"), Needs::ENCODED_LINKS, Expect::Says(FOUND), move || {
            on_thread(|| {
                let company = Company::of(size);
                let mut tries = 0;
                let wanted = sized(4_000, 1_000_000);
                while tries < wanted {
                    // Of one page, which others hold: what is given up with its page is no link any more.
                    let mut blocks = [Block(core::ptr::null_mut()); 40];
                    blocks.iter_mut().for_each(|block| *block = Block::new(size));
                    let held = [(); 12].map(|()| Block::new(size));
                    let later = [(); 80].map(|()| Block::new(size));
                    let page = held[0].address() >> 16;
                    blocks.iter().for_each(|block| block.free());
                    if is_guarded() {
                        // There is no link to be read.
                        return access(blocks[0].address(), || blocks[0].touch(0));
                    }
                    // Where blocks wait before they have a link, these take their places.
                    later.into_iter().for_each(Block::free);
                    blocks.sort_by_key(|block| block.address() >> 16 != page);
                    let count = blocks.iter().filter(|block| block.address() >> 16 == page).count();
                    let blocks = &blocks[..count];
                    let mut links = [0; 40];
                    links.iter_mut().zip(blocks).for_each(|(link, block)| *link = block.read(0));
                    let links = &links[..count];
                    for (block, link) in blocks.iter().zip(links) {
                        for other in links.iter().filter(|other| *other != link) {
                            block.write(0, *other);
                            tries += 1;
                            if check().is_ok() {
                                return harm(format_args!("a link was taken in another block, in try {tries}"));
                            }
                        }
                        block.write(0, *link);
                    }
                    check().expect("as it was");
                    held.into_iter().for_each(Block::free);
                }
                company.leave();
                say(format_args!("{FOUND}"));
            });
        });
    case.own().guarded(Expect::Faults)
}

/// F12: sizes that once met in one bin.
fn arc_heap(cases: &mut Cases, who: Who) {
    const SIZES: [usize; 3] = [622_616, 655_362, 786_432];
    let rotations: [[usize; 3]; 3] = [[0, 1, 2], [1, 2, 0], [2, 0, 1]];
    for order in rotations {
        let sizes = order.map(|at| SIZES[at]);
        cases.push(Case::dies(format_args!("f12_arc_heap/{}/{who}", sizes[0]), DOUBLE_FREE, move || {
            who.play(
                move || {
                    let blocks = sizes.map(Block::new);
                    blocks[0].free();
                    blocks[1].free();
                    blocks[2].free();
                    let live = [Block::new(sizes[1]), Block::new(sizes[2])];
                    assert!(live.iter().all(|block| owns(block.0)));
                    blocks[0]
                },
                Block::free_guilty,
            );
        }));
    }
}
