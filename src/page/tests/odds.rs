//! The odds that pop takes a changed link for a sound one, and that a forged canary passes: counted over real pops and checks.
//!
//! CI size: 200,000 tries for each kind of change. `ODDS_TRIALS=N` makes it N, and `cargo xtask odds` reads the lines printed here.

use super::super::Origin;
use super::*;
use crate::mitigations::MITIGATIONS;

fn trials() -> u64 {
    std::env::var("ODDS_TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(200_000)
}

/// What an attacker has at hand.
struct Try<'a> {
    /// Counts the changes of this one link.
    number: u64,
    random: u64,
    sound: u64,
    /// The links of the other free blocks of the page.
    links: &'a [u64],
    /// The links that the page's blocks had in an earlier life of the page, its own first.
    earlier: &'a [u64],
}

/// Makes `of_a_link` changes to the link that is popped next, each followed by a pop; then the same with the next link, and after a page's
/// last with another page, whose key is another. A change may come out as the link itself: that is none, and not counted.
fn measure(name: &str, of_a_link: u64, change: impl Fn(&Try<'_>) -> u64) {
    if !MITIGATIONS.encoded_links {
        return;
    }
    let (mut done, mut passed) = (0, 0_u64);
    'pages: loop {
        let mut room = Room::new(48);
        let mut earlier = links_after_use(&room);
        room.bear_again(Contents::Unknown);
        links_after_use(&room);
        let all = free_blocks(&room);
        while room.page.has_free() || room.page.refill(&room.owned) {
            let victim = room.page.block_at(room.page.hot.free.load(Relaxed));
            let sound = victim.first_word();
            // A block's own link of before is no forgery of another's: a refill may have changed it.
            let links: Vec<u64> =
                all.iter().filter(|&&block| block != victim).map(|block| block.first_word()).collect();
            earlier.swap(0, room.page.number_of(victim) as usize - 1);
            for number in 0..of_a_link {
                if done == trials() {
                    break 'pages;
                }
                let changed =
                    change(&Try { number, random: room.rng.next_u64(), sound, links: &links, earlier: &earlier });
                if changed == sound {
                    continue;
                }
                done += 1;
                victim.set_first_word(changed);
                if room.page.pop(&room.owned) != Err(Refused::Corrupt(victim.address())) {
                    // The list leads elsewhere now: on with another page.
                    passed += 1;
                    continue 'pages;
                }
            }
            victim.set_first_word(sound);
            room.page.pop(&room.owned).expect("a sound link");
        }
    }
    std::println!("odds: {name}: {passed} of {done}");
    assert_eq!(passed, 0, "{name}: {passed} of {done} went unnoticed");
}

/// Hands blocks out and takes them back: the links of all of them, by number.
fn links_after_use(room: &Room) -> Vec<u64> {
    for block in room.get_many(120) {
        room.give(block).expect("a live block");
    }
    free_blocks(room).iter().map(|block| block.first_word()).collect()
}

