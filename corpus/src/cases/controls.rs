//! Group J: what is correct, and must never be flagged, whatever bytes a program stores. At CI size and, in full runs, at a larger one.

use crate::allocator::{current, step};
use crate::stage::{Block, Case, Cases, Company, Expect, Needs, SIZES, crowd, fork, on_thread, say, sized, together};
use crate::table::spared;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::process::Command;
use std::sync::Mutex;

pub(super) fn cases() -> Cases {
    let mut cases = Cases::from([
        Case::survives("j1_null", null),
        Case::survives("j2_producers_and_consumers", producers),
        Case::survives("j3_realloc_storm", || crowd(4, |number| storm(number as u64))),
        Case::survives("j6_over_every_pair_of_classes", || on_thread(every_pair)),
        Case::survives("j7_forks_in_the_middle", forks),
        Case::new("j9_exec", Needs::NOTHING, Expect::Says("and still here"), exec),
        Case::survives("j11_many_live_blocks", || on_thread(many)),
    ]);
    for size in SIZES {
        cases.push(Case::survives(format_args!("j4_bytes_that_imitate/{size}"), move || on_thread(|| imitate(size))));
        for align in [1, 2, 8, 16, 64, 512, 4096, 64 << 10] {
            if size <= 1 << 20 {
                cases.push(Case::survives(format_args!("j5_aligned/{align}/{size}"), move || {
                    on_thread(|| aligned(size, align))
                }));
            }
        }
        let rounds = 2000.min((1 << 27) / size).max(8);
        let play = move || on_thread(|| (0..spared(rounds).max(8)).for_each(|_| Block::new(size).free()));
        cases.push(Case::survives(format_args!("j10_quarantine_at_its_largest/{size}"), play).arranged(|stage| {
            // That of small blocks, and that of large ones.
            stage.env("RAVELIN_BLOCK_QUARANTINE", "1G");
            stage.env("RAVELIN_QUARANTINE_BYTES", "1G").env("RAVELIN_QUARANTINE_COUNT", "256");
        }));
    }
    cases
}

fn null() {
    let nothing = Block(ptr::null_mut());
    (0..100).for_each(|_| nothing.free());
    assert_eq!(nothing.usable_size(), 0);
    let block = Block(nothing.realloc(100));
    assert!(!block.0.is_null());
    block.fill(100);
    block.free();
}

/// A generator that needs no memory.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// J2: blocks go through a ring; whoever takes one checks and frees it.
fn producers() {
    const RING: usize = 256;
    let ring: [AtomicPtr<u8>; RING] = [const { AtomicPtr::new(ptr::null_mut()) }; RING];
    let rounds = spared(sized(40_000, 4_000_000));
    let checked = AtomicUsize::new(0);
    crowd(4, |number| {
        let mut state = number as u64 + 1;
        for _ in 0..rounds {
            let size = 8 + next(&mut state) % if next(&mut state) % 64 == 0 { 60_000 } else { 500 };
            let block = Block::new(size);
            block.write(0, size as u64);
            block.write_byte(size - 1, if size > 8 { 0x5a } else { block.read_byte(size - 1) });
            let old = Block(ring[next(&mut state) % RING].swap(block.0, Ordering::AcqRel));
            if !old.0.is_null() {
                let size = old.read(0) as usize;
                assert!(size == 8 || old.read_byte(size - 1) == 0x5a, "a block is not what it was");
                checked.fetch_add(1, Ordering::Relaxed);
                old.free();
            }
        }
    });
    assert!(checked.load(Ordering::Relaxed) > rounds);
    for place in &ring {
        Block(place.swap(ptr::null_mut(), Ordering::AcqRel)).free();
    }
}

/// J3: what a block holds survives every realloc.
fn storm(seed: u64) {
    let mut state = seed + 99;
    let mut live: Vec<(Block, usize)> = (0..40).map(|at| (Block::new(at + 1), at + 1)).collect();
    live.iter().for_each(|(block, _)| block.write_byte(0, 0x77));
    for _ in 0..sized(4_000, 400_000) {
        let at = next(&mut state) % live.len();
        let size = 1 + next(&mut state) % [64, 1000, 20_000, 300_000][next(&mut state) % 4];
        let (block, _) = live[at];
        let new = Block(block.realloc(size));
        assert!(!new.0.is_null() && new.read_byte(0) == 0x77);
        new.write_byte(size - 1, 0x77);
        live[at] = (new, size);
    }
    live.into_iter().for_each(|(block, _)| block.free());
}

