//! Group H: what can be read, and what can be foreseen. Also E9 and E11, which are about who gets a freed block next.

use crate::allocator::{Collect, collect};
use crate::stage::{Block, Case, Cases, Company, Expect, Needs, SIZES, harm, is_class, maps, on_thread, say};
use crate::table::{Column, is_guarded, spared, without_pool};
use core::alloc::Layout;
use core::hint::black_box;
use std::alloc;
use std::collections::HashSet;
use std::process::Command;

pub(super) fn cases() -> Cases {
    let mut cases = Cases::default();
    for size in SIZES.into_iter().filter(|&size| is_class(size)) {
        cases.push(secret(size));
        cases.push(next_after(size));
    }
    for (size, other) in [(64, 96), (1024, 512), (4096, 48), (48, 4096)] {
        cases.push(recycled(size, other));
    }
    for size in [16, 48, 256, 1024] {
        cases.push(sprayed(size));
    }
    cases.push(Case::new("h3_left_out_of_core_dumps", Needs::FREE_CHECKS, Expect::Says("left out"), core_dump).own());
    cases.push(placement());
    cases
}

/// H1: a secret is freed, and the next who gets such a block looks.
fn secret(size: usize) -> Case {
    const NONE: &str = "nothing of the secret";
    let case = Case::open(format_args!("h1_secret_in_the_next_block/{size}"), move || {
        on_thread(|| {
            let _company = Company::of(size);
            let many = 500.min((1 << 23) / size);
            let blocks: Vec<Block> = (0..many).map(|_| Block::new(size)).collect();
            blocks.iter().for_each(|block| block.write_bytes(0, 0xa7, size));
            blocks.into_iter().for_each(Block::free);
            for _ in 0..many {
                let block = Block::new(size);
                if (0..size).filter(|&at| block.read_byte(at) == 0xa7).count() > 2 {
                    return harm(format_args!("a freed secret is in a new block"));
                }
            }
            say(format_args!("{NONE}"));
        });
    });
    case.paranoid(Needs::ZERO_ON_FREE, Expect::Says(NONE))
}

/// H2: the secret's page, given up and taken for another class.
fn recycled(size: usize, other: usize) -> Case {
    const NONE: &str = "nothing of the secret";
    let case = Case::open(format_args!("h2_secret_in_a_recycled_page/{size}/{other}"), move || {
        on_thread(|| {
            let blocks: Vec<Block> = (0..spared(3000.min((16 << 20) / size))).map(|_| Block::new(size)).collect();
            blocks.iter().for_each(|block| block.write_bytes(0, 0xa7, size));
            blocks.into_iter().for_each(Block::free);
            collect(Collect::Fully);
            for _ in 0..spared((8 << 20) / other) {
                let block = Block::new(other);
                if (0..other).filter(|&at| block.read_byte(at) == 0xa7).count() > 3 {
                    return harm(format_args!("a freed secret is in a block of another class"));
                }
            }
            say(format_args!("{NONE}"));
        });
    });
    case.with(Column::H, Needs::FREE_CHECKS, Expect::Says(NONE))
        .with(Column::P, Needs::FREE_CHECKS, Expect::Says(NONE))
        .with(Column::G, Needs::FREE_CHECKS, Expect::Says(NONE))
        .arranged(without_pool)
}

/// E9: how often the block just freed comes back at once. In g never: what is freed stays inaccessible.
fn next_after(size: usize) -> Case {
    const SELDOM: &str = "seldom enough";
    let odds = move |most: f64| {
        move || {
            on_thread(|| {
                let _company = Company::of(size);
                let rounds = spared(5_000.min((1 << 28) / size)) as u32;
                let mut same = 0_u32;
                for _ in 0..rounds {
                    let block = Block::new(size);
                    block.free();
                    let next = Block::new(size);
                    same += u32::from(next == block);
                    next.free();
                }
                say(format_args!("the block just freed came back {same} times of {rounds}"));
                if f64::from(same) / f64::from(rounds) > most {
                    return harm(format_args!("the block just freed comes back too often"));
                }
                say(format_args!("{SELDOM}"));
            });
        }
    };
    let most = if is_guarded() { 0.0 } else { 1.0 / 64.0 + 0.006 };
    Case::new(format_args!("e9_next_after_a_free/{size}"), Needs::RANDOM_ORDER, Expect::Says(SELDOM), odds(most)).own()
}

