//! Random sequences of calls against a shadow model: one thread with a helper, step by step, and several threads at once
//! that hand blocks to each other.
//!
//! CI size: a few seconds. `FULL_SIZE_TESTS=1` plays some hundred times as much.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test, and a panic is how it fails")]

mod model;

use model::block::{Block, Face, Fill, Request, Told};
use model::heap::Kind;
use model::player::Player;
use model::step::{Place, Step};
use model::territory::Territory;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use ravelin::raw::Operator;
use ravelin::{Collect, check_heap, collect, set_report_hook};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// How much more the full size does.
fn full(ci: usize, full: usize) -> usize {
    if std::env::var_os("FULL_SIZE_TESTS").is_some_and(|value| value == "1") { full } else { ci }
}

/// What is being played: a report ends the process, and proptest can then neither shrink nor print it.
static PLAYING: Mutex<String> = Mutex::new(String::new());

fn announce(what: String) {
    set_report_hook(|_| {
        eprintln!("while playing {}", PLAYING.lock().unwrap_or_else(PoisonError::into_inner));
    });
    *PLAYING.lock().unwrap_or_else(PoisonError::into_inner) = what;
}

/// Sizes of all kinds, and those where a class, a page or a segment ends more often than chance would have it.
fn size() -> impl Strategy<Value = usize> {
    let near = |shift: core::ops::Range<u32>| {
        (shift, 4_usize..8, -17_isize..18)
            .prop_map(|(shift, quarter, off)| ((quarter << shift) / 4).saturating_add_signed(off))
    };
    prop_oneof![
        40 => 0_usize..256,
        20 => 0_usize..=1024,
        15 => near(4..17),
        10 => 1024_usize..=128 << 10,
        6 => near(17..24),
        4 => 128_usize << 10..4 << 20,
        1 => 15_usize << 20..18 << 20,
        1 => 30_usize << 20..70 << 20,
    ]
}