/// J4: everything that the allocator might take for its own, written to where it may be written.
fn imitate(size: usize) {
    let words = |block: Block, word: u64| {
        for offset in (0..size / 8).map(|at| at * 8).take(1 << 14) {
            block.write(offset, word);
        }
        for offset in size / 8 * 8..size {
            block.write_byte(offset, word as u8);
        }
    };
    let company = Company::of(size);
    let mut seen = [0_u64; 8];
    for round in 0..40 {
        let blocks = [(); 8].map(|()| Block::new(size));
        // What a new block holds is the program's to read, and to store again: once it was the allocator's.
        for (block, word) in blocks.iter().zip(seen.iter_mut()) {
            *word = if size >= 8 { block.read(0) ^ *word } else { 0 };
        }
        let patterns = [
            0,
            u64::MAX,
            seen[round % 8],
            blocks[0].address() as u64,
            blocks[1].address() as u64 >> 4,
            (size as u64) | 1,
            0x4141_4141_4141_4141,
            round as u64,
        ];
        for (block, word) in blocks.iter().zip(patterns) {
            words(*block, word);
        }
        // The last word copied over the first, as a trailer would be.
        if size >= 16 {
            blocks[2].write(size / 8 * 8 - 8, blocks[3].read(0));
        }
        blocks.into_iter().for_each(Block::free);
        if size > 1 << 20 && round == 3 {
            break;
        }
    }
    company.leave();
}

fn aligned(size: usize, align: usize) {
    let blocks = [(); 12].map(|()| Block::aligned(size, align));
    for block in blocks {
        assert_eq!(block.address() % align, 0, "{size} at {align}");
        block.fill(size.min(5000));
    }
    assert!(blocks.iter().all(|block| block.is_filled(size.min(5000))));
    blocks.into_iter().for_each(Block::free);
}

/// J6: from the end of each class to that of each other, and back.
fn every_pair() {
    let mut ends = Vec::new();
    let mut size = 1;
    while size <= 200 << 10 && ends.len() < sized(40, 200) {
        ends.push(size);
        size = step(size).max(size) + 1 + ends.len() * 8;
    }
    for &from in &ends {
        for &to in &ends {
            let block = Block::new(from);
            block.write_byte(0, 0x33);
            block.write_byte(from - 1, 0x33);
            let block = Block(block.realloc(to));
            assert_eq!(block.read_byte(0), 0x33, "{from} to {to}");
            block.write_byte(to - 1, 0x44);
            let block = Block(block.realloc(from));
            assert_eq!(block.read_byte(0), if to == 1 { 0x44 } else { 0x33 }, "{from} to {to} and back");
            block.write_byte(from - 1, 0x33);
            block.free();
        }
    }
}

/// J7: threads are at it while others fork; the child uses and frees what they made.
fn forks() {
    static HELD: [AtomicPtr<u8>; 64] = [const { AtomicPtr::new(ptr::null_mut()) }; 64];
    let busy = AtomicUsize::new(3);
    crowd(4, |number| {
        let mut state = number as u64 + 5;
        let work = |state: &mut u64| {
            for _ in 0..spared(300) {
                let size = 16 + next(state) % 3000;
                let block = Block::new(size);
                block.write(0, 0x1234);
                let old = HELD[next(state) % 64].swap(block.0, Ordering::AcqRel);
                if !old.is_null() {
                    assert_eq!(Block(old).read(0), 0x1234);
                    Block(old).free();
                }
            }
        };
        if number == 0 {
            for _ in 0..sized(40, 1000) {
                work(&mut state);
                let child = fork(|| {
                    for place in &HELD {
                        let block = Block(place.swap(ptr::null_mut(), Ordering::AcqRel));
                        if !block.0.is_null() && block.read(0) != 0x1234 {
                            return 1;
                        }
                        block.free();
                    }
                    (0..spared(200)).for_each(|at| Block::new(at * 7 + 1).free());
                    0
                });
                assert_eq!((child.signal, child.code, child.stderr.as_str()), (0, 0, ""), "{child:?}");
            }
            busy.store(0, Ordering::SeqCst);
        } else {
            while busy.load(Ordering::SeqCst) != 0 {
                work(&mut state);
            }
        }
    });
    HELD.iter().for_each(|place| Block(place.swap(ptr::null_mut(), Ordering::AcqRel)).free());
}

/// J9: another program takes this process over, from a thread, while others hold blocks.
fn exec() {
    let lock = Mutex::new(Vec::new());
    together(|| lock.lock().expect("nobody panics").push(Block::new(100)), || Block::new(200).free());
    use std::os::unix::process::CommandExt;
    let error = Command::new("/bin/sh").args(["-c", "echo 'and still here'"]).exec();
    panic!("{error}");
}

/// J11.
fn many() {
    let count = sized(100_000, 2_000_000);
    let mut blocks: Vec<Block> = Vec::with_capacity(count);
    for at in 0..count {
        let size = 1 + at % 200;
        let block = Block((current().allocate)(size));
        assert!(!block.0.is_null());
        block.write_byte(size - 1, at as u8);
        blocks.push(block);
    }
    for (at, block) in blocks.iter().enumerate() {
        assert_eq!(block.read_byte(at % 200), at as u8);
    }
    // Every second, then the rest.
    blocks.iter().step_by(2).for_each(|block| block.free());
    blocks.iter().skip(1).step_by(2).for_each(|block| block.free());
    say(format_args!("{count} blocks"));
}
