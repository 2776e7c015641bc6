//! Group G of the corpus: sizes and Layouts.

use crate::allocator::{Collect, collect, current, step};
use crate::stage::{Block, Case, Cases, Expect, Needs, SIZES, Who, guilty, is_class, on_thread};
use crate::table::{Column, spared};
use core::alloc::Layout;
use core::fmt::Display;
use core::hint::black_box;
use std::alloc;

const WRONG_LAYOUT: &[&str] = &["wrong layout (size "];
const DOUBLE_FREE: &[&str] = &["double free of "];

pub fn cases() -> Cases {
    let mut cases = Cases::default();
    for size in SIZES {
        for who in Who::ALL {
            another_class(&mut cases, size, who);
            another_alignment(&mut cases, size, who);
            // A block freed twice is that first, whatever Layout it is freed with.
            cases.push(Case::dies(
                format_args!("g1_freed_twice_with_another_layout/{size}/{who}"),
                DOUBLE_FREE,
                move || {
                    who.play(
                        || {
                            let block = Block::new(size);
                            block.free();
                            block
                        },
                        move |block| dealloc(block, layout(size * 3 + 40, 8)),
                    );
                },
            ));
        }
        for who in Who::ALL {
            if size > 1 {
                cases.push(another_size(size, who));
            }
        }
        cases.push(zeroed(size));
        cases.push(in_the_same_class(size));
    }
    cases.push(Case::survives("g5_zeroed_blocks_of_all_classes", all_classes_zeroed));
    cases.push(Case::survives("g6_more_than_there_can_be_is_null", beyond_the_address_space));
    cases.push(Case::survives("g7_alignments_that_are_none_are_refused", bad_alignments));
    cases.push(Case::survives("g8_every_alignment_by_every_size", every_alignment));
    cases
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a Layout")
}

/// The guilty call.
fn dealloc(block: Block, layout: Layout) {
    guilty(block.address(), || {
        // SAFETY: none: the Layout is another's.
        unsafe { alloc::dealloc(block.0, black_box(layout)) };
    });
}

fn with_layout(name: impl Display, size: usize, who: Who, wrong: Layout) -> Case {
    let play = move || who.play(move || Block::new(size), move |block| dealloc(block, wrong));
    Case::dies(format_args!("{name}/{size}/{who}"), WRONG_LAYOUT, play).needing(Needs::LAYOUT_CHECKS).own()
}

/// G1.
fn another_class(cases: &mut Cases, size: usize, who: Who) {
    let room = step(size);
    let mut add = |name: &str, wrong| {
        cases.push(with_layout(format_args!("g1_another_class/{name}"), size, who, layout(wrong, 8)));
    };
    add("next", room + 1);
    add("double", room * 2);
    add("huge", 200 << 20);
    add("large", if is_class(size) { 1 << 21 } else { size + 4096 });
    if size > 16 {
        add("half", size / 2);
        add("none", 0);
    }
    if !is_class(size) {
        add("a_page_less", size - 4096);
        add("class", 64);
    }
}

/// G3: where a block for that alignment would have been of another class.
fn another_alignment(cases: &mut Cases, size: usize, who: Who) {
    for align in [32, 64, 4096, 2 << 20] {
        let is_another = if is_class(size) {
            !step(size).is_multiple_of(align) || align > 64 << 10
        } else {
            // A large block says nothing of its alignment but by its size.
            false
        };
        if is_another {
            cases.push(with_layout(format_args!("g3_another_alignment/{align}"), size, who, layout(size, align)));
        }
    }
}

/// G2: a byte less, which is of the same class. What the block was asked for is known in a build with trailers.
fn another_size(size: usize, who: Who) -> Case {
    let wrong = layout(size - 1, 1);
    let play = move || who.play(move || Block::of_layout(layout(size, 1)), move |block| dealloc(block, wrong));
    Case::open(format_args!("g2_one_byte_less/{size}/{who}"), play)
        .own()
        .with(Column::P, Needs::CANARIES, Expect::Dies(WRONG_LAYOUT))
        .with(Column::G, Needs::all(&["canaries", "sampled-guards"]), Expect::Dies(WRONG_LAYOUT))
}

/// G2 for a build that does not promise to find: what it must not do is flag a Layout that *is* the block's.
fn in_the_same_class(size: usize) -> Case {
    Case::survives(format_args!("g2_every_layout_of_the_class_is_accepted/{size}"), move || {
        on_thread(|| {
            let room = step(size);
            for align in [1, 2, 4, 8, 16] {
                let asked = layout(size, align);
                // SAFETY: the size is not 0.
                let block = black_box(unsafe { alloc::alloc(asked) });
                // SAFETY: the block's own Layout.
                unsafe { alloc::dealloc(block, asked) };
                // SAFETY: the size is not 0.
                let block = black_box(unsafe { alloc::alloc(layout(room, align)) });
                // SAFETY: the same block's size is known to be the whole class.
                unsafe { alloc::dealloc(block, layout(room, align)) };
            }
        });
    })
}

