//! Group A of the corpus: a block is freed twice.
//!
//! All of them rest on the same fact: what is live stands out of line, so nothing that happens to the block's bytes, its list or its
//! page between the two frees makes a free block live again.

use crate::allocator::{Collect, collect, has, step};
use crate::stage::{
    Block, Case, Cases, Company, Expect, Flag, Needs, SIZES, Who, access, fork, is_class, is_huge, on_thread, say,
    sized, together,
};
use crate::table::{is_guarded, spared, without_pool};
use core::iter::repeat_with;

const DOUBLE_FREE: &[&str] = &["double free of "];
/// The traffic is longer than the quarantine: large blocks may have been where this one was, but not from its start on, and
/// what can be said of its pointer then is what it is to the last of them.
const DOUBLE_FREE_OR_RECUT: &[&str] = &[
    "double free of ",
    "invalid free (foreign pointer) of ",
    "invalid free (interior pointer) of ",
    "invalid free (never allocated) of ",
];
/// A huge mapping that was given back to the kernel is nobody's: that it was ours once is not remembered.
const DOUBLE_FREE_OR_GONE: &[&str] = &["double free of ", "invalid free (foreign pointer) of "];

/// Whether a block of this size is the only one of its page.
fn has_its_own_page(size: usize) -> bool {
    !is_class(size)
}

pub fn cases() -> Cases {
    let mut cases = Cases::default();
    for who in Who::ALL {
        for size in SIZES {
            twice(&mut cases, size, who);
            interleaved(&mut cases, size, who);
            with_traffic_between(&mut cases, size, who);
            after_a_purge(&mut cases, size, who);
            after_a_move(&mut cases, size, who);
        }
        for size in SIZES.into_iter().filter(|&size| is_class(size)) {
            with_the_block_written_to(&mut cases, size, who);
        }
        for size in [(128 << 10) + 1, 200_000, 16 << 20, (16 << 20) + 1, 40 << 20] {
            cases.push(Case::dies(format_args!("a2_large_twice/{size}/{who}"), DOUBLE_FREE, move || {
                who.play(|| freed(size), Block::free_guilty);
            }));
        }
        for align in [64, 4096, 64 << 10, 2 << 20] {
            for size in [1, 100, 4096, 1 << 20] {
                cases.push(Case::dies(
                    format_args!("a17_aligned_twice/{align}/{size}/{who}"),
                    DOUBLE_FREE,
                    move || {
                        who.play(
                            || {
                                let block = Block::aligned(size, align);
                                block.free();
                                block
                            },
                            Block::free_guilty,
                        );
                    },
                ));
            }
        }
        for size in [16, 100, 4096] {
            many_shuffled(&mut cases, size, who);
        }
    }
    for size in SIZES {
        cases.extend(across_threads(size));
    }
    for size in [24, 1000, 20_000] {
        cases.extend(with_a_busy_owner(size));
    }
    for (size, other) in [(48, 64), (64, 48), (1024, 80), (4096, 48), (40_000, 48), (1 << 20, 48), (1 << 20, 1100)] {
        cases.extend(Who::ALL.map(|who| in_a_page_reborn(size, other, who)));
    }
    cases
}

fn freed(size: usize) -> Block {
    let block = Block::new(size);
    block.free();
    block
}

/// A freed block whose page has others.
fn freed_in_company(size: usize) -> (Block, Company) {
    let company = Company::of(size);
    (freed(size), company)
}

fn twice(cases: &mut Cases, size: usize, who: Who) {
    cases.push(Case::dies(format_args!("a1_twice/alone/{size}/{who}"), DOUBLE_FREE, move || {
        who.play(|| freed(size), Block::free_guilty);
    }));
    cases.push(Case::dies(format_args!("a1_twice/in_company/{size}/{who}"), DOUBLE_FREE, move || {
        who.play(|| freed_in_company(size), |(block, _company)| block.free_guilty());
    }));
}

