//! Sequences of everything that a thread can do with several heaps, in several threads at a time, against a shadow of what each
//! heap must contain.

use super::super::{
    Fill, HeapHandle, Target, Terms, allocate_at, allocate_in, backing, contains, default, delete, destroy, new,
    reallocate_to, set_default, usable_size, visit,
};
use super::*;
use crate::heap::{Visit, Visited};
use crate::report::Operation;
use crate::testing::{proptest_config, turn};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::thread;
use std::vec;

/// What comes next. Heaps and blocks are chosen among those that there are.
#[derive(Clone, Debug)]
enum Step {
    New,
    Delete(usize),
    Destroy(usize),
    MakeDefault(usize),
    Allocate(usize, usize),
    /// From the default heap.
    Plain(usize),
    Skewed(usize, usize),
    Free(usize),
    /// By another thread.
    FreeRemotely(usize),
    /// To a heap.
    Resize(usize, usize, usize),
    Collect(usize),
}

fn size() -> impl Strategy<Value = usize> {
    let small = if CHECKER { 1..600_usize } else { 1..2000 };
    let large = if CHECKER { 3000..3001_usize } else { 2000..300_000 };
    prop_oneof![6 => small, 1 => large]
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<usize>;
    prop_oneof![
        2 => Just(Step::New),
        1 => which().prop_map(Step::Delete),
        1 => which().prop_map(Step::Destroy),
        1 => which().prop_map(Step::MakeDefault),
        12 => (which(), size()).prop_map(|(heap, size)| Step::Allocate(heap, size)),
        4 => size().prop_map(Step::Plain),
        1 => (which(), size()).prop_map(|(heap, size)| Step::Skewed(heap, size)),
        6 => which().prop_map(Step::Free),
        2 => which().prop_map(Step::FreeRemotely),
        3 => (which(), which(), size()).prop_map(|(block, heap, size)| Step::Resize(block, heap, size)),
        1 => which().prop_map(Step::Collect),
    ]
}

/// A block, and whose it is.
struct Owned {
    held: Held,
    heap: HeapHandle,
}

/// A thread's heaps, the backing one first, and all its blocks.
struct Shadow {
    heaps: Vec<HeapHandle>,
    blocks: Vec<Owned>,
}

fn pick<T>(all: &[T], which: usize) -> Option<usize> {
    (!all.is_empty()).then(|| which % all.len())
}

impl Shadow {
    fn new() -> Shadow {
        Shadow { heaps: std::vec![backing().expect("memory")], blocks: Vec::new() }
    }

    fn heap(&self, which: usize) -> HeapHandle {
        self.heaps[which % self.heaps.len()]
    }

    /// One that may end.
    fn take(&mut self, which: usize) -> Option<HeapHandle> {
        (self.heaps.len() > 1).then(|| self.heaps.remove(1 + which % (self.heaps.len() - 1)))
    }

    fn keep(&mut self, start: *mut u8, size: usize, heap: HeapHandle) {
        let held = Held::adopt(start, size).expect("memory");
        assert!(contains(heap, held.pointer()));
        self.blocks.push(Owned { held, heap });
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::New if self.heaps.len() < 6 => self.heaps.push(new().expect("memory")),
            Step::New => {}
            Step::Delete(which) => {
                let Some(gone) = self.take(which) else { return };
                delete(gone);
                let first = self.heaps[0];
                self.blocks.iter_mut().filter(|block| block.heap == gone).for_each(|block| block.heap = first);
            }
            Step::Destroy(which) => {
                let Some(gone) = self.take(which) else { return };
                destroy(gone);
                self.blocks.retain(|block| block.heap != gone);
            }
            Step::MakeDefault(which) => {
                set_default(self.heap(which));
            }
            Step::Allocate(which, size) => {
                let heap = self.heap(which);
                let own = heap.expect_own(Operation::Malloc);
                self.keep(allocate_in(own, size, GRANULE, Terms::of(Fill::Any)), size, heap);
            }
            Step::Plain(size) => self.keep(super::super::allocate(size), size, default().expect("memory")),
            Step::Skewed(which, size) => {
                let heap = self.heap(which);
                // Off the granule, but where Held may write words.
                let start = allocate_at(Some(heap.expect_own(Operation::Malloc)), size, 16, 8, Fill::Any);
                self.keep(start, size, heap);
            }
            Step::Free(which) => {
                if let Some(index) = pick(&self.blocks, which) {
                    self.blocks.swap_remove(index).held.free();
                }
            }
            Step::FreeRemotely(which) => {
                if let Some(index) = pick(&self.blocks, which) {
                    let held = self.blocks.swap_remove(index).held;
                    thread::spawn(move || held.free()).join().unwrap();
                }
            }
            Step::Resize(which, heap, size) => {
                let Some(index) = pick(&self.blocks, which) else { return };
                let (block, heap) = (self.blocks.swap_remove(index), self.heap(heap));
                let target = Target {
                    heap: Some(heap.expect_own(Operation::Realloc)),
                    align: GRANULE,
                    offset: 0,
                    fill: Fill::Any,
                };
                // SAFETY: the block is this test's.
                let new = unsafe { reallocate_to(block.held.pointer(), size, target) };
                // Whole words.
                let kept = block.held.size.min(size).saturating_sub(7);
                Held { start: NonNull::new(new).expect("memory"), ..block.held }.begins_as_written(kept);
                let stays = contains(block.heap, UserPtr::new(new));
                self.keep(new, size, if stays { block.heap } else { heap });
            }
            Step::Collect(which) => super::super::collect_heap(self.heap(which), Collect::Gently),
        }
    }

    /// Every heap shows just what it must contain.
    fn check(&self) {
        for &heap in &self.heaps {
            let mut shown = BTreeSet::new();
            visit(heap, Visit::Blocks, &mut |what| {
                if let Visited::Block(_, start, size) = what {
                    assert_eq!(size, usable_size(UserPtr::new(start.as_ptr())));
                    assert!(shown.insert(start.addr().get()));
                }
                true
            });
            let mine = self.blocks.iter().filter(|block| block.heap == heap);
            let expected: BTreeSet<usize> = mine.map(|block| block.held.address()).collect();
            // The backing heap may have adopted pages of threads that have ended, with blocks of other tests.
            assert!(if heap == self.heaps[0] { expected.is_subset(&shown) } else { expected == shown });
        }
        self.blocks.iter().for_each(|block| block.held.check());
        check_heap().expect("sound heaps");
    }

    fn end(mut self) {
        self.check();
        while let Some(heap) = self.take(0) {
            destroy(heap);
            self.blocks.retain(|block| block.heap != heap);
        }
        free_all(self.blocks.into_iter().map(|block| block.held));
    }
}

fn play(steps: Vec<Step>) {
    let mut shadow = Shadow::new();
    for (count, step) in steps.into_iter().enumerate() {
        shadow.play(step);
        if count % 16 == 15 {
            shadow.check();
        }
    }
    shadow.end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if CHECKER { 1 } else { 48 }, ..proptest_config() })]

    #[test]
    fn heaps_hold_what_they_must_whatever_threads_do(
        sequences in proptest::collection::vec(proptest::collection::vec(step(), 1..if CHECKER { 20 } else { 120 }), 1..4)
    ) {
        let _turn = turn();
        let threads: Vec<_> = sequences.into_iter().map(|steps| thread::spawn(move || play(steps))).collect();
        for thread in threads {
            prop_assert!(thread.join().is_ok());
        }
        is_well();
    }
}
