//! The odds that pop takes a changed link for a sound one, counted over real pops.
//!
//! CI size: 200,000 pops for each kind of change. `ODDS_TRIALS=N` makes it N, and `cargo xtask odds` reads the lines printed here.

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
    /// The links of all free blocks of the page.
    links: &'a [u64],
}

/// Makes `of_a_link` changes to the link that is popped next, each followed by a pop; then the same with the next link, and after a page's
/// last with another page, whose key is another. A change may come out as the link itself: that is none, and not counted.
fn measure(name: &str, of_a_link: u64, change: impl Fn(&Try<'_>) -> u64) {
    if !MITIGATIONS.encoded_links {
        return;
    }
    let (mut done, mut passed) = (0, 0_u64);
    'pages: loop {
        let room = Room::new(48);
        for block in room.get_many(120) {
            room.give(block).expect("a live block");
        }
        let all = free_blocks(&room);
        while room.page.has_free() || room.page.refill(&room.owned) {
            let victim = room.page.block_at(room.page.hot.free.load(Relaxed));
            let sound = victim.first_word();
            // A block's own link of before is no forgery of another's: a refill may have changed it.
            let links: Vec<u64> =
                all.iter().filter(|&&block| block != victim).map(|block| block.first_word()).collect();
            for number in 0..of_a_link {
                if done == trials() {
                    break 'pages;
                }
                let changed = change(&Try { number, random: room.rng.next_u64(), sound, links: &links });
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
