//! What malloc and free do to a page, each small enough for Miri.

use super::*;
use crate::mitigations::MITIGATIONS;
use crate::sync::CHECKER;

/// Small sizes and large ones, powers of two and others.
const SIZES: &[usize] = if CHECKER { &[48, 20_480] } else { &[16, 48, 64, 320, 1024, 5120, 20_480, 131_072] };

#[test]
fn every_block_is_handed_out_once_within_the_page_and_on_its_boundary() {
    for &size in SIZES {
        let room = Room::new(size);
        let blocks = if CHECKER { room.get_many(6) } else { room.get_all() };
        let start = room.page.face.start().addr();
        let distinct: BTreeSet<usize> = blocks.iter().map(|block| block.address()).collect();
        assert_eq!(distinct.len(), blocks.len());
        for address in distinct {
            let offset = address - start;
            assert!(offset.is_multiple_of(size) && offset + size <= room.class.page_slices() * SLICE);
        }
        room.holds(blocks.len(), 0);
        if !CHECKER {
            assert_eq!(blocks.len(), (room.class.page_slices() * SLICE - super::super::end_guard()) / size);
            assert!(room.get().is_none(), "a full page has nothing to give");
        }
    }
}

#[test]
fn the_invariant_holds_after_every_pop_push_refill_and_extension() {
    let mut random = fastrand::Rng::with_seed(5);
    for &size in SIZES {
        let room = Room::new(size);
        let mut live = Vec::new();
        for _ in 0..if CHECKER { 15 } else { 2000 } {
            match random.u32(0..5) {
                // More is got than given, so that the page fills up.
                0..3 => live.extend(room.get()),
                _ if !live.is_empty() => {
                    let block: Block = live.swap_remove(random.usize(0..live.len()));
                    room.give(block).expect("a live block");
                }
                _ => {}
            }
            room.holds(live.len(), 0);
        }
    }
}

#[test]
fn a_block_popped_begins_with_a_zero_word_whatever_it_held() {
    let room = Room::new(64);
    let block = room.get().expect("room");
    block.set_first_word(u64::MAX);
    room.give(block).expect("a live block");
    for block in room.get_many(if CHECKER { 70 } else { 900 }) {
        assert_eq!(block.first_word(), 0);
    }
}

#[test]
fn only_blocks_just_made_in_memory_that_was_zero_are_said_to_be_zero() {
    let mut room = Room::new(1024);
    let first = room.get().expect("room");
    assert!(room.page.gives_zeroed());
    // SAFETY: a block of this size, ours.
    unsafe { first.start().as_ptr().write_bytes(0xff, 1024) };
    // A block that has been used comes back only when the list of the new ones is empty; from then on nothing is promised.
    room.give(first).expect("a live block");
    let mut blocks = Vec::new();
    while let Some(block) = room.get() {
        // SAFETY: as above.
        let bytes = unsafe { core::slice::from_raw_parts(block.start().as_ptr(), 1024) };
        assert!(!room.page.gives_zeroed() || bytes.iter().all(|&byte| byte == 0));
        blocks.push(block);
        if CHECKER && blocks.len() == 8 {
            break;
        }
    }
    for block in blocks {
        room.give(block).expect("a live block");
    }
    room.bear_again(Contents::Unknown);
    room.get().expect("room");
    assert_eq!(room.page.gives_zeroed(), MITIGATIONS.zero_on_free);
}

#[test]
fn a_block_is_wiped_when_it_is_freed_and_found_wiped_when_it_is_handed_out() {
    if !MITIGATIONS.zero_on_free {
        return;
    }
    for size in [16, 48, 256, 320, 1024] {
        let mut room = Room::new(size);
        for contents in [Contents::Zero, Contents::Unknown] {
            let mut blocks = Vec::new();
            for _ in 0..40 {
                let Some(block) = room.get() else { break };
                // SAFETY: a block of this size, ours.
                let bytes = unsafe { core::slice::from_raw_parts_mut(block.start().as_ptr(), size) };
                assert!(bytes.iter().all(|&byte| byte == 0), "{size}");
                bytes.fill(0xff);
                blocks.push(block);
            }
            for block in blocks {
                room.give(block).expect("a live block");
                // SAFETY: as above; it is free, but nobody else uses the page.
                let bytes = unsafe { core::slice::from_raw_parts(block.start().as_ptr(), size) };
                assert!(bytes[8..].iter().all(|&byte| byte == 0), "{size}");
            }
            room.bear_again(contents);
        }
    }
}

