//! Birth of a page, the making of its blocks, and the drawing of their order.

use super::face::{Extent, Room, end_guard};
use super::hot::{NEVER, WHEN_EMPTY};
use super::link::{Wild, encode};
use super::{Block, Origin, Page, Refused, Tables};
use crate::entropy::{self, Order, PLACES, Rng};
use crate::geometry::{Class, SLICE};
use crate::mitigations::MITIGATIONS;
use crate::remote::{self, All, Mailbox, Owned};
use crate::sync::Relaxed;
use core::ptr::{self, NonNull};

/// Blocks are made this many bytes at a time, so that a page that stays small touches little memory.
const MAKE_BYTES: usize = 4096;
/// Blocks are put in order within windows of about this many bytes. The processor fetches ahead of a program that goes through its
/// blocks in the order in which it got them, but not if that leaps about further: measured with blocks of 64 bytes, a list in
/// memory that is not cached costs 1.9 ns a block in order, 2.1 in windows of 512 bytes, 6.4 in 1 KiB, 31 in 2 KiB.
const WINDOW_BYTES: usize = 640;
/// At least so many blocks are drawn together: with fewer the order would be no secret.
const WINDOW_MIN: usize = 4;

/// What the slices of a page are known to hold at its birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    /// Zeros.
    Zero,
    /// Whatever an earlier page left.
    Unknown,
}

/// Whether the last block's return makes free go the slow way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attention {
    /// When the page becomes empty.
    WhenEmpty,
    /// When so many blocks of a full page have come back that it may be allocated from again.
    WhenRoomy,
    /// Not at all: the page may be empty for a while.
    Never,
}

/// How many blocks of a full page must be free before it is allocated from again: of so many a 32nd, or 4 where that is
/// less, but no more than an eighth.
///
/// Coming back at the first free block would make reuse predictable, and every other free slow. But what waits for this is
/// memory that is free and not used, and that has left the caches when it is: with an eighth throughout, churn over a
/// million blocks took twice the time and 7 % more memory.
pub(crate) const fn roomy(blocks: u32) -> u32 {
    let (few, part) = (blocks / 8, blocks / 32);
    let few = if few > 4 { 4 } else { few };
    let least = if part > few { part } else { few };
    if least == 0 { 1 } else { least }
}

/// Within how many blocks of so many bytes their order is drawn. Where only one to three would fit a window, nothing is to be had
/// by it.
const fn window(block_size: usize) -> usize {
    match WINDOW_BYTES.checked_div(block_size) {
        Some(4..8) => 4,
        Some(8..16) => 8,
        _ => PLACES,
    }
}

/// The numbers of so many blocks after the first `before`.
fn numbers(before: u32, count: u32) -> impl DoubleEndedIterator<Item = u32> + Clone {
    (before..before.wrapping_add(count)).map(|before| before.wrapping_add(1))
}

/// What the owner's line says of blocks, read once: in a loop the compiler would read it anew for each, since it cannot know
/// that they lie elsewhere.
#[derive(Clone, Copy)]
struct Mold {
    base: *mut u8,
    size: usize,
    key: u64,
}

impl Mold {
    /// The name of the block with this number, and the block.
    #[inline(always)]
    fn cast(self, number: u32) -> (u32, Block) {
        let offset = (number as usize).wrapping_mul(self.size);
        // SAFETY: `base` lies one block before the first, and the number is that of one of the page's, so not 0.
        let start = unsafe { NonNull::new_unchecked(self.base.wrapping_byte_add(offset)) };
        // SAFETY: the callers hold the token, and the block is not live.
        let block = unsafe { Block::new(start) };
        (if MITIGATIONS.free_checks { number } else { offset as u32 }, block)
    }

    /// Links the block with this number before the one called `head`.
    #[inline(always)]
    fn link(self, number: u32, head: u32) -> u32 {
        let (name, block) = self.cast(number);
        block.set_first_word(encode(self.key, name, head));
        name
    }
}

