//! Group B of the corpus, first half: pointers that nobody got from the allocator. (The second half, pointers into what is the
//! allocator's own: `our_own_memory`.)

use crate::allocator;
use crate::stage::{Block, Case, Cases, Expect, Needs, SIZES, Who, is_class, is_huge};
use crate::table::is_guarded;
use core::alloc::{GlobalAlloc, Layout};
use core::fmt::Display;
use core::hint::black_box;
use core::ptr;
use std::alloc::System;

const WILD: &[&str] = &["invalid free (wild pointer) of "];
const FOREIGN: &[&str] = &["invalid free (foreign pointer) of "];
const MISALIGNED: &[&str] = &["invalid free (misaligned pointer) of "];
const INTERIOR: &[&str] = &["invalid free (interior pointer) of "];
/// What lies a gigabyte from a block: perhaps ours, perhaps nobody's.
const FAR: &[&str] = &[
    "invalid free (foreign pointer) of ",
    "invalid free (never allocated) of ",
    "invalid free (interior pointer) of ",
    "invalid free (wild pointer) of ",
];

pub fn cases() -> Cases {
    let mut cases = Cases::default();
    for who in Who::ALL {
        wild(&mut cases, who);
        foreign(&mut cases, who);
        house_of_spirit(&mut cases, who);
        for size in SIZES {
            near_a_block(&mut cases, size, who);
        }
        for offset in 1..16 {
            cases.push(inside("b8_misaligned", MISALIGNED, 64, offset, who));
        }
    }
    cases
}

/// Frees a pointer that does not come from the allocator at all: a build that checks nothing else stops it too.
fn anywhere(
    name: impl Display,
    words: &'static [&'static str],
    who: Who,
    pointer: impl FnOnce() -> Block + Send + 'static,
) -> Case {
    Case::new(format_args!("{name}/{who}"), Needs::NOTHING, Expect::Dies(words), move || {
        who.play(pointer, Block::free_guilty);
    })
}

fn wild(cases: &mut Cases, who: Who) {
    for address in [1, 8, 16, 0x1000, 0xfff0, usize::MAX, usize::MAX - 15] {
        cases.push(anywhere(format_args!("b1_null_page/{address:#x}"), WILD, who, move || Block::at(address)));
    }
    for address in [0x8000_0000_0000, 0xffff_8000_0000_0000, 0xffff_ffff_8000_0000, 0x0001_0000_0000_0000] {
        cases.push(anywhere(format_args!("b7_beyond_user_space/{address:#x}"), WILD, who, move || Block::at(address)));
    }
    for tag in [0x01, 0x2a, 0x80, 0xb4, 0xff] {
        let tagged = move || Block::at(Block::new(64).address() | tag << 56);
        cases.push(anywhere(format_args!("b7_tagged/{tag:#x}"), WILD, who, tagged));
    }
    for byte in [0xaa_u8, 0xde, 0xcd, 0xfe, 0xa5] {
        let pattern = move || Block::at(usize::from_ne_bytes([byte; 8]));
        cases.push(anywhere(format_args!("b15_uninitialised/{byte:#x}"), WILD, who, pattern));
        // Half overwritten, and so within the user's half of the address space.
        let half = move || Block::at(usize::from_ne_bytes([byte; 8]) >> 33 << 4);
        cases.push(anywhere(format_args!("b15_half_uninitialised/{byte:#x}"), FOREIGN, who, half));
    }
}

fn foreign(cases: &mut Cases, who: Who) {
    static ZEROS: [u64; 64] = [0; 64];
    static mut WRITABLE: [u64; 64] = [1; 64];
    const MAPPED: usize = 1 << 20;
    for skew in [0, 1, 8] {
        cases.push(Case::new(
            format_args!("b2_stack/{skew}/{who}"),
            Needs::NOTHING,
            Expect::Dies(FOREIGN),
            move || {
                let frame = black_box([0_u64; 64]);
                let block = Block(frame.as_ptr().cast_mut().cast()).plus(skew);
                who.play(move || block, Block::free_guilty);
            },
        ));
        let at = move |start: *const u8| Block(black_box(start).cast_mut()).plus(skew);
        cases.push(anywhere(format_args!("b3_read_only_data/{skew}"), FOREIGN, who, move || at(ZEROS.as_ptr().cast())));
        cases.push(anywhere(format_args!("b3_static/{skew}"), FOREIGN, who, move || at((&raw const WRITABLE).cast())));
        cases.push(anywhere(format_args!("b3_function/{skew}"), FOREIGN, who, move || {
            at((cases_address as fn()) as *const u8)
        }));
        cases.push(anywhere(format_args!("b4_mmap/start/{skew}"), FOREIGN, who, move || map(MAPPED).plus(skew)));
        cases.push(anywhere(format_args!("b4_mmap/middle/{skew}"), FOREIGN, who, move || {
            map(MAPPED).plus(MAPPED / 2 + skew)
        }));
    }
    for size in SIZES {
        cases.push(
            anywhere(format_args!("b5_another_allocator/{size}"), FOREIGN, who, move || {
                let layout = Layout::from_size_align(size, 16).expect("a small alignment");
                // SAFETY: the size is not zero.
                Block(unsafe { System.alloc(layout) })
            })
            .own(),
        );
    }
    cases.push(Case::new(
        format_args!("b2_frame_that_is_gone/{who}"),
        Needs::NOTHING,
        Expect::Dies(FOREIGN),
        move || {
            who.play(deep_frame, Block::free_guilty);
        },
    ));
}