/// E11: where pointers were, no bytes come: the two never share a page. In Rust the Layout tells them apart.
fn sprayed(size: usize) -> Case {
    const APART: &str = "bytes never come where pointers were";
    let case = Case::open(format_args!("e11_bytes_over_pointers/{size}"), move || {
        on_thread(|| {
            let pointers = Layout::from_size_align(size, 8).expect("a Layout");
            let bytes = Layout::from_size_align(size, 1).expect("a Layout");
            let new = |layout| {
                // SAFETY: the size is not 0.
                Block(black_box(unsafe { alloc::alloc(layout) }))
            };
            let places: HashSet<Block> = (0..spared(3000)).map(|_| new(pointers)).collect();
            let pages: HashSet<usize> = places.iter().map(|block| block.address() >> 12).collect();
            for block in &places {
                // SAFETY: allocated above with this Layout.
                unsafe { alloc::dealloc(block.0, pointers) };
            }
            if (0..spared(20_000)).any(|_| pages.contains(&(new(bytes).address() >> 12))) {
                return harm(format_args!("bytes come where pointers were"));
            }
            say(format_args!("{APART}"));
        });
    });
    case.own().paranoid(Needs::PARTITION, Expect::Says(APART))
}

/// H3: the kernel is told to leave the secret's page out of core dumps, and its neighbours tell which page that is.
fn core_dump() {
    Block::new(64).free();
    let text = std::fs::read_to_string("/proc/self/smaps").expect("a kernel with /proc");
    let maps = maps();
    let secret = maps.windows(3).find(|three| {
        let guard = |map: &crate::stage::Map| map.anonymous && map.protection == "---p";
        guard(&three[0]) && guard(&three[2]) && three[1].protection == "rw-p" && three[1].end - three[1].start == 4096
    });
    let start = format!("{:x}-", secret.expect("a page between guards")[1].start);
    let flags = text.lines().skip_while(|line| !line.starts_with(&start)).find(|line| line.starts_with("VmFlags:"));
    let flags = flags.expect("a kernel that tells flags");
    assert!(flags.split_whitespace().any(|flag| flag == "dd"), "the secret would be dumped: {flags}");
    say(format_args!("left out"));
}

/// H4: where the first block of a size lies, over many processes.
fn placement() -> Case {
    const TELL: &str = "CORPUS_TELL_PLACE";
    Case::new("h4_placement_over_many_processes", Needs::RANDOM_ORDER, Expect::Says("all of them apart"), || {
        let place = Block::new(64).address();
        if std::env::var_os(TELL).is_some() {
            return say(format_args!("place {place}"));
        }
        let runs = crate::stage::sized(40, 1000);
        let mut places = HashSet::new();
        let (mut segments, mut slots) = (HashSet::new(), HashSet::new());
        for _ in 0..runs {
            let program = std::env::current_exe().expect("this test is a file");
            let output = Command::new(program)
                .args([crate::stage::PLAY, "h4_placement_over_many_processes"])
                .env(TELL, "1")
                .output()
                .expect("a process");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let place =
                text.lines().find_map(|line| line.strip_prefix("place ")?.parse::<usize>().ok()).expect("a place");
            places.insert(place);
            segments.insert(place >> 25);
            slots.insert(place & 0xffff);
        }
        say(format_args!("{runs} runs: {} segments, {} places in a slice", segments.len(), slots.len()));
        assert_eq!(segments.len(), runs, "two processes of {runs} have their first block in the same 32 MiB");
        // A block that stands alone lies at one end or the other of an OS page.
        let ends = if is_guarded() { 2 } else { runs.min(64) / 8 + 1 };
        assert!(slots.len() >= ends, "only {} places in a slice", slots.len());
        say(format_args!("all of them apart"));
    })
    .own()
}