impl Page {
    /// Makes this description that of a page of `class`, owned by the thread with mailbox `me`.
    ///
    /// # Errors
    /// The granule's index of a block that was freed once more when nothing in these slices was live.
    pub(crate) fn bear(
        &self,
        tables: &'static Tables,
        class: Class,
        extent: &Extent,
        contents: Contents,
        me: *mut Mailbox,
        rng: &Rng,
    ) -> Result<Owned, usize> {
        let hot = &self.hot;
        self.face.describe_blocks(class, extent);
        self.measure(tables);
        hot.used.store(0, Relaxed);
        hot.full.store(false, Relaxed);
        hot.idle.store(false, Relaxed);
        hot.patience.store(0, Relaxed);
        hot.torn.store(false, Relaxed);
        hot.fresh.store(contents == Contents::Zero, Relaxed);
        hot.capacity.store(0, Relaxed);
        self.draw(rng);
        self.face.begin(hot.generation.load(Relaxed));
        self.attend(Attention::WhenEmpty);
        self.face.owner.bear::<All>(&self.bits(), self.summary(), me)
    }

    /// Works the owner's measures out from what the page's face says.
    fn measure(&self, tables: &'static Tables) {
        let hot = &self.hot;
        let size = self.face.block_size();
        let room = self.face.slices().wrapping_mul(SLICE).wrapping_sub(end_guard());
        let reserved = room.checked_div(size).unwrap_or(0) as u32;
        hot.tables.store(ptr::from_ref(tables).cast_mut(), Relaxed);
        hot.base.store(self.face.start().wrapping_byte_sub(size), Relaxed);
        hot.size.store(size as u32, Relaxed);
        hot.reciprocal.store(u64::from(u32::MAX).checked_div(size as u64).unwrap_or(0).wrapping_add(1), Relaxed);
        hot.reserved.store(reserved, Relaxed);
    }

    /// Makes this description that of a page of one block, which is handed out at once. Which heap's it is, its list says.
    pub(crate) fn bear_single(&self, tables: &'static Tables, room: &Room, extent: &Extent) {
        self.prepare_single(tables);
        self.face.describe_single(room, extent);
        self.begin_single(tables, extent);
    }

    /// The same for a block that stands alone.
    pub(crate) fn bear_sampled(
        &self,
        tables: &'static Tables,
        size: usize,
        align: usize,
        origin: Origin,
        extent: &Extent,
    ) {
        self.prepare_single(tables);
        self.face.describe_sampled(size, align, origin, extent);
        self.begin_single(tables, extent);
    }

    pub(super) fn prepare_single(&self, tables: &'static Tables) {
        let hot = &self.hot;
        hot.tables.store(ptr::from_ref(tables).cast_mut(), Relaxed);
        hot.base.store(ptr::null_mut(), Relaxed);
        hot.used.store(1, Relaxed);
        hot.capacity.store(1, Relaxed);
        hot.reserved.store(1, Relaxed);
        hot.free.store(0, Relaxed);
        hot.full.store(false, Relaxed);
    }

    fn begin_single(&self, tables: &'static Tables, extent: &Extent) {
        let generation = entropy::generation();
        self.face.begin(generation);
        self.draw_canary_keys(generation);
        if MITIGATIONS.canaries && !self.face.is_sampled() {
            // Everybody may look at the block from here on, and its canary comes later.
            self.clear_slack(tables, self.face.block(extent.start.addr().get()));
        }
        self.face.owner.bear_single();
    }

    /// When free is to call on the slow path.
    pub(crate) fn attend(&self, attention: Attention) {
        let capacity = self.capacity();
        let trigger = match attention {
            Attention::WhenEmpty => WHEN_EMPTY,
            Attention::WhenRoomy => capacity.wrapping_sub(roomy(capacity)) as i32,
            Attention::Never => NEVER,
        };
        self.hot.trigger.store(trigger, Relaxed);
    }

    /// A new life: empty lists, a new key, new coins.
    fn draw(&self, rng: &Rng) {
        let hot = &self.hot;
        let births = hot.births.load(Relaxed).wrapping_add(1);
        let generation = entropy::generation();
        hot.births.store(births, Relaxed);
        hot.generation.store(generation, Relaxed);
        hot.quarantined.store(0, Relaxed);
        hot.made.store(0, Relaxed);
        self.draw_canary_keys(generation);
        hot.free.store(0, Relaxed);
        hot.untouched.store(false, Relaxed);
        hot.zeroed.store(false, Relaxed);
        hot.local.store(0, Relaxed);
        if MITIGATIONS.encoded_links {
            hot.key.store(entropy::page_key(ptr::from_ref(self).addr(), births), Relaxed);
        }
        if MITIGATIONS.random_order {
            hot.coins.store(rng.next_u64(), Relaxed);
        }
    }

