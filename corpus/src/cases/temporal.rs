//! Group E: after the free.

use super::spatial::traffic;
use super::words::WRITTEN_AFTER_FREE;
use crate::allocator::{Collect, check, collect};
use crate::stage::{Block, Case, Cases, Company, Expect, Needs, SIZES, Who, access, harm, is_class, on_thread, say};
use crate::table::Column;
use core::fmt::Display;
use std::process::Command;

const CORRUPTED: &[&str] = &["corrupted free list in malloc at "];

pub(super) fn cases() -> Cases {
    let mut cases = Cases::default();
    for size in SIZES.into_iter().filter(|&size| is_class(size)) {
        for who in Who::ALL {
            links(&mut cases, size, who);
            elsewhere(&mut cases, size, who);
        }
        looked_for(&mut cases, size);
        waiting_for_the_owner(&mut cases, size);
        cases.push(old_data(size));
        cases.push(purged(size, "read", |block| block.touch(0)));
        cases.push(purged(size, "write", |block| block.write(0, 1)));
    }
    for bit in 0..64 {
        cases.push(written(format_args!("e5_bit/{bit}/64"), 64, Who::Same, move |block| flip(block, bit), true));
    }
    for size in [200_000, 1 << 20, 64 << 20] {
        for who in Who::ALL {
            for (name, touch) in
                [("read", (|block| block.touch(64)) as fn(Block)), ("write", |block| block.write(64, 1))]
            {
                // Without free-checks a freed block is kept as it is.
                cases.push(Case::new(
                    format_args!("e2_large/{name}/{size}/{who}"),
                    Needs::FREE_CHECKS,
                    Expect::Faults,
                    move || {
                        who.play(
                            || {
                                let block = Block::new(size);
                                block.write(64, 7);
                                block.free();
                                block
                            },
                            move |block| access(block.address(), || touch(block)),
                        );
                    },
                ));
            }
        }
    }
    for (name, touch) in [("read", (|block| block.touch(64)) as fn(Block)), ("write", |block| block.write(64, 1))] {
        let play = move || {
            on_thread(|| {
                let block = freed_in_haste();
                access(block.address(), || touch(block));
            });
        };
        let size = 1 << 20;
        cases.push(
            Case::new(format_args!("e13_coming_and_going/{name}/{size}"), Needs::FREE_CHECKS, Expect::Faults, play)
                .arranged(closing_always),
        );
        cases.push(
            Case::open(format_args!("e14_faster_than_closing/{name}/{size}"), play)
                .with(Column::P, Needs::all(&["quarantine", "free-checks"]), Expect::Faults)
                .guarded(Expect::Faults),
        );
    }
    cases
}

/// Every freed large block is made inaccessible at once, however fast they come.
fn closing_always(command: &mut Command) {
    command.env("RAVELIN_CLOSING_RATE", "16T");
}

/// A large block that was freed when more had just been freed than may be closed ahead (`RAVELIN_CLOSING_RATE`): twice as much.
fn freed_in_haste() -> Block {
    let (before, block) = (Block::new(64 << 20), Block::new(1 << 20));
    block.write(64, 7);
    before.free();
    block.free();
    block
}

fn flip(block: Block, bit: u32) {
    block.write(0, block.read(0) ^ 1 << bit);
}

/// A freed block whose page has others, which stay.
fn freed(size: usize) -> Block {
    let (_company, block, _more) = (Company::of(size), Block::new(size), Company::of(size));
    block.free();
    block
}

/// A write into a freed block, which the allocations that follow meet. `hits_link`: it changes the word that the build h looks at.
fn written(
    name: impl Display,
    size: usize,
    who: Who,
    write: impl FnOnce(Block) + Send + 'static,
    hits_link: bool,
) -> Case {
    let case = Case::open(name, move || {
        on_thread(|| match who {
            Who::Same => {
                let block = freed(size);
                access(block.address(), || write(block));
                traffic(size);
            }
            Who::Other => {
                let block = freed(size);
                on_thread(|| access(block.address(), || write(block)));
                crate::stage::look(block.address());
                traffic(size);
            }
            Who::Heir => {
                let block = on_thread(|| freed(size));
                access(block.address(), || write(block));
                traffic(size);
            }
        });
    });
    let case = case.guarded(Expect::Faults);
    if hits_link {
        case.with(Column::H, Needs::ENCODED_LINKS, Expect::DiesLater(CORRUPTED)).with(
            Column::P,
            Needs::ENCODED_LINKS,
            Expect::DiesLater(WRITTEN_AFTER_FREE),
        )
    } else {
        case.with(Column::P, Needs::ZERO_ON_FREE, Expect::DiesLater(WRITTEN_AFTER_FREE))
    }
}

