//! One kind of allocator work, a given number of times, for `cargo xtask instructions` to count.
//!
//! It stands here and not beside the engine because it needs none of the engine's development dependencies.
//! Everything counted happens inside [`ravelin_measured`], whose name callgrind is told.

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;

use engine::{Ravelin, raw};

/// What a round does.
#[derive(Clone, Copy)]
enum Work {
    /// Nothing: the cost of the loop.
    Empty,
    /// malloc and free of so many bytes, and no other block of this size is live.
    Pair(usize),
    /// The same among [`LIVE`] others of this size.
    Among(usize),
    /// alloc and dealloc through the Rust interface.
    Layout(usize),
    /// The same with one layout after another of [`LAYOUTS`].
    Layouts,
    /// free of a block of so many bytes that another thread has allocated.
    Remote(usize),
    /// malloc of a zeroed block of so many bytes, and free.
    Zeroed(usize),
    /// malloc of so many bytes with an alignment of 64, and free.
    Aligned(usize),
    /// malloc of so many bytes in a group of [`GROUP`], which is freed last first.
    Stack(usize),
    /// The same, freed first first.
    Queue(usize),
    /// The oldest of [`LIVE`] blocks is freed and one of another size allocated.
    Churn,
    /// A block that grows from 16 bytes to 4 KiB by doubling, and free.
    Grow,
}

const WORK: [(&str, Work); 15] = [
    ("empty", Work::Empty),
    ("pair-16", Work::Pair(16)),
    ("pair-48", Work::Pair(48)),
    ("among-48", Work::Among(48)),
    ("pair-1024", Work::Pair(1024)),
    ("pair-20000", Work::Pair(20_000)),
    ("layout-48", Work::Layout(48)),
    ("layouts", Work::Layouts),
    ("remote-48", Work::Remote(48)),
    ("zeroed-48", Work::Zeroed(48)),
    ("aligned-48", Work::Aligned(48)),
    ("stack-48", Work::Stack(48)),
    ("queue-48", Work::Queue(48)),
    ("churn", Work::Churn),
    ("grow", Work::Grow),
];

/// Sizes and alignments as Rust programs have them: of a string's bytes, of nodes and structs, of vectors, of what is aligned to a cache line.
const LAYOUTS: [(usize, usize); 8] = [(48, 8), (5, 1), (24, 8), (200, 8), (32, 16), (1024, 8), (64, 64), (300, 1)];

const GROUP: usize = 500;
const LIVE: usize = 1000;

/// A block on its way to the thread that frees it.
#[derive(Clone, Copy)]
struct Block(*mut u8);

// SAFETY: nobody touches a block after it was sent but the thread that frees it.
unsafe impl Send for Block {}

/// `WORK ROUNDS`, as often as one likes: one call of the measured function each.
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        usage();
    }
    for pair in arguments.chunks(2) {
        let [name, rounds] = pair else { usage() };
        let Some((_, work)) = WORK.iter().find(|(known, _)| known == name) else { usage() };
        let Ok(rounds) = rounds.parse() else { usage() };
        run(*work, rounds);
    }
}

fn run(work: Work, rounds: usize) {
    // As many as there are rounds, so that every round can free one. What is allocated here, and the thread's start and end,
    // lie outside of what is counted.
    let mut blocks: Vec<Block> = match work {
        Work::Remote(size) => (0..rounds).map(|_| Block(raw::allocate(size))).collect(),
        Work::Churn => {
            (0..rounds).map(|at| Block(if at < LIVE { raw::allocate(size_of(at)) } else { null() })).collect()
        }
        _ => vec![Block(null()); rounds],
    };
    let others: Vec<*mut u8> = match work {
        Work::Among(size) => (0..LIVE).map(|_| black_box(raw::allocate(size))).collect(),
        _ => Vec::new(),
    };
    match work {
        Work::Remote(_) => {
            std::thread::spawn(move || ravelin_measured(work, &mut blocks)).join().expect("a free does not panic");
        }
        _ => ravelin_measured(work, &mut blocks),
    }
    // The next call is to find as many live blocks as this one.
    // SAFETY: allocated above, and freed once.
    others.into_iter().for_each(|block| unsafe { raw::free(block) });
}

fn null() -> *mut u8 {
    core::ptr::null_mut()
}

/// From 16 to 1,024 bytes, in an order without a pattern.
fn size_of(round: usize) -> usize {
    (round.wrapping_mul(0x9e37_79b9) >> 8) % 1009 + 16
}

fn usage() -> ! {
    let names = WORK.map(|(name, _)| name).join("|");
    eprintln!("usage: pair {names} ROUNDS ..");
    std::process::exit(2)
}