#[test]
fn a_write_to_any_byte_of_a_freed_block_is_found() {
    if !MITIGATIONS.zero_on_free {
        return;
    }
    for size in [16, 80, 320] {
        let room = Room::new(size);
        room.get().expect("room");
        let head = room.page.block_at(room.page.hot.free.load(Relaxed));
        for at in 8..size {
            let byte = head.start().as_ptr().wrapping_add(at);
            // SAFETY: a byte of a free block of a page that only this test uses.
            unsafe { byte.write(1) };
            assert_eq!(room.page.pop(&room.owned), Err(Refused::Written(head.address())), "{at} of {size}");
            assert_eq!(room.page.count(&room.owned).err(), Some(PageFault::Written(head.address())));
            assert_eq!(room.page.first_unwiped(head.address()), at);
            // SAFETY: as above.
            unsafe { byte.write(0) };
        }
        assert_eq!(room.get(), Some(head));
        // As a block that waits in the quarantine, or as another thread has left it: it has no link.
        for at in if MITIGATIONS.encoded_links { 0..size } else { 8..size } {
            let byte = head.start().as_ptr().wrapping_add(at);
            // SAFETY: a byte of a block of a page that only this test uses.
            unsafe { byte.write(1) };
            assert_eq!(room.page.first_unwiped(head.address()), at);
            // SAFETY: as above.
            unsafe { byte.write(0) };
        }
    }
}

#[test]
fn blocks_are_made_a_few_at_a_time() {
    let room = Room::new(64);
    assert_eq!(room.page.capacity(), 0);
    room.get().expect("room");
    assert_eq!(room.page.capacity(), 4096 / 64);
    let room = Room::new(20_480);
    room.get().expect("room");
    assert_eq!(room.page.capacity(), if MITIGATIONS.random_order { 4 } else { 1 });
}

#[test]
fn blocks_come_in_an_order_that_is_drawn() {
    let room = Room::new(64);
    let addresses: Vec<usize> = room.get_many(64).iter().map(|block| block.address()).collect();
    let in_order = addresses.windows(2).all(|pair| pair[0] < pair[1]);
    assert_eq!(in_order, !MITIGATIONS.random_order, "1 in 64! is not expected");
}

#[test]
fn a_freed_block_waits_until_the_others_are_used() {
    let room = Room::new(64);
    let block = room.get().expect("room");
    room.give(block).expect("a live block");
    let rest = room.get_many(63);
    assert!(rest.iter().all(|other| other.address() != block.address()));
    assert_eq!(room.get().map(|again| again.address()), Some(block.address()));
}

#[test]
fn every_life_of_a_page_has_its_own_key() {
    if !MITIGATIONS.encoded_links {
        return;
    }
    let mut room = Room::new(64);
    let mut keys = BTreeSet::new();
    for _ in 0..if CHECKER { 4 } else { 64 } {
        assert!(keys.insert(room.page.hot.key.load(Relaxed)), "two lives share a key");
        room.page.extend(&room.owned, &room.rng).expect("nothing was written");
        let link = room.page.block_at(room.page.hot.free.load(Relaxed)).first_word();
        room.bear_again(Contents::Unknown);
        // A link of one life is worthless in the next.
        room.page.extend(&room.owned, &room.rng).expect("nothing was written");
        let head = room.page.block_at(room.page.hot.free.load(Relaxed));
        head.set_first_word(link);
        assert_eq!(room.page.pop(&room.owned).err(), Some(Refused::Corrupt(head.address())));
        room.bear_again(Contents::Unknown);
    }
}

