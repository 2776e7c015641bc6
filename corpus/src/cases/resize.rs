//! Group C of the corpus: realloc and questions about a size.

use crate::allocator::{Collect, collect, owns, step};
use crate::stage::{Block, Case, Cases, Company, Expect, Needs, SIZES, Who, guilty, on_thread};
use crate::table::Column;
use core::alloc::Layout;
use core::hint::black_box;
use std::alloc;

const AFTER_FREE: &[&str] = &["use after free in realloc of "];
const SIZE_AFTER_FREE: &[&str] = &["use after free in usable_size of "];
const INTERIOR: &[&str] = &["invalid free (interior pointer) in realloc of "];
const MISALIGNED: &[&str] = &["invalid free (misaligned pointer) in realloc of "];
const FOREIGN: &[&str] = &["invalid free (foreign pointer) in realloc of "];
const WRONG_LAYOUT: &[&str] = &["wrong layout (size "];

pub fn cases() -> Cases {
    let mut cases = Cases::default();
    for size in SIZES {
        for who in Who::ALL {
            freed(&mut cases, size, who);
            elsewhere(&mut cases, size, who);
            wrong_layout(&mut cases, size, who);
            if size > 1 {
                cases.push(one_byte_less(size, who));
            }
        }
        freed_by_another(&mut cases, size);
        cases.push(refused(size));
    }
    cases
}

fn grow(block: Block, size: usize) {
    guilty(block.address(), || block.realloc(size));
}

fn ask(block: Block) {
    guilty(block.address(), || block.usable_size());
}

fn in_company(size: usize) -> (Block, Company) {
    let company = Company::of(size);
    (Block::new(size), company)
}

fn freed_in_company(size: usize) -> (Block, Company) {
    let (block, company) = in_company(size);
    block.free();
    (block, company)
}

/// C1, C2 and C4 after a free by the owner.
fn freed(cases: &mut Cases, size: usize, who: Who) {
    for (name, new) in [("c1_realloc_freed/larger", size * 3), ("c2_realloc_freed/same", size)] {
        cases.push(Case::dies(format_args!("{name}/{size}/{who}"), AFTER_FREE, move || {
            who.play(|| freed_in_company(size), move |(block, _company)| grow(block, new));
        }));
    }
    cases.push(Case::dies(format_args!("c2_realloc_freed/zero/{size}/{who}"), AFTER_FREE, move || {
        who.play(|| freed_in_company(size), |(block, _company)| grow(block, 0));
    }));
    cases.push(Case::dies(format_args!("c1_realloc_freed/rust/{size}/{who}"), AFTER_FREE, move || {
        who.play(
            || freed_in_company(size),
            move |(block, _company)| {
                let layout = Layout::from_size_align(size, 8).expect("a small alignment");
                guilty(block.address(), || {
                    // SAFETY: none: the block was freed.
                    unsafe { alloc::realloc(block.0, layout, size * 3) }
                });
            },
        );
    }));
    cases.push(Case::dies(format_args!("c4_size_of_freed/{size}/{who}"), SIZE_AFTER_FREE, move || {
        who.play(|| freed_in_company(size), |(block, _company)| ask(block));
    }));
}

/// The same after a free by another thread, before its owner has collected the block (A19) and after.
fn freed_by_another(cases: &mut Cases, size: usize) {
    type Act = fn(Block, usize);
    let acts: [(&str, &'static [&'static str], Act); 3] = [
        ("realloc_larger", AFTER_FREE, |block, size| grow(block, size * 3)),
        ("realloc_in_place", AFTER_FREE, grow),
        ("usable_size", SIZE_AFTER_FREE, |block, _| ask(block)),
    ];
    for (name, words, act) in acts {
        cases.push(Case::dies(format_args!("a19_freed_by_another/{name}/{size}"), words, move || {
            on_thread(|| {
                let (block, _company) = in_company(size);
                on_thread(|| block.free());
                act(block, size);
            });
        }));
        cases.push(Case::dies(format_args!("c1_freed_by_another_and_collected/{name}/{size}"), words, move || {
            on_thread(|| {
                let (block, _company) = in_company(size);
                on_thread(|| block.free());
                collect(Collect::Gently);
                act(block, size);
            });
        }));
    }
}

