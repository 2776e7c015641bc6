//! Plays a sequence of steps and knows after each what must be so.

use super::block::{Block, Request, SURE_ALIGN};
use super::helper::Helper;
use super::step::{Place, Step};
use super::territory::Territory;
use ravelin::{check_heap, collect};
use std::sync::Arc;

/// Live blocks together hold at most this many bytes: the oldest make room.
const MOST: usize = 256 << 20;

/// The state of a game.
#[derive(Debug)]
pub(crate) struct Player {
    blocks: Vec<Block>,
    bytes: usize,
    territory: Arc<Territory>,
    helper: Option<Helper>,
    seed: u64,
}

impl Player {
    /// A player whose blocks' contents follow from `seed`.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Player {
        Player { blocks: Vec::new(), bytes: 0, territory: Arc::default(), helper: None, seed }
    }

    fn next_seed(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(1);
        self.seed
    }

    /// Does something at a place.
    fn at<T: Send + 'static>(&mut self, place: Place, work: impl FnOnce(&Territory) -> T + Send + 'static) -> T {
        match place {
            Place::Here => work(&self.territory),
            Place::Elsewhere => {
                let territory = Arc::clone(&self.territory);
                self.helper.get_or_insert_with(Helper::start).run(move || work(&territory))
            }
        }
    }

    fn take(&mut self, which: usize) -> Option<Block> {
        let index = which.checked_rem(self.blocks.len())?;
        let block = self.blocks.swap_remove(index);
        self.bytes -= block.size();
        Some(block)
    }

    fn put(&mut self, block: Block) {
        self.bytes += block.size();
        self.blocks.push(block);
    }

    fn make_room(&mut self, size: usize) {
        while self.bytes + size > MOST {
            let Some(block) = self.take(0) else { return };
            block.free(&self.territory);
        }
    }

    /// Takes one step.
    ///
    /// # Panics
    /// If the allocator breaks a promise.
    pub(crate) fn play(&mut self, step: Step) {
        match step {
            Step::Allocate(place, request) => self.allocate(place, request),
            Step::Reallocate { place, which, size, align } => {
                let Some(block) = self.take(which) else { return };
                let size = size.min(MOST / 2);
                self.make_room(size);
                let seed = self.next_seed();
                let block = self.at(place, move |territory| block.reallocate(size, align, seed, territory));
                self.put(block);
            }
            Step::Free { place, which } => {
                let Some(block) = self.take(which) else { return };
                self.at(place, move |territory| block.free(territory));
            }
            Step::Write { place, which } => {
                let Some(block) = self.take(which) else { return };
                let seed = self.next_seed();
                let block = self.at(place, move |_| {
                    block.verify();
                    block.write(seed)
                });
                self.put(block);
            }
            Step::CheckHeap(place) => self.at(place, |_| {
                if let Err(corruption) = check_heap() {
                    panic!("{corruption}");
                }
            }),
            Step::Collect(place, how) => self.at(place, move |_| collect(how)),
            Step::EndHelper => self.helper = None,
        }
    }

    fn allocate(&mut self, place: Place, request: Request) {
        let request = Request { size: request.size.min(MOST / 2), ..request };
        self.make_room(request.size);
        let seed = self.next_seed();
        match self.at(place, move |territory| Block::allocate(&request, seed, territory)) {
            Some(block) => self.put(block),
            None => assert!(request.align > SURE_ALIGN, "no memory for {request:?}"),
        }
    }

    /// Checks everything that is left, and gives it back, from the first to the last thread.
    ///
    /// # Panics
    /// If the allocator has broken a promise.
    pub(crate) fn finish(mut self) {
        self.play(Step::CheckHeap(Place::Here));
        self.play(Step::EndHelper);
        while let Some(block) = self.take(0) {
            block.free(&self.territory);
        }
        assert_eq!(self.territory.len(), 0);
        self.play(Step::CheckHeap(Place::Here));
    }
}
