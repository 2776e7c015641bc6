//! A world: some pages, their owners' mailboxes, and what the engine does with them.

use crate::remote::{
    Bits, Line, Mailbox, NotLive, Owned, Owner, OwnerWord, Posted, Rules, Spot, collect, collect_marked, post,
};
use crate::sync::{AtomicPtr, AtomicU64};
use core::ptr;
use loom::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

const WORDS: usize = 2;
/// The flag of the worlds' segment.
const FLAG: u64 = 1 << 5;

/// A thread that has a mailbox, by its index.
pub(super) type Who = usize;
/// Two blocks in the same word of bits, and one in another.
pub(super) const X: usize = 0;
pub(super) const Y: usize = 1;
pub(super) const FAR: usize = 64;

/// A block that is not live was freed, or a free block turned out to be none: the process dies here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flagged;

impl From<NotLive> for Flagged {
    fn from(_: NotLive) -> Self {
        Flagged
    }
}

/// What really happened to a block.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Truth {
    handed_out: usize,
    accepted: usize,
}

/// What only the owner of a page may touch.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) free: Vec<usize>,
    pub(super) used: usize,
}

pub(super) struct Page {
    number: usize,
    group_shift: u32,
    pub(super) owner: OwnerWord,
    pub(super) summary: AtomicU64,
    state: [AtomicU64; WORDS],
    remote: [AtomicU64; WORDS],
    lists: UnsafeCell<Lists>,
    contents: BTreeMap<usize, UnsafeCell<()>>,
    truth: Mutex<BTreeMap<usize, Truth>>,
}

pub(super) struct World {
    pub(super) pages: Vec<Page>,
    pending: [AtomicU64; 1],
    boxes: Vec<Mailbox>,
}

impl World {
    /// A world with one page for each entry, owned by that thread, which has handed these blocks out.
    pub(super) fn new<R: Rules>(pages: &[(Who, &[usize])]) -> Arc<World> {
        Self::grouped::<R>(0, pages)
    }

    /// The same, with 2 to the power of `group_shift` words for each bit of a summary.
    pub(super) fn grouped<R: Rules>(group_shift: u32, pages: &[(Who, &[usize])]) -> Arc<World> {
        let page = |(number, (_, blocks)): (usize, &(Who, &[usize]))| Page::new(number, group_shift, blocks);
        let world = World {
            pages: pages.iter().enumerate().map(page).collect(),
            pending: [AtomicU64::new(0)],
            boxes: (0..2).map(|_| Mailbox::new()).collect(),
        };
        for (page, (who, blocks)) in world.pages.iter().zip(pages) {
            let owned = world.bear::<R>(page, *who, blocks).expect("no false alarm");
            for _ in *blocks {
                page.pop::<R>(&owned).expect("a free block is handed out");
            }
        }
        Arc::new(world)
    }

    pub(super) fn me(&self, who: Who) -> *mut Mailbox {
        ptr::from_ref(&self.boxes[who]).cast_mut()
    }

    fn line<'a>(&'a self, page: &'a Page) -> Line<'a> {
        let mark = 1 << page.number;
        Line { owner: &page.owner, summary: &page.summary, pending: &self.pending[0], mark, flag: FLAG }
    }

    /// `Page::bear`, with all blocks made at once.
    pub(super) fn bear<R: Rules>(&self, page: &Page, who: Who, blocks: &[usize]) -> Result<Owned, Flagged> {
        page.lists(|lists| *lists = Lists { free: blocks.iter().rev().copied().collect(), used: 0 });
        page.owner.bear::<R>(&page.bits(), &page.summary, self.me(who)).map_err(|_| Flagged)
    }

    /// `heap::free`, by a thread that has a heap or has none.
    pub(super) fn free<R: Rules>(&self, who: Option<Who>, page: &Page, block: usize) -> Result<(), Flagged> {
        // Counted before it can take effect: another thread may hand the block out again before this one returns.
        page.count(block, |truth| truth.accepted += 1);
        let result = self.free_unless_flagged::<R>(who, page, block);
        if result.is_err() {
            page.count(block, |truth| truth.accepted -= 1);
        }
        result
    }