/// A round for each block. Not inlined, and under its own name, for that is how callgrind finds it. Nor is any work inlined into it, or
/// each would cost what the registers that the others need leave it.
#[unsafe(no_mangle)]
#[inline(never)]
fn ravelin_measured(work: Work, blocks: &mut [Block]) {
    match work {
        Work::Empty => empty(blocks),
        Work::Pair(size) | Work::Among(size) => pair(blocks, size),
        Work::Layout(size) => layout(blocks, size),
        Work::Layouts => layouts(blocks),
        Work::Remote(_) => remote(blocks),
        Work::Zeroed(size) => zeroed(blocks, size),
        Work::Aligned(size) => aligned(blocks, size),
        Work::Stack(size) => stack(blocks, size),
        Work::Queue(size) => queue(blocks, size),
        Work::Churn => churn(blocks),
        Work::Grow => grow(blocks),
    }
}

#[inline(never)]
fn empty(blocks: &mut [Block]) {
    for block in blocks {
        black_box(block.0);
    }
}

#[inline(never)]
fn pair(blocks: &mut [Block], size: usize) {
    for _ in blocks {
        let block = black_box(raw::allocate(black_box(size)));
        // SAFETY: allocated above, and freed once.
        unsafe { raw::free(block) };
    }
}

#[inline(never)]
fn layout(blocks: &mut [Block], size: usize) {
    let Ok(layout) = Layout::from_size_align(size, 8) else { return };
    for _ in blocks {
        // SAFETY: the size is not zero.
        let block = black_box(unsafe { Ravelin.alloc(black_box(layout)) });
        // SAFETY: allocated above with this layout, and freed once.
        unsafe { Ravelin.dealloc(block, layout) };
    }
}

#[inline(never)]
fn layouts(blocks: &mut [Block]) {
    for (_, (size, align)) in blocks.iter().zip(LAYOUTS.into_iter().cycle()) {
        let Ok(layout) = Layout::from_size_align(black_box(size), align) else { return };
        // SAFETY: no size is zero.
        let block = black_box(unsafe { Ravelin.alloc(layout) });
        // SAFETY: allocated above with this layout, and freed once.
        unsafe { Ravelin.dealloc(block, layout) };
    }
}

#[inline(never)]
fn remote(blocks: &mut [Block]) {
    for block in blocks {
        // SAFETY: allocated by the main thread, which does not touch it again.
        unsafe { raw::free(black_box(block.0)) };
    }
}

#[inline(never)]
fn zeroed(blocks: &mut [Block], size: usize) {
    for _ in blocks {
        let block = black_box(raw::allocate_zeroed(black_box(size)));
        // SAFETY: allocated above, and freed once.
        unsafe { raw::free(block) };
    }
}

#[inline(never)]
fn aligned(blocks: &mut [Block], size: usize) {
    for _ in blocks {
        let block = black_box(raw::allocate_aligned(black_box(size), 64));
        // SAFETY: allocated above, and freed once.
        unsafe { raw::free(block) };
    }
}

#[inline(never)]
fn stack(blocks: &mut [Block], size: usize) {
    for group in blocks.chunks_mut(GROUP) {
        group.iter_mut().for_each(|block| block.0 = raw::allocate(black_box(size)));
        // SAFETY: allocated above, and freed once.
        group.iter().rev().for_each(|block| unsafe { raw::free(black_box(block.0)) });
    }
}

#[inline(never)]
fn queue(blocks: &mut [Block], size: usize) {
    for group in blocks.chunks_mut(GROUP) {
        group.iter_mut().for_each(|block| block.0 = raw::allocate(black_box(size)));
        // SAFETY: allocated above, and freed once.
        group.iter().for_each(|block| unsafe { raw::free(black_box(block.0)) });
    }
}

#[inline(never)]
fn churn(blocks: &mut [Block]) {
    for at in LIVE..blocks.len() {
        // SAFETY: allocated LIVE rounds ago, and freed once.
        unsafe { raw::free(blocks[at - LIVE].0) };
        blocks[at].0 = raw::allocate(size_of(at));
    }
}

#[inline(never)]
fn grow(blocks: &mut [Block]) {
    for _ in blocks {
        let mut block = raw::allocate(16);
        for power in 5..=12 {
            // SAFETY: allocated above, and replaced by the result.
            block = unsafe { raw::reallocate(block, 1 << power) };
        }
        // SAFETY: the last of them, and freed once.
        unsafe { raw::free(black_box(block)) };
    }
}