    fn draw_canary_keys(&self, generation: u32) {
        if MITIGATIONS.canaries
            && let Some(keys) = entropy::canary_keys(ptr::from_ref(self).addr(), generation)
        {
            self.face.set_canary_keys(keys);
        }
    }

    /// All blocks are free, and on no list from now on: they are made anew as they are needed, in another order.
    pub(crate) fn unmake(&self, _owned: &Owned) {
        let hot = &self.hot;
        hot.capacity.store(0, Relaxed);
        hot.free.store(0, Relaxed);
        hot.local.store(0, Relaxed);
    }

    /// Makes more blocks and puts them on the free list, which is empty. False: the page has all its blocks.
    ///
    /// # Errors
    /// One of them was made before, and written to since it was freed.
    pub(crate) fn extend(&self, _owned: &Owned, rng: &Rng) -> Result<bool, Refused> {
        let hot = &self.hot;
        let capacity = self.capacity();
        let left = hot.reserved.load(Relaxed).wrapping_sub(capacity) as usize;
        if left == 0 {
            return Ok(false);
        }
        let least = if MITIGATIONS.random_order { WINDOW_MIN } else { 1 };
        let fitting = MAKE_BYTES.checked_div(self.face.block_size()).unwrap_or(0).max(least);
        // About as many whole hands, if that is one, so that no window is small.
        let hands = fitting.wrapping_add(PLACES / 2) & !(PLACES - 1);
        let wanted = if MITIGATIONS.random_order && fitting >= PLACES { hands } else { fitting };
        let count = wanted.min(left) as u32;
        let (made, end) = (hot.made.load(Relaxed), capacity.wrapping_add(count));
        self.inspect(numbers(capacity, count.min(made.saturating_sub(capacity))), made)?;
        hot.capacity.store(u64::from(end), Relaxed);
        hot.made.store(made.max(end), Relaxed);
        if MITIGATIONS.zero_on_free && !hot.fresh.load(Relaxed) {
            // What an earlier page's blocks left: a link in each, if nothing else.
            numbers(capacity, count)
                .skip_while(|&number| number <= made)
                .for_each(|number| self.wipe(self.nth(number)));
        }
        self.chain(numbers(capacity, count), rng);
        hot.untouched.store(made <= capacity, Relaxed);
        hot.zeroed.store(made <= capacity && hot.fresh.load(Relaxed), Relaxed);
        Ok(true)
    }

    /// Whether the blocks with these numbers, some of so many that were made, are as they were when they were freed: to be asked
    /// before new links hide it.
    fn inspect(&self, numbers: impl Iterator<Item = u32>, made: u32) -> Result<(), Refused> {
        let mold = self.mold();
        for number in numbers {
            let (name, block) = mold.cast(number);
            if MITIGATIONS.encoded_links && Wild::new(block.first_word()).decode(mold.key, name) > u64::from(made) {
                return Err(Refused::Corrupt(block.address()));
            }
            if MITIGATIONS.zero_on_free && !self.is_wiped(block) {
                return Err(Refused::Written(block.address()));
            }
        }
        Ok(())
    }

    /// Puts the blocks with these numbers before the free list's head: in the order of their addresses or, with
    /// `random-order`, in windows that are, each in an order of its own.
    fn chain(&self, numbers: impl DoubleEndedIterator<Item = u32>, rng: &Rng) {
        let hot = &self.hot;
        let mold = self.mold();
        let mut head = hot.free.load(Relaxed);
        let mut numbers = numbers.rev();
        if MITIGATIONS.random_order {
            let window = window(self.face.block_size());
            let mut hand = [0; PLACES];
            loop {
                let mut count = 0_usize;
                for (place, number) in hand.iter_mut().zip(&mut numbers) {
                    *place = number;
                    count = count.wrapping_add(1);
                }
                if count == 0 {
                    break;
                }
                // Where there are fewer than a window has, no larger one than they need.
                let window = window.min(count.next_power_of_two()).max(WINDOW_MIN);
                // Half of the bits are the switches of eight places.
                let bits = if count <= PLACES / 2 { u64::from(rng.next_u32()) } else { rng.next_u64() };
                let mut order = Order::of(bits, window);
                // The places of a window come together.
                for _ in 0..count.next_multiple_of(window) {
                    let place = order.next();
                    if place < count {
                        head = mold.link(hand.get(place).copied().unwrap_or(0), head);
                    }
                }
            }
        } else {
            numbers.for_each(|number| head = mold.link(number, head));
        }
        hot.free.store(head, Relaxed);
    }