    fn free_unless_flagged<R: Rules>(&self, who: Option<Who>, page: &Page, block: usize) -> Result<(), Flagged> {
        let out = page.spot(block).look()?;
        match page.owner.owned_by(who.map_or(ptr::null_mut(), |who| self.me(who))) {
            Some(owned) => {
                out.take::<R>(&page.summary, &owned)?;
                page.push(block, &owned);
                Ok(())
            }
            None => match post::<R>(&out.spot, 1 << ((block / 64) >> page.group_shift), &self.line(page))? {
                Posted::Delivered => Ok(()),
                Posted::Abandoned => self.reclaim::<R>(who, page),
            },
        }
    }

    /// `heap::mail::take`.
    pub(super) fn take_mail<R: Rules>(&self, who: Who) -> Result<(), Flagged> {
        let mut result = Ok(());
        self.boxes[who].open::<R>(|_| {
            let own = |number: usize| {
                let page = self.pages.get(number)?;
                Some((page, page.owner.owned_by(self.me(who))?))
            };
            collect_marked::<R, _>(&self.pending, own, |page, owned| {
                if page.collect::<R>(&owned).is_err() {
                    result = Err(Flagged);
                }
            });
        });
        result
    }

    /// `heap::abandon::reclaim`: a thread without a heap gives the page away again.
    fn reclaim<R: Rules>(&self, who: Option<Who>, page: &Page) -> Result<(), Flagged> {
        let Some(claimed) = page.owner.claim::<R>() else { return Ok(()) };
        page.collect::<R>(&claimed)?;
        match who {
            Some(who) if page.lists(|lists| lists.used) != 0 => self.keep::<R>(who, page, &claimed),
            _ => page.give_away::<R>(claimed),
        }
    }

    /// `heap::abandon::keep`.
    fn keep<R: Rules>(&self, who: Who, page: &Page, claimed: &Owned) -> Result<(), Flagged> {
        if page.owner.adopt::<R>(&page.summary, self.me(who), claimed) {
            page.collect::<R>(claimed)?;
        }
        // `Heap::enter`.
        page.lists(|_| ());
        Ok(())
    }

    /// `heap::abandon::adopt`.
    pub(super) fn adopt<R: Rules>(&self, who: Who, page: &Page) -> Result<(), Flagged> {
        if page.owner.load() != Owner::Abandoned {
            return Ok(());
        }
        let Some(claimed) = page.owner.claim::<R>() else { return Ok(()) };
        page.collect::<R>(&claimed)?;
        self.keep::<R>(who, page, &claimed)
    }

    /// `heap::abandon::abandon_all`, for one page.
    pub(super) fn exit<R: Rules>(&self, who: Who, page: &Page) -> Result<(), Flagged> {
        let Some(owned) = page.owner.owned_by(self.me(who)) else { return Ok(()) };
        page.collect::<R>(&owned)?;
        page.give_away::<R>(owned)?;
        self.boxes[who].take();
        Ok(())
    }

    /// All threads but one are done. Their marks must lead to every block that was freed, and no page may be caught with a
    /// block freed twice.
    pub(super) fn settle<R: Rules>(&self) -> Result<(), Flagged> {
        for page in &self.pages {
            let owned = match page.owner.load() {
                Owner::Thread(mailbox) => {
                    let who = self.boxes.iter().position(|other| ptr::eq(other, mailbox)).expect("a thread");
                    self.take_mail::<R>(who)?;
                    page.owner.owned_by(mailbox)
                }
                Owner::Abandoned => page.owner.claim::<R>(),
                Owner::Nobody => None,
                owner => panic!("a page is left {owner:?}"),
            };
            let truth = page.truth.lock().expect("not poisoned");
            page.lists(|lists| {
                lists.free.sort_unstable();
                for (block, truth) in truth.iter() {
                    assert!(truth.accepted <= truth.handed_out, "a double free was missed");
                    let listed = lists.free.iter().filter(|other| *other == block).count();
                    assert!(listed <= 1, "a block is on the list twice");
                    let out = truth.handed_out - truth.accepted;
                    assert!(owned.is_none() || listed + out > 0, "a freed block is lost");
                    assert!(listed + out < 2, "a live block is on the list");
                    assert!(owned.is_some() || out == 0, "a page was retired with a live block");
                }
            });
        }
        Ok(())
    }
}