fn align() -> impl Strategy<Value = usize> {
    prop_oneof![
        60 => Just(1_usize),
        20 => (0_u32..=6).prop_map(|shift| 1 << shift),
        15 => (7_u32..=21).prop_map(|shift| 1 << shift),
        1 => (22_u32..=31).prop_map(|shift| 1 << shift),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![4 => Just(Place::Here), 1 => Just(Place::Elsewhere)]
}

/// All faces but those of heaps.
const FACES: [Face; 5] =
    [Face::C, Face::Rust, Face::Data, Face::Operator(Operator::One), Face::Operator(Operator::Many)];

fn told() -> impl Strategy<Value = Told> {
    proptest::sample::select(&Told::ALL[..])
}

fn request() -> impl Strategy<Value = Request> {
    let face = prop_oneof![3 => Just(Face::C), 3 => Just(Face::Rust), 2 => proptest::sample::select(&FACES[..])];
    let fill = prop_oneof![3 => Just(Fill::Any), 1 => Just(Fill::Zero)];
    (face, size(), align(), fill).prop_map(|(face, size, align, fill)| Request { face, size, align, fill })
}

/// Small blocks, many of which fill a page.
fn crowd() -> impl Strategy<Value = (Request, usize)> {
    (request(), 0_usize..2048, 1_usize..256).prop_map(|(request, size, count)| (Request { size, ..request }, count))
}

fn how() -> impl Strategy<Value = Collect> {
    prop_oneof![3 => Just(Collect::Gently), 1 => Just(Collect::Fully)]
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![2 => Just(Kind::Raw), 1 => Just(Kind::Region), 1 => Just(Kind::Shared)];
    prop_oneof![
        50 => (place(), request()).prop_map(|(place, request)| Step::Allocate(place, request)),
        35 => (place(), any::<usize>(), told()).prop_map(|(place, which, told)| Step::Free { place, which, told }),
        10 => (place(), any::<usize>(), size(), align())
            .prop_map(|(place, which, size, align)| Step::Reallocate { place, which, size, align }),
        4 => (place(), any::<usize>()).prop_map(|(place, which)| Step::Write { place, which }),
        1 => (place(), crowd()).prop_map(|(place, (request, count))| Step::Fill(place, request, count)),
        1 => (any::<usize>(), crowd()).prop_map(|(heap, (request, count))| Step::FillHeap { heap, request, count }),
        2 => (place(), 2_usize..512).prop_map(|(place, count)| Step::Thin(place, count)),
        1 => place().prop_map(Step::CheckHeap),
        1 => (place(), how()).prop_map(|(place, how)| Step::Collect(place, how)),
        1 => Just(Step::EndHelper),
        2 => (place(), kind).prop_map(|(place, kind)| Step::NewHeap(place, kind)),
        20 => (any::<usize>(), request()).prop_map(|(heap, request)| Step::AllocateInHeap { heap, request }),
        2 => any::<usize>().prop_map(Step::VisitHeap),
        1 => (any::<usize>(), how()).prop_map(|(heap, how)| Step::CollectHeap(heap, how)),
        1 => any::<usize>().prop_map(Step::DeleteHeap),
        1 => any::<usize>().prop_map(Step::DestroyHeap),
    ]
}

proptest! {
    #![proptest_config(Config { cases: full(48, 6000) as u32, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_block_is_what_was_asked_for_and_stays_so_until_it_is_freed(seed: u64, steps in vec(step(), 1..400)) {
        announce(format!("{steps:?} from {seed}"));
        let mut player = Player::new(seed);
        steps.into_iter().for_each(|step| player.play(step));
        player.finish();
        ravelin::check_heap().expect("nothing is left behind");
    }

    /// Few sizes, so that pages fill up, empty, and change hands.
    #[test]
    fn pages_of_few_classes_that_fill_and_empty_keep_every_block(
        seed: u64, base in 1_usize..2048, fills in vec((1_usize..600, 0_usize..600, place(), place()), 1..12),
    ) {
        announce(format!("{fills:?} of {base} from {seed}"));
        let mut player = Player::new(seed);
        for (many, few, gets, frees) in fills {
            for turn in 0..many {
                let face = FACES[turn % FACES.len()];
                let request = Request { face, size: base + turn % 3 * 16, align: 1, fill: Fill::Any };
                player.play(Step::Allocate(gets, request));
            }
            for turn in 0..few {
                let told = Told::ALL[turn % Told::ALL.len()];
                player.play(Step::Free { place: frees, which: turn.wrapping_mul(base), told });
            }
            player.play(Step::CheckHeap(gets));
            if few % 3 == 0 {
                player.play(Step::EndHelper);
            }
        }
        player.finish();
        ravelin::check_heap().expect("nothing is left behind");
    }
}

/// A thread of the free play.
struct Worker {
    random: fastrand::Rng,
    territory: Arc<Territory>,
    inbox: Receiver<Block>,
    others: Vec<Sender<Block>>,
    blocks: Vec<Block>,
}

impl Worker {
    fn size(&mut self) -> usize {
        match self.random.u32(0..1000) {
            0..800 => self.random.usize(0..=512),
            800..970 => self.random.usize(0..=8192),
            970..995 => self.random.usize(0..=128 << 10),
            995..999 => self.random.usize(0..=2 << 20),
            _ => self.random.usize(0..=20 << 20),
        }
    }