/// Every block of a page of which none is live.
fn free_blocks(room: &Room) -> Vec<Block> {
    (1..=room.page.capacity()).map(|number| room.page.nth(number)).collect()
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn links_with_one_bit_changed() {
    measure("link, every single bit", 64, |at| at.sound ^ 1 << at.number);
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn links_with_one_byte_changed() {
    measure("link, every value of every byte", 8 * 256, |at| at.sound ^ (at.number % 256) << (at.number / 256 * 8));
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn links_with_two_bytes_changed() {
    // So that a short run sees all places, the place changes fastest.
    measure("link, every value of every two bytes", 7 << 16, |at| at.sound ^ (at.number / 7) << (at.number % 7 * 8));
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn links_with_all_bytes_changed() {
    measure("link, eight random bytes", 1 << 16, |at| at.random);
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn links_of_other_blocks() {
    measure("link of another free block of the page", 1 << 10, |at| at.links[at.random as usize % at.links.len()]);
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn links_of_other_blocks_xored() {
    // Of two links under one key the difference is known: the key drops out.
    let word = |at: &Try<'_>, shift: u32| at.links[(at.random >> shift) as usize % at.links.len()];
    measure("link, changed by the difference of two others", 1 << 10, |at| at.sound ^ word(at, 0) ^ word(at, 32));
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn links_of_an_earlier_life_of_the_page() {
    // The first try of each link is its own, which the swap has put first.
    measure("link of an earlier life of the page", 1 << 10, |at| {
        at.earlier[if at.number == 0 { 0 } else { at.random as usize % at.earlier.len() }]
    });
}

/// The one link that an attacker can put back without a key: one that the very block has had in this life of the page. It is sound, so its block is
/// handed out, which is free; what it leads to then is another free block, or the end of the list, or is found out. Never a live block.
#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn links_of_the_block_s_own_past() {
    if !MITIGATIONS.encoded_links {
        return;
    }
    let room = Room::new(48);
    let mut past: Vec<Option<u64>> = std::vec![None; 1 + SLICE / 48];
    let mut live: Vec<Block> = room.get_many(200);
    let mut is_live: Vec<bool> = std::vec![false; past.len()];
    let number = |block: Block| room.page.number_of(block) as usize;
    live.iter().for_each(|&block| is_live[number(block)] = true);
    let (mut done, mut found, mut owned_twice) = (0, 0_u64, 0_u64);
    while done < trials() {
        // A program at its work: about half of the blocks are live.
        let free_one = live.len() > 150 || (live.len() > 50 && room.rng.below(2) == 0);
        if free_one || !(room.page.has_free() || room.page.refill(&room.owned)) {
            let block = live.swap_remove(room.rng.below(live.len() as u32) as usize);
            is_live[number(block)] = false;
            room.give(block).expect("a live block");
            continue;
        }
        let head = room.page.block_at(room.page.hot.free.load(Relaxed));
        let sound = head.first_word();
        if let Some(old) = past[number(head)].filter(|&old| old != sound) {
            done += 1;
            head.set_first_word(old);
            let led = room.page.pop(&room.owned).map(|_| room.page.block_at(room.page.hot.free.load(Relaxed)));
            let next = led.expect("a sound link");
            let (of_next, is_last) = (next.first_word(), room.page.hot.free.load(Relaxed) == 0);
            owned_twice += match room.page.pop(&room.owned) {
                Ok(block) => {
                    let twice = is_live[number(block)] || block == head;
                    undo(&room, block, of_next);
                    u64::from(twice)
                }
                Err(_) => {
                    found += u64::from(!is_last);
                    0
                }
            };
            undo(&room, head, sound);
        }
        past[number(head)] = Some(sound);
        let block = room.page.pop(&room.owned).expect("a sound list");
        is_live[number(block)] = true;
        live.push(block);
    }
    std::println!("odds: link of the block's own past, and a live block is handed out: {owned_twice} of {done}");
    std::println!("odds: link of the block's own past, found when the next block is popped: {found} of {done}");
    assert_eq!(owned_twice, 0);
}

/// As if the block, the head of the free list, had not been popped: for the next try.
fn undo(room: &Room, block: Block, link: u64) {
    let spot = room.page.spot(Granule::of(block.address()));
    spot.state.store(spot.state.load(Relaxed) & !spot.mask(), Relaxed);
    block.set_first_word(link);
    room.page.hot.free.store(room.page.name(room.page.number_of(block)), Relaxed);
    room.page.hot.used.store(room.page.used() - 1, Relaxed);
}

/// What an attacker of canaries has at hand.
struct Guess<'a> {
    number: u64,
    random: u64,
    sound: u64,
    /// The canaries of other blocks of the page, for requests of the same size.
    others: &'a [u64],
    /// The canaries that this very block had when other sizes were requested.
    sizes: &'a [u64],
}

/// As [`measure`], for the canary behind 40 bytes in a block of 48.
fn measure_canary(name: &str, of_a_block: u64, change: impl Fn(&Guess<'_>) -> u64) {
    const SIZE: usize = 48;
    const REQUESTED: usize = 40;
    if !MITIGATIONS.canaries {
        return;
    }
    let (mut done, mut passed) = (0, 0_u64);
    // SAFETY: a word that ends with the block.
    let place = |block: Block| unsafe { block.start().add(REQUESTED) }.cast::<u64>();
    // SAFETY: within a block that is the test's.
    let read = |block: Block| unsafe { place(block).read() };
    'pages: loop {
        let room = Room::new(SIZE);
        let plant = |block: Block, requested: usize| {
            room.page.plant(room.tables, block, SIZE, requested, Origin::MALLOC);
            // SAFETY: as above. A trailer begins where the request ends.
            unsafe { block.start().add(requested).cast::<u64>().read_unaligned() }
        };
        let blocks = room.get_many(64);
        for &victim in &blocks {
            let others: Vec<u64> =
                blocks.iter().filter(|&&other| other != victim).map(|&other| plant(other, REQUESTED)).collect();
            let sizes: Vec<u64> = (1..REQUESTED).map(|requested| plant(victim, requested)).collect();
            plant(victim, REQUESTED);
            let sound = read(victim);
            for number in 0..of_a_block {
                if done == trials() {
                    break 'pages;
                }
                let random = room.rng.next_u64();
                let changed = change(&Guess { number, random, sound, others: &others, sizes: &sizes });
                if changed == sound {
                    continue;
                }
                done += 1;
                // SAFETY: within a block that is the test's.
                unsafe { place(victim).write(changed) };
                let address = victim.address();
                passed += u64::from(room.page.is_whole(room.tables, address, Origin::MALLOC, None));
            }
        }
    }
    std::println!("odds: {name}: {passed} of {done}");
    assert_eq!(passed, 0, "{name}: {passed} of {done} went unnoticed");
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn canaries_with_one_or_two_bytes_changed() {
    measure_canary("canary, every value of every two bytes", 7 << 16, |at| {
        at.sound ^ (at.number / 7) << (at.number % 7 * 8)
    });
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn canaries_guessed() {
    // The zero is known.
    measure_canary("canary, seven random bytes behind the zero", 1 << 16, |at| at.random << 8);
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn canaries_of_other_blocks() {
    measure_canary("canary of another block of the page", 1 << 10, |at| {
        at.others[at.random as usize % at.others.len()]
    });
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn canaries_of_other_sizes() {
    measure_canary("canary of the block for another size", 1 << 10, |at| at.sizes[at.random as usize % at.sizes.len()]);
}

#[test]
#[cfg_attr(miri, ignore = "many trials")]
fn canaries_of_other_blocks_xored() {
    let word = |at: &Guess<'_>, shift: u32| at.others[(at.random >> shift) as usize % at.others.len()];
    measure_canary("canary, changed by the difference of two others", 1 << 10, |at| {
        at.sound ^ word(at, 0) ^ word(at, 32)
    });
}
