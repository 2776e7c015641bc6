//! Group D: beyond a block's bounds. Also C6 and C7, where a realloc meets the damage.

use super::words::{DAMAGE, OVERFLOW};
use crate::allocator::{Collect, check, collect, has};
use crate::stage::{
    Block, Case, Cases, Company, Expect, Needs, SIZES, Who, access, guilty, harm, is_class, look, neighbours,
    on_thread, say,
};
use crate::table::{Column, is_guarded};
use core::fmt::Display;

pub(super) fn cases() -> Cases {
    let mut cases = Cases::default();
    for size in SIZES {
        for who in Who::ALL {
            small_overflows(&mut cases, size, who);
            resized(&mut cases, size, who);
            cases.extend([1, 32].map(|bytes| underflow(size, bytes, who)));
            cases.extend([looked_for(size, who), found_at_exit(size, who), tampered(size, who)]);
            if is_class(size) {
                cases.push(string(size, who));
            }
        }
        for who in Who::STRANGERS {
            cases.push(freed_by_another(size, who));
        }
    }
    for size in [16, 64, 512, 4096, 64 << 10] {
        far(&mut cases, size);
    }
    for size in [200_000, 1 << 20, 64 << 20] {
        for who in Who::ALL {
            beside_large(&mut cases, size, who);
        }
        cases.push(by_the_system(size));
    }
    // A small block may have a guard near, or not.
    let small = by_the_system(64).with(Column::H, Needs::NOTHING, Expect::Chance);
    cases.push(small.with(Column::P, Needs::NOTHING, Expect::Chance));
    for who in Who::ALL {
        no_byte(&mut cases, who);
    }
    cases
}

/// D10.
fn no_byte(cases: &mut Cases, who: Who) {
    for (name, play) in [("read", (|block| block.touch(0)) as fn(Block)), ("write", |block| block.write_byte(0, 1))] {
        cases.push(
            Case::open(format_args!("d10_no_byte/{name}/{who}"), move || {
                who.play(|| Block::new(0), move |block| access(block.address(), || play(block)));
            })
            .with(Column::P, Needs::VOIDS, Expect::Faults)
            .guarded(Expect::Faults),
        );
    }
}

/// Not promised in h; dies at the block's free in p; faults, or dies there, in g.
pub(super) fn at_free(name: impl Display, play: impl FnOnce() + Send + 'static) -> Case {
    Case::new(name, Needs::NOTHING, Expect::Chance, play)
        .with(Column::P, Needs::CANARIES, Expect::Dies(OVERFLOW))
        .guarded(Expect::FaultsOrDies(OVERFLOW))
}

/// Bytes from a block's requested end to behind its real one.
fn to_the_end(block: Block, size: usize) -> usize {
    if !is_class(size) {
        return room(block, size) - size + 1;
    }
    let step = crate::allocator::step(size);
    if step > size { step - size + 24 } else { size / 4 + 64 }
}

/// Bytes from the start of a large block to the guard behind it.
fn room(block: Block, size: usize) -> usize {
    if has("canaries") { (size + 16).next_multiple_of(4096) } else { block.usable_size().max(size) }
}

/// A block among others.
fn in_company(size: usize) -> Block {
    let (_company, block, _more) = (Company::of(size), Block::new(size), Company::of(size));
    block
}

fn small_overflows(cases: &mut Cases, size: usize, who: Who) {
    let mut add = |name: &str, write: fn(Block, usize)| {
        let case = at_free(format_args!("{name}/{size}/{who}"), move || {
            who.play(
                || in_company(size),
                move |block| {
                    access(block.address(), || write(block, size));
                    block.free_guilty();
                },
            );
        });
        // Behind a large block such a write meets a guard.
        let is_stopped = name.starts_with("d2_") && !is_class(size);
        cases.push(if is_stopped { case.faulting() } else { case });
    };
    add("d1_one_byte/41", |block, size| block.write_byte(size, 0x41));
    add("d1_one_byte/ff", |block, size| block.write_byte(size, 0xff));
    add("d2_linear/41", |block, size| block.write_bytes(size, 0x41, to_the_end(block, size)));
    add("d2_linear/00", |block, size| block.write_bytes(size, 0, to_the_end(block, size)));
    add("d3_8_bytes/loop", |block, size| block.write_bytes(size, 0x41, 8));
    add("d3_32_bytes/loop", |block, size| block.write_bytes(size, 0x41, 32));
    add("d3_8_bytes/memcpy", |block, size| copy(block, size, 8));
    add("d3_32_bytes/memcpy", |block, size| copy(block, size, 32));
}

/// D4.
fn freed_by_another(size: usize, who: Who) -> Case {
    at_free(format_args!("d4_freed_by_another/{size}/{who}"), move || {
        who.play(
            || {
                let block = in_company(size);
                access(block.address(), || block.write_bytes(size, 0x41, 8));
                block
            },
            Block::free_guilty,
        );
    })
}