/// C3 and C4: what is no block.
fn elsewhere(cases: &mut Cases, size: usize, who: Who) {
    let mut add = |name: &str, words: &'static [&'static str], place: fn(Block) -> Block| {
        cases.push(Case::dies(format_args!("c3_realloc_{name}/{size}/{who}"), words, move || {
            who.play(move || place(Block::new(size)), move |block| grow(block, size * 2));
        }));
    };
    add("misaligned", MISALIGNED, |block| block.plus(8));
    if size > 16 {
        add("interior", INTERIOR, |block| block.plus(16));
    }
    if size > 4096 {
        add("interior_page", INTERIOR, |block| block.plus(4096));
    }
    if size != 64 {
        return;
    }
    let stack = |_| Block(black_box(&mut [0_u128; 4]).as_mut_ptr().cast());
    add("stack", FOREIGN, stack);
    add("wild", &["invalid free (wild pointer) in realloc of "], |_| Block::at(0x1230));
    let mut add = |name: &str, words: &'static [&'static str], place: fn(Block) -> Block| {
        cases.push(Case::dies(format_args!("c4_size_of_{name}/{who}"), words, move || {
            who.play(move || place(Block::new(size)), ask);
        }));
    };
    add("interior", &["invalid free (interior pointer) in usable_size of "], |block| block.plus(16));
    add("misaligned", &["invalid free (misaligned pointer) in usable_size of "], |block| block.plus(1));
    add("stack", &["invalid free (foreign pointer) in usable_size of "], stack);
    add("wild", &["invalid free (wild pointer) in usable_size of "], |_| Block::at(usize::MAX));
    add("never_allocated", &["invalid free (never allocated) in usable_size of "], |block| block.plus(16 << 10));
}

/// C5: the old Layout is of another class, or of an alignment that another class serves.
fn wrong_layout(cases: &mut Cases, size: usize, who: Who) {
    let mut add = |name: &str, old: Layout| {
        let play = move || {
            who.play(
                move || Block::new(size),
                move |block| {
                    guilty(block.address(), || {
                        // SAFETY: none: the Layout is another's.
                        unsafe { alloc::realloc(block.0, black_box(old), 100) }
                    });
                },
            );
        };
        cases.push(
            Case::dies(format_args!("c5_realloc_of_another_layout/{name}/{size}/{who}"), WRONG_LAYOUT, play)
                .needing(Needs::LAYOUT_CHECKS)
                .own(),
        );
    };
    let layout = |size, align| Layout::from_size_align(size, align).expect("a small alignment");
    add("larger", layout(step(size) + 1, 8));
    if size > 16 {
        add("smaller", layout(size / 2, 8));
    }
    if Layout::from_size_align(size, 4096).is_ok() && !step(size).is_multiple_of(4096) {
        add("aligned", layout(size, 4096));
    }
}

/// C5 where the trailer tells the size: a byte less, which is of the same class.
fn one_byte_less(size: usize, who: Who) -> Case {
    let layout = |size| Layout::from_size_align(size, 1).expect("a small alignment");
    let play = move || {
        who.play(
            move || Block::of_layout(layout(size)),
            move |block| {
                guilty(block.address(), || {
                    // SAFETY: none: the Layout is another's.
                    unsafe { alloc::realloc(block.0, black_box(layout(size - 1)), size + 8) }
                });
            },
        );
    };
    Case::open(format_args!("c5_one_byte_less/{size}/{who}"), play)
        .own()
        .with(Column::P, Needs::CANARIES, Expect::Dies(WRONG_LAYOUT))
        .with(Column::G, Needs::all(&["canaries", "sampled-guards"]), Expect::Dies(WRONG_LAYOUT))
}

/// C8: more than there can be is null, and the block is as it was.
fn refused(size: usize) -> Case {
    Case::new(format_args!("c8_realloc_beyond_isize_max/{size}"), Needs::NOTHING, Expect::Survives, move || {
        on_thread(|| {
            let most = isize::MAX as usize;
            let block = Block::new(size);
            let held = size.min(1 << 20);
            block.fill(held);
            for new in [most + 1, most, most - 4096, usize::MAX, usize::MAX - 15, usize::MAX - 4096, usize::MAX / 2 + 2]
            {
                assert!(block.realloc(new).is_null(), "{new:#x}");
            }
            let layout = Layout::from_size_align(size, 16).expect("a small alignment");
            // SAFETY: the block's Layout, as far as its class goes; a size that no Layout can have is refused all the same.
            assert!(unsafe { alloc::realloc(block.0, layout, most - 15) }.is_null());
            assert!(block.is_filled(held) && owns(block.0));
            block.free();
        });
    })
}