#[inline(never)]
fn cases_address() {}

/// The address of a frame that is left, as of alloca's memory.
#[inline(never)]
fn deep_frame() -> Block {
    let frame = black_box([0_u8; 4096]);
    Block(frame.as_ptr().cast_mut())
}

fn map(len: usize) -> Block {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, which replaces nothing.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    Block(start.cast())
}

/// B14 and F3: memory of the program's own is dressed up as a chunk of glibc's, or as a segment of an allocator that keeps its
/// metadata in band, and freed so that the next allocation returns it.
fn house_of_spirit(cases: &mut Cases, who: Who) {
    // Sizes and flags as glibc reads them, before the block and where the next one would begin.
    let dress = |block: Block| {
        for offset in (0..0x200).step_by(16) {
            block.write(offset, 0x40);
            block.write(offset + 8, 0x41);
        }
        block.plus(16)
    };
    cases.push(Case::new(
        format_args!("b14_fake_chunk/on_the_stack/{who}"),
        Needs::NOTHING,
        Expect::Dies(FOREIGN),
        move || {
            let mut frame = [0_u128; 64];
            let fake = dress(Block(frame.as_mut_ptr().cast()));
            who.play(move || fake, Block::free_guilty);
        },
    ));
    cases.push(anywhere("b14_fake_chunk/in_a_mapping", FOREIGN, who, move || dress(map(1 << 16))));
    cases.push(Case::dies(format_args!("b14_fake_chunk/in_a_block/{who}"), INTERIOR, move || {
        who.play(move || dress(Block::new(0x210)), Block::free_guilty);
    }));
    // Aligned to any segment size, with a "page" that names whoever asks as its owner.
    cases.push(anywhere("b14_fake_segment", FOREIGN, who, || {
        let start = map(128 << 20);
        let aligned = start.plus(start.address().wrapping_neg() % (64 << 20));
        for offset in (0..1 << 16).step_by(8) {
            aligned.write(offset, aligned.address() as u64);
        }
        aligned.plus(1 << 16)
    }));
}

fn inside(name: &str, words: &'static [&'static str], size: usize, offset: usize, who: Who) -> Case {
    Case::dies(format_args!("{name}/{offset}/{size}/{who}"), words, move || {
        who.play(move || Block::new(size).plus(offset), Block::free_guilty);
    })
}

fn near_a_block(cases: &mut Cases, size: usize, who: Who) {
    const GIB: usize = 1 << 30;
    cases.push(Case::dies(format_args!("b6_a_gibibyte_on/{size}/{who}"), FAR, move || {
        who.play(move || Block::new(size).plus(GIB), Block::free_guilty);
    }));
    cases.push(Case::dies(format_args!("b6_a_gibibyte_before/{size}/{who}"), FAR, move || {
        who.play(move || Block::new(size).minus(GIB), Block::free_guilty);
    }));
    if size != 64 {
        for offset in [1, 8, 15] {
            cases.push(inside("b8_misaligned", MISALIGNED, size, offset, who));
        }
    }
    if is_class(size) {
        // In a thread that is new, so that its page is, and nobody else has a block there.
        never_handed_out(cases, "b11_made_and_never_handed_out", size, who, |_, apart| apart);
        never_handed_out(cases, "b12_beyond_the_capacity", size, who, |_, apart| (MADE.0 / apart).max(MADE.1) * apart);
    }
    let mut offsets = vec![16, 32, (size / 2) & !15, (size - 1) & !15];
    offsets.sort_unstable();
    offsets.dedup();
    for offset in offsets.into_iter().filter(|&offset| offset != 0 && offset < size) {
        cases.push(inside("b9_interior", INTERIOR, size, offset, who));
    }
    if size > 16 << 10 {
        cases.push(inside("b10_interior_of_a_large_block", INTERIOR, size, 4096, who));
    }
    if is_huge(size) {
        // In the second of the segments that the block covers.
        cases.push(inside("b10_interior_of_a_huge_block", INTERIOR, size, 40 << 20, who));
    }
    if !is_class(size) {
        cases.push(inside("b8_misaligned", MISALIGNED, size, 4097, who));
    }
}

/// Bytes of blocks that a page makes at a time, and how many at least.
const MADE: (usize, usize) = (4096, 4);

/// B11 and B12: where a block of the page will be, once it has been made or handed out.
fn never_handed_out(cases: &mut Cases, name: &str, size: usize, who: Who, offset: fn(usize, usize) -> usize) {
    const NEVER: &[&str] = &["invalid free (never allocated) of "];
    // Where each block stands alone, there are the slices of others.
    const NO_BLOCK: &[&str] = &["invalid free (", "double free of "];
    let case = Case::dies(format_args!("{name}/{size}/{who}"), NEVER, move || {
        who.play(
            move || {
                let apart = allocator::step(size);
                let owned = |place: Block| allocator::current().owns.is_some_and(|owns| owns(place.0));
                let mut place = Block::new(size).plus(offset(size, apart));
                while is_guarded() && owned(place) {
                    place = place.plus(apart);
                }
                assert!(!owned(place), "there is a block");
                place
            },
            Block::free_guilty,
        );
    });
    cases.push(case.guarded(Expect::Dies(NO_BLOCK)));
}
