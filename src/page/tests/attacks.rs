//! Who writes into freed memory, even if he knows the key, gains free blocks of the page and no live one.

use super::super::link::encode;
use super::*;
use crate::mitigations::MITIGATIONS;
use crate::sync::CHECKER;
use proptest::prelude::*;

/// The block that malloc pops next.
fn head(room: &Room) -> Block {
    room.page.block_at(room.page.hot.free.load(Relaxed))
}

/// Writes a link that decodes, as only who has read the key can.
fn forge(room: &Room, block: Block, next: u32) {
    block.set_first_word(encode(room.page.hot.key.load(Relaxed), room.page.number_of(block), next));
}

#[test]
fn a_forged_link_that_names_no_block_of_the_page_is_refused() {
    if !MITIGATIONS.encoded_links {
        return;
    }
    let room = Room::new(48);
    room.get().expect("room");
    let capacity = room.page.capacity();
    for next in [capacity + 1, capacity * 2, 1 << 15, (1 << 16) - 1, 1 << 16, u32::MAX - capacity, u32::MAX] {
        let victim = head(&room);
        let link = victim.first_word();
        forge(&room, victim, next);
        assert_eq!(room.page.pop(&room.owned).err(), Some(Refused::Corrupt(victim.address())), "to {next}");
        assert_eq!(room.page.count(&room.owned), Err(PageFault::Link(victim.address())));
        victim.set_first_word(link);
    }
    room.holds(1, 0);
}

#[test]
fn a_forged_link_to_a_live_block_never_yields_it() {
    if !MITIGATIONS.encoded_links {
        return;
    }
    let room = Room::new(48);
    let live = room.get().expect("room");
    live.set_first_word(42);
    // The head's own link passes every check of the link, for it is well made. So the head is popped: it is free.
    let victim = head(&room);
    forge(&room, victim, room.page.number_of(live));
    assert_eq!(room.page.pop(&room.owned).map(Block::address), Ok(victim.address()));
    // But what it led to is live.
    assert_eq!(room.page.pop(&room.owned).err(), Some(Refused::Corrupt(live.address())));
    assert_eq!(live.first_word(), 42, "not even touched");
}

#[test]
fn a_forged_circle_ends() {
    if !MITIGATIONS.encoded_links {
        return;
    }
    let room = Room::new(48);
    room.get().expect("room");
    let victim = head(&room);
    forge(&room, victim, room.page.number_of(victim));
    assert!(matches!(room.page.count(&room.owned), Err(PageFault::Endless(_))));
    // This walk ends as well, whatever it says.
    room.page.was_handed_out(room.page.face.start().addr());
    assert!(room.page.pop(&room.owned).is_ok());
    assert!(matches!(room.page.pop(&room.owned), Err(Refused::Corrupt(_))));
}