fn interleaved(cases: &mut Cases, size: usize, who: Who) {
    // The second may push the first out of the quarantine, if that holds no two of them.
    let words = if is_huge(size) { DOUBLE_FREE_OR_GONE } else { DOUBLE_FREE };
    cases.push(Case::dies(format_args!("a3_interleaved/{size}/{who}"), words, move || {
        who.play(
            || {
                let (first, second) = (Block::new(size), Block::new(size));
                first.free();
                second.free();
                first
            },
            Block::free_guilty,
        );
    }));
}

/// Each block of the traffic is freed before the next: if one of them was the block itself, it is free again at the end.
fn with_traffic_between(cases: &mut Cases, size: usize, who: Who) {
    let words = if has_its_own_page(size) { DOUBLE_FREE_OR_RECUT } else { DOUBLE_FREE };
    cases.push(Case::dies(format_args!("a4_traffic_between/{size}/{who}"), words, move || {
        who.play(
            || {
                let (block, company) = freed_in_company(size);
                for _ in 0..1024 {
                    freed(size);
                }
                (block, company)
            },
            |(block, _company)| block.free_guilty(),
        );
    }));
}

fn with_the_block_written_to(cases: &mut Cases, size: usize, who: Who) {
    for (name, offset) in [("a5_written_at_0", 0), ("a6_written_at_8", 8)] {
        for (pattern, word) in [("random", 0x9c3a_51e7_0b6d_f284_u64), ("zero", 0), ("ones", u64::MAX)] {
            cases.push(
                Case::dies(format_args!("{name}/{pattern}/{size}/{who}"), DOUBLE_FREE, move || {
                    who.play(
                        || freed_in_company(size),
                        move |(block, _company)| {
                            access(block.address(), || block.write(offset, word));
                            block.free_guilty();
                        },
                    );
                })
                .guarded(Expect::FaultsOrDies(DOUBLE_FREE)),
            );
        }
    }
}

fn after_a_purge(cases: &mut Cases, size: usize, who: Who) {
    let words = if is_huge(size) { DOUBLE_FREE_OR_GONE } else { DOUBLE_FREE };
    cases.push(Case::dies(format_args!("a12_page_purged_between/{size}/{who}"), words, move || {
        who.play(
            || {
                let (block, company) = freed_in_company(size);
                company.leave();
                collect(Collect::Fully);
                block
            },
            Block::free_guilty,
        );
    }));
}

fn after_a_move(cases: &mut Cases, size: usize, who: Who) {
    cases.push(Case::dies(format_args!("a14_moved_by_realloc/{size}/{who}"), DOUBLE_FREE, move || {
        who.play(
            || {
                let block = Block::new(size);
                let moved = block.realloc(size * 3 + 16);
                assert!(!moved.is_null() && moved != block.0);
                block
            },
            Block::free_guilty,
        );
    }));
}

fn many_shuffled(cases: &mut Cases, size: usize, who: Who) {
    cases.push(Case::dies(format_args!("a18_512_shuffled/{size}/{who}"), DOUBLE_FREE, move || {
        who.play(
            || {
                let mut blocks: Vec<Block> = repeat_with(|| Block::new(size)).take(512).collect();
                fastrand::shuffle(&mut blocks);
                blocks.iter().for_each(|block| block.free());
                fastrand::shuffle(&mut blocks);
                blocks
            },
            |blocks| blocks.into_iter().for_each(Block::free_guilty),
        );
    }));
}