#[test]
fn what_another_thread_has_freed_counts_as_used_until_it_is_collected() {
    for &size in SIZES {
        let room = Room::new(size);
        let mut blocks = room.get_many(6);
        let rest = blocks.split_off(3);
        for block in blocks {
            assert_eq!(room.post(block), Ok(Posted::Delivered));
        }
        room.holds(3, 3);
        assert_eq!(room.collect(), Ok(3));
        room.holds(3, 0);
        assert_eq!(room.collect(), Ok(0));
        for block in rest {
            room.give(block).expect("a live block");
        }
        room.holds(0, 0);
    }
}

#[test]
fn a_remote_free_marks_the_page_and_tells_its_owner_once() {
    let room = Room::new(48);
    let blocks = room.get_many(3);
    // SAFETY: a mailbox of the test's own.
    let mailbox = unsafe { &*room.me };
    assert!(!mailbox.has_mail());
    room.post(blocks[0]).expect("a live block");
    let line = room.page.line();
    assert_ne!(line.pending.load(Relaxed) & line.mark, 0);
    assert_eq!(mailbox.take(), 1 << 7, "the flag of segment 7");
    room.post(blocks[1]).expect("a live block");
    assert!(!mailbox.has_mail(), "the summary says it already");
}

#[test]
fn freeing_a_block_twice_changes_nothing_whoever_does_it() {
    if !MITIGATIONS.free_checks {
        return;
    }
    let room = Room::new(48);
    let [mine, theirs, kept] = room.get_many(3).try_into().expect("three");
    room.give(mine).expect("a live block");
    assert!(room.give(mine).is_err());
    room.post(theirs).expect("a live block");
    assert!(room.post(theirs).is_err());
    assert!(room.give(theirs).is_err(), "the owner sees that another thread has freed it");
    room.holds(1, 1);
    assert_eq!(room.collect(), Ok(1));
    assert!(room.give(theirs).is_err());
    room.give(kept).expect("a live block");
    room.holds(0, 0);
}

#[test]
fn a_remote_bit_over_a_block_that_is_free_is_found_by_collect() {
    if !MITIGATIONS.free_checks {
        return;
    }
    let room = Room::new(48);
    let [block, _kept] = room.get_many(2).try_into().expect("two");
    room.give(block).expect("a live block");
    room.post(block).expect("nobody asks the state bit there");
    let granule = (block.address() - room.page.face.start().addr()) / GRANULE;
    assert_eq!(room.page.count(&room.owned), Err(PageFault::FreedTwice(block.address())));
    assert_eq!(room.collect(), Err(granule));
}

#[test]
fn a_page_is_not_born_over_a_block_that_was_freed_late() {
    if !MITIGATIONS.free_checks {
        return;
    }
    for named_by_summary in [true, false] {
        let room = Room::new(48);
        let block = room.get().expect("room");
        room.give(block).expect("a live block");
        room.post(block).expect("nobody asks the state bit there");
        if !named_by_summary {
            // The slices were cut anew: the marks stand with a page that is not there any more.
            room.page.summary().store(0, Relaxed);
        }
        let granule = (block.address() - room.page.face.start().addr()) / GRANULE;
        let born = room.page.bear(room.tables, room.class, &room.extent, Contents::Unknown, room.me, &room.rng);
        assert_eq!(born.err(), Some(granule));
    }
}

#[test]
fn free_calls_on_the_slow_path_when_the_page_is_empty_roomy_or_never() {
    let room = Room::new(1024);
    let mut blocks = room.get_many(16);
    let mut give = |count: usize| -> Vec<bool> {
        blocks.drain(..count).map(|block| room.give(block).expect("a live block")).collect()
    };
    // An eighth of sixteen.
    room.page.attend(Attention::WhenRoomy);
    assert_eq!(give(3), [false, true, true]);
    room.page.attend(Attention::WhenEmpty);
    assert_eq!(give(12), [false; 12]);
    assert_eq!(give(1), [true]);
    let block = room.get().expect("room");
    room.page.attend(Attention::Never);
    assert_eq!(room.give(block), Ok(false));
}