fn copy(block: Block, offset: usize, bytes: usize) {
    let from = core::hint::black_box([0x41_u8; 32]);
    // SAFETY: none: beyond the block.
    unsafe { block.0.wrapping_add(offset).copy_from_nonoverlapping(from.as_ptr(), bytes) };
}

/// C6 and C7.
fn resized(cases: &mut Cases, size: usize, who: Who) {
    cases.push(at_free(format_args!("c6_realloc_after_an_overflow/{size}/{who}"), move || {
        who.play(
            || in_company(size),
            move |block| {
                access(block.address(), || block.write_bytes(size, 0x41, 8));
                guilty(block.address(), || block.realloc(size));
            },
        );
    }));
    if size >= 16 {
        let cut = size - size / 8 - 1;
        cases.push(at_free(format_args!("c7_written_to_the_cut_tail/{size}/{who}"), move || {
            who.play(
                || Block(in_company(size).realloc(cut)),
                move |block| {
                    access(block.address(), || block.write_byte(cut, 0x41));
                    block.free_guilty();
                },
            );
        }));
    }
}

/// The owner's block is written to by `who`, and the owner is the next to say something, or whoever inherits from it.
fn overflown_by(who: Who, size: usize) -> Block {
    let write = |block: Block| access(block.address(), || block.write_bytes(size, 0x41, 8));
    let block = match who {
        Who::Same | Who::Other => in_company(size),
        Who::Heir => on_thread(|| in_company(size)),
    };
    match who {
        Who::Same => write(block),
        Who::Other | Who::Heir => on_thread(|| write(block)),
    }
    look(block.address());
    block
}

/// D5: it is enough to look.
fn looked_for(size: usize, who: Who) -> Case {
    Case::new(format_args!("d5_never_freed/check_heap/{size}/{who}"), Needs::NOTHING, Expect::Chance, move || {
        on_thread(|| {
            let block = overflown_by(who, size);
            if let Err(damage) = check() {
                assert_eq!(damage.address, block.address());
                say(format_args!("found"));
            }
        });
    })
    .own()
    .with(Column::P, Needs::CANARIES, Expect::Says("found"))
    .guarded(Expect::FaultsOrSays("found"))
}

/// D5: the end of the process looks, if that is asked for. It is the main thread's end here, which owns the block if nobody else does.
fn found_at_exit(size: usize, who: Who) -> Case {
    at_free(format_args!("d5_never_freed/at_exit/{size}/{who}"), move || {
        overflown_by(who, size);
    })
    .own()
    .arranged(|command| {
        command.env("RAVELIN_CHECK_AT_EXIT", "1");
    })
    .with(Column::P, Needs::CANARIES, Expect::DiesLater(OVERFLOW))
}

/// D12: another block's trailer is a trailer, but not this one's.
fn tampered(size: usize, who: Who) -> Case {
    at_free(format_args!("d12_another_blocks_trailer/{size}/{who}"), move || {
        who.play(
            || (Block::new(size), in_company(size)),
            move |(other, block)| {
                let mut trailer = [0; 8];
                access(other.address(), || {
                    trailer.iter_mut().enumerate().for_each(|(at, byte)| *byte = other.read_byte(size + at));
                });
                access(block.address(), || {
                    trailer.iter().enumerate().for_each(|(at, &byte)| block.write_byte(size + at, byte));
                });
                block.free_guilty();
            },
        );
    })
}

/// D11: what is printed of a string that was not ended.
fn string(size: usize, who: Who) -> Case {
    const ENDED: &str = "the string ends where the block does";
    Case::new(format_args!("d11_string_without_an_end/{size}/{who}"), Needs::NOTHING, Expect::Chance, move || {
        who.play(
            || {
                let (_company, block) = (Company::of(size), Block::new(size));
                block.write_bytes(0, b'x', size);
                block
            },
            move |block| {
                // SAFETY: none: there is no NUL that is the block's.
                let length = access(block.address(), || unsafe { libc::strlen(block.0.cast()) });
                if length == size {
                    say(format_args!("{ENDED}"));
                }
            },
        );
    })
    .with(Column::P, Needs::CANARIES, Expect::Says(ENDED))
    .guarded(Expect::FaultsOrSays(ENDED))
}