    fn turn(&mut self) {
        let seed = self.random.u64(..);
        // About a thousand live blocks each, and now and then nearly none.
        let fullness = if self.random.u32(0..2000) < 2 { 0 } else { 1000 };
        match self.random.u32(0..100) {
            0..48 if self.blocks.len() < fullness => {
                let align = if self.random.u32(0..20) == 0 { 1 << self.random.u32(0..14) } else { 1 };
                let face = FACES[self.random.usize(0..FACES.len())];
                let fill = if self.random.u32(0..8) == 0 { Fill::Zero } else { Fill::Any };
                let request = Request { face, size: self.size(), align, fill };
                let block = Block::allocate(&request, seed, &self.territory);
                self.blocks.push(block.unwrap_or_else(|| panic!("no memory for {request:?}")));
            }
            48..58 => {
                let size = self.size();
                if let Some(block) = self.take() {
                    let block = block.reallocate(size, 1, seed, &self.territory);
                    self.blocks.push(block);
                }
            }
            58..75 => {
                if let Some(block) = self.take() {
                    let to = self.random.usize(0..self.others.len());
                    if let Err(back) = self.others[to].send(block) {
                        self.blocks.push(back.0);
                    }
                }
            }
            99 if self.random.u32(0..100) == 0 => {
                check_heap().unwrap_or_else(|corruption| panic!("{corruption}"));
                collect(if self.random.u32(0..4) == 0 { Collect::Fully } else { Collect::Gently });
            }
            _ => {
                if let Some(block) = self.take() {
                    block.free(self.told(), &self.territory);
                }
            }
        }
        // What others send is freed here, or kept.
        while let Ok(block) = self.inbox.try_recv() {
            if self.random.bool() { block.free(self.told(), &self.territory) } else { self.blocks.push(block) }
        }
    }

    fn told(&mut self) -> Told {
        Told::ALL[self.random.usize(0..Told::ALL.len())]
    }

    fn take(&mut self) -> Option<Block> {
        let index = self.random.usize(..).checked_rem(self.blocks.len())?;
        Some(self.blocks.swap_remove(index))
    }
}

#[test]
fn blocks_that_threads_hand_to_each_other_are_whole_even_when_their_threads_have_ended() {
    const THREADS: usize = 4;
    let territory: Arc<Territory> = Arc::default();
    let mut left: Vec<Block> = Vec::new();
    for round in 0..full(6, 300) {
        let seed = fastrand::u64(..);
        announce(format!("round {round} of threads, from {seed}"));
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel()).unzip();
        let workers: Vec<_> = receivers
            .into_iter()
            .enumerate()
            .map(|(number, inbox)| {
                let blocks = left.split_off(left.len() - left.len() / (THREADS - number));
                let random = fastrand::Rng::with_seed(seed.wrapping_add(number as u64));
                let mut worker =
                    Worker { random, territory: Arc::clone(&territory), inbox, others: senders.clone(), blocks };
                thread::spawn(move || {
                    for _ in 0..full(20_000, 60_000) {
                        worker.turn();
                    }
                    worker.others.clear();
                    check_heap().unwrap_or_else(|corruption| panic!("{corruption}"));
                    (worker.blocks, worker.inbox)
                })
            })
            .collect();
        drop(senders);
        for worker in workers {
            let (blocks, inbox) = worker.join().expect("no promise was broken");
            left.extend(blocks);
            left.extend(inbox);
        }
        // Their owners have ended: what is freed here lies in abandoned pages. The rest is the next round's.
        for _ in 0..left.len() / 2 {
            left.swap_remove(fastrand::usize(..left.len())).free(Told::Size, &territory);
        }
        check_heap().unwrap_or_else(|corruption| panic!("{corruption}"));
    }
    left.into_iter().for_each(|block| block.free(Told::Nothing, &territory));
    assert_eq!(territory.len(), 0);
}

#[test]
fn every_alignment_up_to_two_gibibytes_is_served() {
    let territory = Territory::default();
    for shift in 0..=31 {
        for size in [0, 1, 100, 5000, 200_000, 20 << 20] {
            for fill in [Fill::Any, Fill::Zero] {
                for face in FACES {
                    let request = Request { face, size, align: 1 << shift, fill };
                    let made = || {
                        let block = Block::allocate(&request, shift, &territory);
                        block.unwrap_or_else(|| panic!("no memory for {request:?}"))
                    };
                    made().reallocate(size / 2 + 1, 1 << shift, 7, &territory).free(Told::Size, &territory);
                    made().free(Told::SizeAndAlign, &territory);
                }
            }
        }
    }
}
