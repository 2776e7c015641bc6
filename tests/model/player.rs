//! Plays a sequence of steps and knows after each what must be so.

use super::block::{Block, Face, Request, SURE_ALIGN, Told};
use super::heap::{HeapName, Kind};
use super::helper::Helper;
use super::step::{Place, Step};
use super::territory::Territory;
use ravelin::{check_heap, collect};
use std::sync::Arc;

/// Live blocks together hold at most this many bytes, if nothing else is said: the oldest make room.
const MOST: usize = 256 << 20;
/// More heaps than that no player makes.
const HEAPS: usize = 16;

/// The state of a game.
#[derive(Debug)]
pub(crate) struct Player {
    blocks: Vec<Block>,
    /// The heaps that were made, each with the thread that it is of.
    heaps: Vec<(Place, HeapName)>,
    bytes: usize,
    territory: Arc<Territory>,
    helper: Option<Helper>,
    seed: u64,
    most: usize,
}

impl Player {
    /// A player whose blocks' contents follow from `seed`.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Player {
        Player::within(MOST, seed)
    }

    /// The same, whose live blocks together hold at most so many bytes.
    #[must_use]
    pub(crate) fn within(most: usize, seed: u64) -> Player {
        Player { blocks: Vec::new(), heaps: Vec::new(), bytes: 0, territory: Arc::default(), helper: None, seed, most }
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
        while self.bytes + size > self.most {
            let Some(block) = self.take(0) else { return };
            block.free(Told::Nothing, &self.territory);
        }
    }

    /// Takes one step.
    ///
    /// # Panics
    /// If the allocator breaks a promise.
    pub(crate) fn play(&mut self, step: Step) {
        match step {
            Step::Allocate(place, request) => self.allocate(place, request, 1),
            Step::Fill(place, request, count) => self.allocate(place, request, count),
            Step::Reallocate { place, which, size, align } => {
                let Some(block) = self.take(which) else { return };
                // Whose a heap's block would be that another thread has moved, no step can know.
                let place = block.heap().map_or(place, |heap| self.place_of(heap));
                let size = size.min(self.most / 2);
                self.make_room(size);
                let seed = self.next_seed();
                let block = self.at(place, move |territory| block.reallocate(size, align, seed, territory));
                self.put(block);
            }
            Step::Free { place, which, told } => {
                let Some(block) = self.take(which) else { return };
                self.at(place, move |territory| block.free(told, territory));
            }
            Step::Thin(place, count) => {
                let blocks: Vec<Block> = (0..count).step_by(2).map_while(|which| self.take(which)).collect();
                self.at(place, move |territory| {
                    let told = Told::ALL.into_iter().cycle();
                    blocks.into_iter().zip(told).for_each(|(block, told)| block.free(told, territory));
                });
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
            Step::NewHeap(place, kind) if self.heaps.len() < HEAPS => {
                let heap = self.at(place, move |_| HeapName::new(kind));
                self.heaps.extend(heap.map(|heap| (place, heap)));
            }
            Step::NewHeap(..) => {}
            Step::AllocateInHeap { heap, request } => self.play(Step::FillHeap { heap, request, count: 1 }),
            Step::FillHeap { heap, request, count } => {
                let Some(index) = heap.checked_rem(self.heaps.len()) else { return };
                let (place, heap) = self.heaps[index];
                self.allocate(place, Request { face: Face::Heap(heap), ..request }, count);
            }
            Step::VisitHeap(heap) => {
                let Some(index) = heap.checked_rem(self.heaps.len()) else { return };
                let (place, heap) = self.heaps[index];
                let (blocks, others): (Vec<_>, Vec<_>) =
                    self.blocks.iter().partition(|block| block.heap() == Some(heap));
                let blocks = blocks.into_iter().map(Block::address).collect();
                let others: Vec<usize> = others.into_iter().map(Block::address).collect();
                self.at(place, move |_| heap.check(&blocks, &others));
            }
            Step::CollectHeap(heap, how) => {
                let Some(index) = heap.checked_rem(self.heaps.len()) else { return };
                let (place, heap) = self.heaps[index];
                self.at(place, move |_| heap.collect(how));
            }
            Step::DeleteHeap(heap) => {
                let Some(index) = heap.checked_rem(self.heaps.len()) else { return };
                let (place, heap) = self.heaps.swap_remove(index);
                if heap.kind() == Kind::Region { self.destroy(place, heap) } else { self.delete(place, heap) }
            }
            Step::DestroyHeap(heap) => {
                let Some(index) = heap.checked_rem(self.heaps.len()) else { return };
                let (place, heap) = self.heaps.swap_remove(index);
                if heap.kind() == Kind::Shared { self.delete(place, heap) } else { self.destroy(place, heap) }
            }
            Step::EndHelper => {
                let ended: Vec<_> = self.heaps.extract_if(.., |(place, _)| *place == Place::Elsewhere).collect();
                // Whether a region that is dropped at the very end of its thread takes its blocks with it depends on what had its end before.
                for (place, region) in ended.iter().filter(|(_, heap)| heap.kind() == Kind::Region) {
                    self.destroy(*place, *region);
                }
                self.helper = None;
                ended.into_iter().for_each(|(_, heap)| self.leave_blocks_of(heap));
            }
        }
    }

    /// Ends a heap whose blocks stay.
    fn delete(&mut self, place: Place, heap: HeapName) {
        self.at(place, move |_| heap.delete());
        self.leave_blocks_of(heap);
    }

    /// Ends a heap with its blocks.
    fn destroy(&mut self, place: Place, heap: HeapName) {
        for block in self.blocks.extract_if(.., |block| block.heap() == Some(heap)) {
            self.bytes -= block.size();
            block.end_with_heap(&self.territory);
        }
        self.at(place, move |_| heap.destroy());
    }

    /// The thread that a heap is of.
    fn place_of(&self, heap: HeapName) -> Place {
        self.heaps.iter().find(|(_, known)| *known == heap).map_or(Place::Here, |(place, _)| *place)
    }

    /// A heap has ended, and its blocks have not.
    fn leave_blocks_of(&mut self, heap: HeapName) {
        self.blocks.iter_mut().filter(|block| block.heap() == Some(heap)).for_each(Block::outlive_heap);
    }

    /// Asks for so many blocks, in one go: to wake the helper takes longer than a hundred steps.
    fn allocate(&mut self, place: Place, request: Request, count: usize) {
        let request = Request { size: request.size.min(self.most / 2), ..request };
        self.make_room(request.size * count);
        let seeds: Vec<u64> = (0..count).map(|_| self.next_seed()).collect();
        let blocks: Vec<Option<Block>> = self.at(place, move |territory| {
            seeds.into_iter().map(|seed| Block::allocate(&request, seed, territory)).collect()
        });
        for block in blocks {
            match block {
                Some(block) => self.put(block),
                None => assert!(request.align > SURE_ALIGN, "no memory for {request:?}"),
            }
        }
    }

    /// Checks everything that is left, and gives it back, from the first to the last thread.
    ///
    /// # Panics
    /// If the allocator has broken a promise.
    pub(crate) fn finish(mut self) {
        self.play(Step::CheckHeap(Place::Here));
        while !self.heaps.is_empty() {
            self.play(if self.heaps.len() % 2 == 0 { Step::DestroyHeap(0) } else { Step::DeleteHeap(0) });
        }
        self.play(Step::EndHelper);
        for told in Told::ALL.into_iter().cycle() {
            let Some(block) = self.take(0) else { break };
            block.free(told, &self.territory);
        }
        // To walk the heap takes longer than most sequences: whoever wants to know what is left of it asks.
        assert_eq!(self.territory.len(), 0);
    }
}