/// A7, A8, A9 and A11: the two frees are not both the owner's.
fn across_threads(size: usize) -> Cases {
    // The owner takes back what others have freed: a look at the mailbox in its next slow path, or here at once.
    let collect = || collect(Collect::Gently);
    Cases::from([
        Case::dies(format_args!("a7_local_then_remote/{size}"), DOUBLE_FREE, move || {
            Who::Other.play(|| freed_in_company(size), |(block, _company)| block.free_guilty());
        }),
        Case::dies(format_args!("a7_remote_then_local/{size}"), DOUBLE_FREE, move || {
            on_thread(|| {
                let (block, _company) = (Block::new(size), Company::of(size));
                on_thread(|| block.free());
                block.free_guilty();
            });
        }),
        Case::dies(format_args!("a7_remote_then_local_after_collect/{size}"), DOUBLE_FREE, move || {
            on_thread(|| {
                let (block, _company) = (Block::new(size), Company::of(size));
                on_thread(|| block.free());
                collect();
                block.free_guilty();
            });
        }),
        Case::dies(format_args!("a8_remote_twice/one_thread/{size}"), DOUBLE_FREE, move || {
            on_thread(|| {
                let (block, _company) = (Block::new(size), Company::of(size));
                on_thread(|| {
                    block.free();
                    block.free_guilty();
                });
            });
        }),
        Case::dies(format_args!("a8_remote_twice/two_threads/{size}"), DOUBLE_FREE, move || {
            on_thread(|| {
                let (block, _company) = (Block::new(size), Company::of(size));
                on_thread(|| block.free());
                on_thread(|| block.free_guilty());
            });
        }),
        Case::dies(format_args!("a9_remote_collect_remote/{size}"), DOUBLE_FREE, move || {
            on_thread(|| {
                let (block, _company) = (Block::new(size), Company::of(size));
                on_thread(|| block.free());
                collect();
                on_thread(|| block.free_guilty());
            });
        }),
        Case::dies(format_args!("a11_owner_ended/alone/{size}"), DOUBLE_FREE, move || {
            let block = on_thread(|| Block::new(size));
            on_thread(|| {
                block.free();
                block.free_guilty();
            });
        }),
        Case::dies(format_args!("a11_owner_ended/in_company/{size}"), DOUBLE_FREE, move || {
            let (block, _company) = on_thread(|| (Block::new(size), Company::of(size)));
            on_thread(|| block.free());
            on_thread(|| block.free_guilty());
        }),
        Case::dies(format_args!("a11_owner_ended/adopted_between/{size}"), DOUBLE_FREE, move || {
            let (block, _company) = on_thread(|| (Block::new(size), Company::of(size)));
            on_thread(|| {
                // This thread has a heap, so that it keeps the page that it frees into.
                Block::new(80 << 10).free();
                block.free();
                on_thread(|| block.free_guilty());
            });
        }),
        Case::dies(format_args!("a11_owner_ended_after_a_remote_free/{size}"), DOUBLE_FREE, move || {
            let (block, _company) = on_thread(|| {
                let (block, company) = (Block::new(size), Company::of(size));
                on_thread(|| block.free());
                (block, company)
            });
            on_thread(|| block.free_guilty());
        }),
    ])
}

/// A7 with the owner at work between the two frees: with other classes, or until the block is its own again.
fn with_a_busy_owner(size: usize) -> Cases {
    Cases::from([
        Case::dies(format_args!("a7_owner_busy/{size}"), DOUBLE_FREE, move || {
            on_thread(|| {
                let (block, _company) = freed_in_company(size);
                for round in 0..spared(20_000) {
                    freed(size * 2 + 32 + round % 1000);
                }
                on_thread(|| block.free_guilty());
            });
        }),
        // The stale free cannot be told from the new owner's: the new owner's own free is the second one then, and dies. Where
        // a page is never handed out in full (`a15`), it is the stale one that dies as a rule.
        Case::dies(format_args!("a7_popped_again/{size}"), DOUBLE_FREE, move || {
            on_thread(|| {
                let (block, _company) = freed_in_company(size);
                let came_back = (0..if is_guarded() { 200 } else { 1_000_000 }).any(|_| {
                    if Block::new(size) == block {
                        return true;
                    }
                    // A block leaves a quarantine when another comes.
                    let passing = Block::new(size);
                    if passing != block {
                        passing.free();
                    }
                    passing == block
                });
                // What stood alone waits in its pool, and the next free is one too many.
                assert_ne!(came_back, is_guarded(), "whether the block is handed out again");
                if came_back {
                    on_thread(|| block.free());
                }
                block.free_guilty();
            });
        }),
    ])
}