/// G5: dirty blocks are freed, and zeroed ones allocated where they were.
fn zeroed(size: usize) -> Case {
    Case::survives(format_args!("g5_zeroed_after_dirty_frees/{size}"), move || on_thread(|| dirty_then_zeroed(size)))
}

fn dirty_then_zeroed(size: usize) {
    // Several pages of the class, as far as that is not too much to write.
    let held = spared((1 << 20) / size.max(256)) + 3;
    for round in 0..3 {
        let dirty: Vec<Block> = (0..held).map(|_| Block::new(size)).collect();
        dirty.iter().for_each(|block| block.soil(size));
        dirty.into_iter().for_each(Block::free);
        if round == 1 {
            collect(Collect::Fully);
        }
        let clean: Vec<Block> = (0..held).map(|_| Block(black_box((current().allocate_zeroed)(size)))).collect();
        assert!(clean.iter().all(|block| block.is_zero(size)), "{size} bytes in round {round}");
        clean.into_iter().for_each(Block::free);
    }
}

fn all_classes_zeroed() {
    let mut size = 1;
    while size <= 160 << 10 {
        let room = step(size);
        on_thread(|| dirty_then_zeroed(room));
        size = room + 1;
    }
}

/// G6: the overflow of calloc's product is the C face's affair.
fn beyond_the_address_space() {
    let most = isize::MAX as usize;
    for size in [
        most,
        most + 1,
        most - 4096,
        usize::MAX,
        usize::MAX - 1,
        usize::MAX - 15,
        usize::MAX - 4095,
        usize::MAX - 65536,
    ] {
        assert!(black_box((current().allocate)(size)).is_null(), "{size:#x}");
        assert!(black_box((current().allocate_zeroed)(size)).is_null(), "{size:#x}");
        for align in [16, 64, 4096, 1 << 30] {
            assert!(black_box((current().allocate_aligned)(size, align)).is_null(), "{size:#x} at {align}");
        }
    }
    // Below the limit of sizes, above that of any machine's address space.
    for shift in 47..63 {
        assert!(black_box((current().allocate)(1 << shift)).is_null(), "2^{shift} bytes");
    }
    Block::new(100).free();
}

/// G7.
fn bad_alignments() {
    for size in [0, 1, 100, 4096, 1 << 20] {
        for align in [0, 3, 12, 24, 48, 100, 4097, (1 << 20) + 1, usize::MAX, 1 << 62, 1 << 63] {
            assert!(
                black_box((current().allocate_aligned)(size, align)).is_null() || align < 16,
                "{size} at {align:#x}"
            );
        }
    }
    for (size, align) in [(isize::MAX as usize, 1 << 61), (usize::MAX - 10, 4096), (1 << 62, 1 << 62)] {
        assert!(black_box((current().allocate_aligned)(size, align)).is_null());
    }
}

/// G8. Blocks are touched at both ends only: it is address space that is asked for here.
fn every_alignment() {
    for shift in 0..=31 {
        let align = 1_usize << shift;
        on_thread(|| {
            let sizes = [
                0,
                1,
                15,
                16,
                17,
                100,
                1000,
                4096,
                10_000,
                65_536,
                100_000,
                131_072,
                131_073,
                1 << 20,
                20 << 20,
                64 << 20,
            ];
            let mut live: Vec<(Block, usize)> = Vec::new();
            for size in sizes.into_iter().chain(sizes) {
                // SAFETY: the allocator serves size 0 too.
                let block = Block(black_box(unsafe { alloc::alloc(layout(size, align)) }));
                assert!(!block.0.is_null(), "{size} at {align}");
                assert_eq!(block.address() % align, 0, "{size} at {align}");
                assert!(block.usable_size() >= size);
                if size != 0 {
                    block.write_byte(0, 1);
                    block.write_byte(size - 1, 2);
                }
                live.push((block, size));
            }
            let mut ranges: Vec<(usize, usize)> =
                live.iter().map(|(block, size)| (block.address(), block.address() + size.max(&1))).collect();
            ranges.sort_unstable();
            assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "overlap at {align}");
            for (block, size) in live {
                // SAFETY: allocated above with this Layout.
                unsafe { alloc::dealloc(block.0, layout(size, align)) };
            }
        });
    }
}