#[test]
fn the_state_bits_say_what_is_live_and_the_lists_must_agree() {
    if !MITIGATIONS.free_checks {
        return;
    }
    let room = Room::new(48);
    let blocks = room.get_many(3);
    room.page.hot.used.store(2, Relaxed);
    assert_eq!(room.page.count(&room.owned), Err(PageFault::Count));
    room.page.hot.used.store(3, Relaxed);
    let victim = head(&room);
    let spot = room.page.spot(Granule::of(victim.address()));
    spot.state.store(spot.state.load(Relaxed) | spot.mask(), Relaxed);
    assert_eq!(room.page.count(&room.owned), Err(PageFault::LiveOnList(victim.address())));
    assert_eq!(room.page.pop(&room.owned).err(), Some(Refused::Corrupt(victim.address())));
    spot.state.store(spot.state.load(Relaxed) & !spot.mask(), Relaxed);
    room.holds(blocks.len(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..crate::testing::proptest_config() })]

    /// Writes of every kind into free blocks, by one who knows the key.
    #[test]
    #[cfg_attr(miri, ignore = "many cases")]
    fn whatever_is_written_into_free_blocks_no_live_block_is_handed_out(
        writes in proptest::collection::vec((0_usize..256, any::<u64>(), 0_u32..200, any::<bool>()), 1..40),
        gets in 1_usize..200,
    ) {
        if !MITIGATIONS.encoded_links {
            return Ok(());
        }
        let room = Room::new(48);
        let mut blocks = room.get_many(170);
        for block in blocks.drain(..80) {
            room.give(block).expect("a live block");
        }
        let mut live: BTreeSet<usize> = blocks.iter().map(|block| block.address()).collect();
        let start = room.page.face.start().addr();
        for (index, random, next, knows) in writes {
            let index = index % room.page.capacity() as usize;
            let block = room.page.nth(index as u32 + 1);
            if live.contains(&(start + index * 48)) {
                continue;
            }
            if knows { forge(&room, block, next) } else { block.set_first_word(random) }
        }
        for _ in 0..gets {
            if !(room.page.has_free() || room.page.refill(&room.owned) || room.page.extend(&room.owned, &room.rng) == Ok(true))
            {
                break;
            }
            // Where a write is noticed the process stops; here the attacker gets another try.
            let Ok(block) = room.page.pop(&room.owned) else { break };
            prop_assert!(live.insert(block.address()), "{:#x} has two owners", block.address());
        }
    }
}

/// Another life of the page, all of whose blocks are made, and about a third of them free: the live ones and the free ones.
fn deal(room: &mut Room) -> [BTreeSet<usize>; 2] {
    room.bear_again(Contents::Unknown);
    // Those of the last life are forgotten.
    room.page.bits().state.iter().for_each(|word| word.store(0, Relaxed));
    let (free, live): (Vec<Block>, Vec<Block>) = room.get_all().into_iter().partition(|_| room.rng.below(3) == 0);
    free.iter().for_each(|&block| assert!(room.give(block).is_ok()));
    [live, free].map(|blocks| blocks.into_iter().map(Block::address).collect())
}

/// Allocates until the page refuses, and checks each block that comes.
fn take_all(room: &Room, live: &BTreeSet<usize>, mut free: BTreeSet<usize>) {
    loop {
        match room.page.pop(&room.owned) {
            Ok(block) => assert!(free.remove(&block.address()), "not a free block of the page, or twice"),
            Err(Refused::Empty) if room.page.refill(&room.owned) => {}
            Err(_) => break,
        }
    }
    let is_live = |address: &usize| room.page.spot(Granule::of(*address)).is_live();
    assert!(live.iter().all(is_live), "a live block is none any more");
}

#[test]
fn a_forger_who_has_the_key_gets_only_free_blocks_of_the_page() {
    if !MITIGATIONS.free_checks {
        return;
    }
    let mut room = Room::new(1000);
    // All blocks of the page, twice as many beyond, and what else a link can hold.
    let inside = 0..3 * (SLICE / 1024) as u32;
    let all = inside.chain((1 << 16) - 100..(1 << 16) + 100).chain(u32::MAX - 100..=u32::MAX);
    for next in all.step_by(if CHECKER { 40 } else { 1 }) {
        let [live, free] = deal(&mut room);
        if !room.page.has_free() && !room.page.refill(&room.owned) {
            continue;
        }
        forge(&room, head(&room), next);
        if next != 0 && next <= room.page.capacity() {
            // The block there may be his own: then it holds a link as well.
            forge(&room, room.page.block_at(next), 0);
        }
        take_all(&room, &live, free);
    }
}

#[test]
fn links_forged_in_every_block_lose_no_more_than_free_blocks() {
    if !MITIGATIONS.free_checks {
        return;
    }
    let mut room = Room::new(1000);
    for _ in 0..if CHECKER { 4 } else { 2000 } {
        let [live, free] = deal(&mut room);
        let all = room.page.capacity();
        for number in 1..=all {
            forge(&room, room.page.block_at(number), room.rng.below(all) + 1);
        }
        // A walk ends, whatever circles the links now run in.
        let _ = room.page.count(&room.owned);
        take_all(&room, &live, free);
    }
}