#[test]
fn a_block_was_handed_out_or_not() {
    let room = Room::new(512);
    let out = room.get().expect("room");
    let other = (0..8).map(|index| room.page.face.start().addr() + index * 512).find(|&a| a != out.address()).unwrap();
    assert!(room.page.was_handed_out(out.address()));
    assert!(!room.page.was_handed_out(other), "it waits on the list of the new ones");
    room.give(out).expect("a live block");
    assert!(room.page.was_handed_out(out.address()));
}

#[test]
fn a_torn_page_is_rebuilt_from_its_bits() {
    if !MITIGATIONS.free_checks {
        return;
    }
    let room = Room::new(256);
    let mut live = room.get_many(20);
    for block in live.drain(..5) {
        room.give(block).expect("a live block");
    }
    for block in live.drain(..5) {
        room.post(block).expect("a live block");
    }
    for block in &live {
        block.set_first_word(block.address() as u64);
    }
    // The thread was somewhere between two stores: its counters and lists say anything.
    room.page.tear(room.tables);
    room.page.hot.used.store(3, Relaxed);
    room.page.hot.free.store(16, Relaxed);
    room.page.hot.local.store(16, Relaxed);
    room.page.hot.base.store(ptr::null_mut(), Relaxed);
    assert!(room.page.renew(room.tables, &room.owned, &room.rng));
    room.holds(10, 0);
    let kept: BTreeSet<usize> = live.iter().map(|block| block.address()).collect();
    let others: BTreeSet<usize> =
        room.get_many(if CHECKER { 22 } else { 200 }).iter().map(|block| block.address()).collect();
    assert!(kept.is_disjoint(&others));
    for block in live {
        assert_eq!(block.first_word(), block.address() as u64);
        room.give(block).expect("a live block");
    }
}

#[test]
fn a_page_says_which_sizes_its_blocks_are_for() {
    for &size in SIZES {
        let room = Room::new(size);
        assert!(room.page.face.fits(size) && room.page.face.fits(room.class.least()));
        assert!(!room.page.face.fits(size + 1) && !room.page.face.fits(usize::MAX));
        assert!(room.class.least() == 0 || !room.page.face.fits(room.class.least() - 1));
        assert_eq!(room.page.face.kind(), Kind::Blocks(room.class));
    }
}

/// Frees so many blocks in a drawn order, and has them made anew.
fn unmake(room: &Room, mut blocks: Vec<Block>) {
    while !blocks.is_empty() {
        let index = room.rng.below(blocks.len() as u32) as usize;
        room.give(blocks.swap_remove(index)).expect("a live block");
    }
    room.page.unmake(&room.owned);
    room.holds(0, 0);
}

#[test]
fn blocks_that_are_made_anew_come_in_the_order_of_new_ones() {
    let room = Room::new(64);
    unmake(&room, room.get_many(100));
    let blocks = room.get_many(100);
    let start = room.page.face.start().addr();
    // Whole windows lie in the order of their addresses.
    for (index, window) in blocks.chunks(8).enumerate() {
        let places = window.iter().map(|block| (block.address() - start) / 64);
        assert!(places.clone().all(|place| place / 8 == index), "{:?}", places.collect::<Vec<_>>());
    }
    room.holds(100, 0);
}

#[test]
fn a_block_that_was_written_to_is_not_made_anew() {
    let is_noticed = |word: usize| if word == 0 { MITIGATIONS.encoded_links } else { MITIGATIONS.zero_on_free };
    for word in [0, 1, 7] {
        let room = Room::new(64);
        let blocks = room.get_many(100);
        let victim = blocks[50];
        unmake(&room, blocks);
        // SAFETY: within the block, which is the test's memory.
        unsafe { victim.start().as_ptr().cast::<u64>().add(word).write(0x4141_4141) };
        let end = core::iter::repeat_with(|| room.page.extend(&room.owned, &room.rng)).find(|made| *made != Ok(true));
        let expected = match word {
            _ if !is_noticed(word) => Ok(false),
            0 => Err(Refused::Corrupt(victim.address())),
            _ => Err(Refused::Written(victim.address())),
        };
        assert_eq!(end, Some(expected));
    }
}