    /// What makes this page's blocks.
    fn mold(&self) -> Mold {
        let hot = &self.hot;
        Mold {
            base: hot.base.load(Relaxed),
            size: hot.size.load(Relaxed) as usize,
            key: if MITIGATIONS.encoded_links { hot.key.load(Relaxed) } else { 0 },
        }
    }

    /// Whether the page's lists were made in this process: not so in the child of a fork.
    pub(crate) fn is_current(&self) -> bool {
        self.hot.generation.load(Relaxed) == entropy::generation()
    }

    /// Makes the lists fit to allocate from in this process. False: they cannot be trusted, and there are no state bits
    /// to rebuild them from; the page takes only frees until it is empty.
    pub(crate) fn renew(&self, tables: &'static Tables, owned: &Owned, rng: &Rng) -> bool {
        let torn = self.hot.torn.load(Relaxed);
        if self.is_current() && !torn {
            return true;
        }
        if MITIGATIONS.free_checks {
            self.rebuild(tables, owned, rng);
        } else if torn {
            return false;
        } else {
            // Without encoded links and random order the lists hold no secret that the parent shares.
            self.hot.generation.store(entropy::generation(), Relaxed);
        }
        true
    }

    /// In the child of a fork: any word of the page may have a remote bit whose summary bit was never set.
    pub(crate) fn suspect_all(&self) {
        self.summary().store(u64::MAX, Relaxed);
    }

    /// In the child of a fork: the page belonged to a thread that is not in this process, and which may have been between
    /// any two of its stores.
    pub(crate) fn tear(&self, tables: &'static Tables) {
        self.hot.tables.store(ptr::from_ref(tables).cast_mut(), Relaxed);
        self.hot.torn.store(true, Relaxed);
        self.hot.heap.store(ptr::null_mut(), Relaxed);
        // Nor is it on any list of that heap's.
        self.hot.full.store(false, Relaxed);
        self.hot.idle.store(false, Relaxed);
        self.hot.patience.store(0, Relaxed);
        self.suspect_all();
    }

    /// Takes blocks off the count that other threads have freed, and leaves the lists alone: for a page whose lists are
    /// not to be trusted and cannot be rebuilt.
    pub(crate) fn uncount(&self, blocks: usize, _owned: &Owned) {
        let hot = &self.hot;
        hot.used.store(hot.used.load(Relaxed).saturating_sub(blocks as u32), Relaxed);
    }

    /// Throws all lists away and draws new ones, with a new key, from what the bits say: for the child of a fork, which
    /// must share no order with its parent, and which may find the page of a thread that exists no more between any two
    /// of its stores. The threads of this process may free blocks of the page meanwhile.
    ///
    /// All remote bits are collected, whatever the summary says.
    fn rebuild(&self, tables: &'static Tables, owned: &Owned, rng: &Rng) {
        let hot = &self.hot;
        // The owner's line may have been copied before the page was born: the face was complete when the owner was set.
        self.measure(tables);
        remote::settle::<All>(&self.bits(), self.summary(), owned);
        // Caught while it was being extended, a page may have counted blocks whose links are not made: none is live.
        let capacity = self.capacity().min(hot.reserved.load(Relaxed));
        hot.capacity.store(u64::from(capacity), Relaxed);
        self.draw(rng);
        hot.fresh.store(false, Relaxed);
        // A thread that is no more may have been in the middle of wiping one.
        let wipes = MITIGATIONS.zero_on_free && hot.torn.load(Relaxed);
        hot.torn.store(false, Relaxed);
        let free = numbers(0, capacity).filter(|&number| !self.is_out(number));
        let used = capacity.wrapping_sub(free.clone().count() as u32);
        if wipes {
            free.clone().for_each(|number| self.wipe(self.nth(number)));
        }
        self.chain(free, rng);
        hot.used.store(used, Relaxed);
    }
}