impl Page {
    fn new(number: usize, group_shift: u32, blocks: &[usize]) -> Page {
        Page {
            number,
            group_shift,
            owner: OwnerWord::from(AtomicPtr::new(ptr::null_mut())),
            summary: AtomicU64::new(0),
            state: [AtomicU64::new(0), AtomicU64::new(0)],
            remote: [AtomicU64::new(0), AtomicU64::new(0)],
            lists: UnsafeCell::new(Lists::default()),
            contents: blocks.iter().map(|block| (*block, UnsafeCell::new(()))).collect(),
            truth: Mutex::new(blocks.iter().map(|block| (*block, Truth::default())).collect()),
        }
    }

    pub(super) fn spot(&self, block: usize) -> Spot<'_> {
        Spot { state: &self.state[block / 64], remote: &self.remote[block / 64], bit: (block % 64) as u32 }
    }

    pub(super) fn bits(&self) -> Bits<'_> {
        Bits { state: &self.state, remote: &self.remote, group_shift: self.group_shift }
    }

    /// The owner's lists: the checker fails if another thread is at them, or was without having passed them on.
    pub(super) fn lists<T>(&self, work: impl FnOnce(&mut Lists) -> T) -> T {
        // SAFETY: the checker stops the model if two threads are here at a time.
        self.lists.with_mut(|lists| work(unsafe { &mut *lists }))
    }

    fn count(&self, block: usize, change: impl FnOnce(&mut Truth)) {
        change(self.truth.lock().expect("not poisoned").get_mut(&block).expect("a block of the page"));
    }

    /// Whoever holds a block writes to it.
    pub(super) fn write(&self, block: usize) {
        self.contents[&block].with_mut(|_| ());
    }

    /// `Page::pop`.
    pub(super) fn pop<R: Rules>(&self, owned: &Owned) -> Result<Option<usize>, Flagged> {
        let Some(block) = self.lists(|lists| lists.free.pop()) else { return Ok(None) };
        self.spot(block).give::<R>(&self.summary, owned)?;
        self.lists(|lists| lists.used += 1);
        self.write(block);
        self.count(block, |truth| {
            truth.handed_out += 1;
            assert!(truth.handed_out <= truth.accepted + 1, "a block has a second owner");
        });
        Ok(Some(block))
    }

    /// `Page::push`: a free block's first word is its link.
    fn push(&self, block: usize, _owned: &Owned) {
        self.write(block);
        self.lists(|lists| {
            lists.free.push(block);
            lists.used = lists.used.wrapping_sub(1);
        });
    }

    /// `heap::mail::collect_page`.
    pub(super) fn collect<R: Rules>(&self, owned: &Owned) -> Result<(), Flagged> {
        collect::<R>(&self.bits(), &self.summary, owned, |block| self.push(block, owned)).map_err(|_| Flagged)
    }

    /// `heap::abandon::give_away`.
    pub(super) fn give_away<R: Rules>(&self, owned: Owned) -> Result<(), Flagged> {
        let mut owned = owned;
        loop {
            if self.lists(|lists| lists.used) == 0 {
                self.owner.retire(owned);
                return Ok(());
            }
            if !self.owner.abandon::<R>(&self.summary, owned) {
                return Ok(());
            }
            let Some(claimed) = self.owner.claim::<R>() else { return Ok(()) };
            self.collect::<R>(&claimed)?;
            owned = claimed;
        }
    }
}