/// D9: into the end of the neighbour's place, or of the guard before a large block.
fn underflow(size: usize, bytes: usize, who: Who) -> Case {
    let case = Case::open(format_args!("d9_before_the_start/{bytes}/{size}/{who}"), move || {
        who.play(
            || neighbours(size).map_or_else(|| (None, Block::new(size)), |(lower, upper, _)| (Some(lower), upper)),
            move |(lower, upper)| {
                // No further than the lower one's start: before that the page may end.
                let bytes = lower.map_or(bytes, |lower| bytes.min(upper.address() - lower.address()));
                let below = upper.minus(bytes);
                // A byte that is what it was is no write, and a neighbour's trailer may end with any.
                let change = |at| below.write_byte(at, below.read_byte(at) ^ 0x41);
                access(upper.address(), || (0..bytes).for_each(change));
                let Some(lower) = lower else {
                    // Each stands alone.
                    return upper.free_guilty();
                };
                upper.free();
                lower.free();
                traffic(size);
            },
        );
    });
    let case = case.with(Column::P, Needs::CANARIES, Expect::Reports(DAMAGE));
    let case = if is_class(size) { case } else { case.faulting() };
    // A block that stands alone may have a margin before it.
    case.guarded(Expect::FaultsOrDies(DAMAGE))
}

/// Frees and allocates so much that whatever waits anywhere has come round.
pub(super) fn traffic(size: usize) {
    let many = 10_000.min((1 << 27) / size.max(1)).max(4);
    let mut held = [core::ptr::null_mut::<u8>(); 10_000];
    for _ in 0..2 {
        held.iter_mut().take(many).for_each(|place| *place = Block::new(size).0);
        held.iter().take(many).for_each(|place| Block(*place).free());
    }
    collect(Collect::Fully);
}

/// D6 and D7: on and on.
fn far(cases: &mut Cases, size: usize) {
    const MIB: usize = 1 << 20;
    let mut add = |name: &str, up: bool, bytes: usize, cell: (Needs, Expect), paranoid: Needs| {
        let case = Case::open(format_args!("{name}/{size}"), move || {
            on_thread(|| {
                let (_company, block) = (Company::of(size), Block::new(size));
                access(block.address(), || {
                    for offset in (0..bytes).step_by(16) {
                        let place = if up { block.plus(offset) } else { block.minus(offset) };
                        place.write_byte(0, 0x41);
                    }
                });
            });
        });
        cases.push(
            case.with(Column::H, cell.0, cell.1).with(Column::P, paranoid, Expect::Faults).guarded(Expect::Faults),
        );
    };
    let open = (Needs::NOTHING, Expect::Open);
    let faults = (Needs::NOTHING, Expect::Faults);
    add("d6_past_the_end_of_the_page", true, MIB / 2, open, Needs::PAGE_GUARDS);
    add("d7_linear/up/1_mib", true, MIB, open, Needs::PAGE_GUARDS);
    add("d7_linear/down/1_mib", false, MIB, open, Needs::PAGE_GUARDS);
    add("d7_linear/up/32_mib", true, 32 * MIB, faults, Needs::NOTHING);
    add("d7_linear/down/32_mib", false, 32 * MIB, faults, Needs::NOTHING);
    // F7: what the allocator knows lies nowhere that such a write reaches.
    add("f7_into_the_heaps_own_records", true, 256 * MIB, faults, Needs::NOTHING);
}

/// D8.
fn beside_large(cases: &mut Cases, size: usize, who: Who) {
    let mut add = |name: &str, place: fn(Block, usize) -> Block, play: fn(Block)| {
        cases.push(Case::new(
            format_args!("d8_large/{name}/{size}/{who}"),
            Needs::NOTHING,
            Expect::Faults,
            move || {
                who.play(
                    move || Block::new(size),
                    move |block| {
                        let place = place(block, size);
                        access(block.address(), || play(place));
                    },
                );
            },
        ));
    };
    let behind = |block: Block, size: usize| block.plus(room(block, size));
    add("write_behind", behind, |place| place.write_byte(0, 1));
    add("read_behind", behind, |place| place.touch(0));
    // A block that stands alone may have a margin before it, in the same OS page.
    let before = |block: Block, _| block.minus(if is_guarded() { block.address() % 4096 } else { 0 } + 1);
    add("write_before", before, |place| place.write_byte(0, 1));
    add("read_before", before, |place| place.touch(0));
}

/// D13: the kernel writes, and meets the guard: less is read, or nothing, and nobody is flagged.
fn by_the_system(size: usize) -> Case {
    const SHORT: &str = "less was read";
    Case::new(format_args!("d13_read_by_the_system/{size}"), Needs::NOTHING, Expect::Says(SHORT), move || {
        on_thread(|| {
            let (_company, block) = (Company::of(size), Block::new(size));
            // SAFETY: a file that every system has.
            let zeros = unsafe { libc::open(c"/dev/zero".as_ptr(), libc::O_RDONLY) };
            let wanted = size + (64 << 10);
            // SAFETY: none: beyond the block.
            let got = unsafe { libc::read(zeros, block.0.cast(), wanted) };
            if usize::try_from(got) == Ok(wanted) {
                return harm(format_args!("the system wrote 64 KiB over the end"));
            }
            // Not freed: what lies between its end and the guard was written to, which a trailer would tell.
            say(format_args!("{SHORT}"));
        });
    })
}