/// E3, E6 and E7: the link is written over.
fn links(cases: &mut Cases, size: usize, who: Who) {
    let mut add = |name: &str, write: fn(Block, usize)| {
        let case = written(format_args!("{name}/{size}/{who}"), size, who, move |block| write(block, size), true);
        // Zeros over what is wiped are no write: a block that waits in the quarantine has no link that they could hit.
        let zeros = ["e3_whole_block/00", "e6_nul"].contains(&name);
        let zeroed = Expect::HarmlessOrDies(WRITTEN_AFTER_FREE);
        cases.push(if zeros { case.with(Column::P, Needs::QUARANTINE, zeroed) } else { case });
    };
    add("e3_whole_block/ff", |block, size| block.write_bytes(0, 0xff, size.max(8)));
    add("e3_whole_block/41", |block, size| block.write_bytes(0, 0x41, size.max(8)));
    add("e3_whole_block/00", |block, size| block.write_bytes(0, 0, size.max(8)));
    add("e5_bit/lowest", |block, _| flip(block, 0));
    add("e5_bit/highest", |block, _| flip(block, 63));
    // A byte that is what it was is no write.
    add("e6_one_byte", |block, _| block.write_byte(3, block.read_byte(3) ^ 0x41));
    add("e6_two_bytes", |block, _| {
        block.write_byte(2, block.read_byte(2) ^ 0x41);
        block.write_byte(3, block.read_byte(3) ^ 0x41);
    });
    add("e6_nul", |block, _| {
        let at = (0..8).find(|&at| block.read_byte(at) != 0).unwrap_or(0);
        block.write_byte(at, 0);
    });
    cases.push(another_blocks_word(size, who));
}

/// E7: a link that is one, but not this block's.
fn another_blocks_word(size: usize, who: Who) -> Case {
    let case = Case::open(format_args!("e7_another_blocks_word/{size}/{who}"), move || {
        let two_freed = move || {
            let (_company, other, block) = (Company::of(size), Block::new(size), Block::new(size));
            let _more = Company::of(size);
            other.free();
            block.free();
            (other, block)
        };
        let copy = |(other, block): (Block, Block)| {
            let word = access(other.address(), || other.read(0));
            access(block.address(), || block.write(0, word));
        };
        on_thread(|| match who {
            Who::Same => {
                copy(two_freed());
                traffic(size);
            }
            Who::Other => {
                let (other, block) = two_freed();
                on_thread(|| copy((other, block)));
                crate::stage::look(block.address());
                traffic(size);
            }
            Who::Heir => {
                copy(on_thread(two_freed));
                traffic(size);
            }
        });
    });
    // Two blocks in the quarantine have the same first word: zero.
    case.with(Column::H, Needs::ENCODED_LINKS, Expect::DiesLater(CORRUPTED))
        .with(Column::P, Needs::QUARANTINE, Expect::HarmlessOrDies(WRITTEN_AFTER_FREE))
        .guarded(Expect::Faults)
}

/// E4: what is not the link.
fn elsewhere(cases: &mut Cases, size: usize, who: Who) {
    if size < 24 {
        return;
    }
    let mut add = |name: &str, at: usize| {
        let write = move |block: Block| block.write_bytes(at, 0x41, 8);
        cases.push(written(format_args!("e4_{name}/{size}/{who}"), size, who, write, false));
    };
    add("word_in_the_middle", ((size / 2) & !7).max(8));
    add("last_8_bytes", size - 8);
}

/// E10: without another allocation.
fn looked_for(cases: &mut Cases, size: usize) {
    let case =
        Case::new(format_args!("e10_check_heap/{size}"), Needs::ENCODED_LINKS, Expect::Says("found"), move || {
            on_thread(|| {
                check().expect("sound so far");
                let block = freed(size);
                access(block.address(), || flip(block, 17));
                let damage = check().expect_err("a link that was written over");
                assert_eq!(damage.address, block.address());
                // As it was: else the next who meets it stops the process.
                flip(block, 17);
                say(format_args!("found"));
            });
        });
    cases.push(case.own().guarded(Expect::Faults));
}

/// E8: the block was freed by another thread, and its owner has not taken it back. In h there is no link in it yet.
fn waiting_for_the_owner(cases: &mut Cases, size: usize) {
    let case =
        Case::new(format_args!("e8_waiting_for_the_owner/{size}"), Needs::FREE_CHECKS, Expect::Survives, move || {
            on_thread(|| {
                let (_company, block, _more) = (Company::of(size), Block::new(size), Company::of(size));
                on_thread(|| block.free());
                access(block.address(), || block.write(0, 0x4141_4141_4141_4141));
                traffic(size);
            });
        });
    let stopped = Expect::DiesLater(&["corrupted free list", "write after free"]);
    cases.push(case.with(Column::P, Needs::ZERO_ON_FREE, stopped).guarded(Expect::Faults));
}

/// E1: a secret, freed, and looked for where it was.
fn old_data(size: usize) -> Case {
    const NONE: &str = "no old data";
    let case = Case::open(format_args!("e1_old_data/{size}"), move || {
        on_thread(|| {
            let (_company, block) = (Company::of(size), Block::new(size));
            block.write_bytes(0, 0xa7, size);
            block.free();
            let seen = access(block.address(), || {
                block.touch(0);
                (8..size).any(|at| block.read_byte(at) == 0xa7 && at + 1 < size && block.read_byte(at + 1) == 0xa7)
            });
            if seen {
                harm(format_args!("what was freed can be read"));
            } else {
                say(format_args!("{NONE}"));
            }
        });
    });
    case.with(Column::P, Needs::ZERO_ON_FREE, Expect::Says(NONE)).guarded(Expect::Faults)
}

/// E12: nothing of the page is left, and it was given back.
fn purged(size: usize, name: &str, touch: fn(Block)) -> Case {
    Case::new(format_args!("e12_purged/{name}/{size}"), Needs::NOTHING, Expect::Faults, move || {
        on_thread(|| {
            // Not in a vector, which might lie among them.
            let blocks = [(); 64].map(|()| Block::new(size));
            blocks.iter().for_each(|block| block.write_byte(0, 1));
            blocks.iter().for_each(|block| block.free());
            collect(Collect::Fully);
            let block = blocks[blocks.len() / 2];
            access(block.address(), || touch(block));
        });
    })
}