/// A13: where the block was, there are blocks of another class. It is chosen so that none of them starts where it did.
fn in_a_page_reborn(size: usize, other: usize, who: Who) -> Case {
    const STALE: &[&str] =
        &["invalid free (interior pointer) of ", "invalid free (never allocated) of ", "double free of "];
    Case::dies(format_args!("a13_page_reborn/{size}/{other}/{who}"), STALE, move || {
        // The same classes in every build.
        let trailer = if has("canaries") { 8 } else { 0 };
        let (size, other) = (size - trailer, other - trailer);
        who.play(
            || {
                let blocks: Vec<Block> = repeat_with(|| Block::new(size)).take(64).collect();
                blocks.iter().for_each(|block| block.free());
                collect(Collect::Fully);
                let slice = |block: &Block| block.address() >> 16;
                let step = step(other);
                loop {
                    let new = Block::new(other);
                    let stale =
                        |block: &&Block| slice(block) == slice(&new) && block.address() % step != new.address() % step;
                    if let Some(block) = blocks.iter().find(stale) {
                        return *block;
                    }
                }
            },
            Block::free_guilty,
        );
    })
    .arranged(without_pool)
}

/// A10: two threads race to free one block, in a child of its own for each round. CI size 60 rounds of each, full 2,500: with both
/// pairs of racers and two sizes 10,000 in all.
pub fn races() -> Cases {
    let mut cases = Cases::default();
    for size in [64, 1 << 20] {
        for (name, owner_races) in [("owner_and_other", true), ("two_others", false)] {
            let play = move || {
                for _ in 0..sized(60, 2500) {
                    race(size, owner_races);
                }
            };
            cases.push(Case::survives(format_args!("a10_race/{name}/{size}"), play).needing(Needs::FREE_CHECKS).own());
        }
    }
    cases
}

fn race(size: usize, owner_races: bool) {
    let end = fork(|| {
        on_thread(|| {
            let (block, _company) = (Block::new(size), Company::of(size));
            let (one, other) = (Flag::new(), Flag::new());
            let run = |mine: &Flag, yours: &Flag| {
                mine.raise();
                while !yours.is_raised() {
                    core::hint::spin_loop();
                }
                block.free();
            };
            together(
                || if owner_races { run(&one, &other) } else { on_thread(|| run(&one, &other)) },
                || run(&other, &one),
            );
            // Both frees have returned: the report is due at the next look at the page, before anything is handed out.
            collect(Collect::Gently);
            eprintln!("NOT CAUGHT");
        });
        0
    });
    assert_eq!(end.signal, libc::SIGABRT, "{end:?}");
    // Of a block that stood alone there is more to tell.
    let mut lines = end.stderr.lines().filter(|line| !line.starts_with("ravelin| "));
    let (first, more) = (lines.next().unwrap_or_default(), lines.next());
    assert!(first.starts_with("ravelin: double free") && more.is_none(), "{end:?}");
}

/// A15: the stale free of a block that was handed out again cannot be told from its owner's. What is promised is how seldom the victim
/// gets the block that was just freed.
pub fn odds() -> Cases {
    let mut cases = Cases::default();
    for size in [16, 64, 1000, 4096, 40_000, 1 << 20] {
        let rounds = if is_class(size) { 20_000 } else { 1_000 };
        let play = move || {
            on_thread(|| {
                let _company = Company::of(size);
                let mut same = 0_u32;
                for _ in 0..spared(rounds) {
                    let block = freed(size);
                    let victim = Block::new(size);
                    same += u32::from(victim == block);
                    victim.free();
                }
                say(format_args!("same block {same} times of {rounds}"));
                let odds = f64::from(same) / spared(rounds) as f64;
                let most = 1.0 / 64.0;
                assert!(odds <= most, "the block just freed comes back with probability {odds}, size {size}");
            });
        };
        cases.push(
            Case::survives(format_args!("a15_the_block_just_freed_seldom_comes_back/{size}"), play)
                .needing(Needs::RANDOM_ORDER)
                .own(),
        );
    }
    for size in [16, 64, 1000, 4096, 1 << 20] {
        cases.push(Case::dies(
            format_args!("a15_stale_free_of_a_block_not_handed_out/{size}"),
            DOUBLE_FREE,
            move || {
                on_thread(|| {
                    let _company = Company::of(size);
                    let mut block = freed(size);
                    while Block::new(size) == block {
                        block = freed(size);
                    }
                    block.free_guilty();
                });
            },
        ));
    }
    cases
}
