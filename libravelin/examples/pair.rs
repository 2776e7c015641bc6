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
    /// malloc and free of so many bytes.
    Pair(usize),
    /// alloc and dealloc through the Rust interface.
    Layout(usize),
    /// free of a block of so many bytes that another thread has allocated.
    Remote(usize),
}

/// A block on its way to the thread that frees it.
#[derive(Clone, Copy)]
struct Block(*mut u8);

// SAFETY: nobody touches a block after it was sent but the thread that frees it.
unsafe impl Send for Block {}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let work = match arguments.next().as_deref() {
        Some("empty") => Work::Empty,
        Some("pair-16") => Work::Pair(16),
        Some("pair-48") => Work::Pair(48),
        Some("pair-1024") => Work::Pair(1024),
        Some("layout-48") => Work::Layout(48),
        Some("remote-48") => Work::Remote(48),
        _ => usage(),
    };
    let Some(rounds) = arguments.next().and_then(|text| text.parse().ok()) else { usage() };

    // As many as there are rounds, so that every round can free one. The thread starts and ends outside of what is
    // counted.
    let blocks: Vec<Block> = match work {
        Work::Remote(size) => (0..rounds).map(|_| Block(raw::allocate(size))).collect(),
        _ => vec![Block(core::ptr::null_mut()); rounds],
    };
    match work {
        Work::Remote(_) => {
            std::thread::spawn(move || ravelin_measured(work, &blocks)).join().expect("a free does not panic");
        }
        _ => ravelin_measured(work, &blocks),
    }
}

fn usage() -> ! {
    eprintln!("usage: pair empty|pair-16|pair-48|pair-1024|layout-48|remote-48 ROUNDS");
    std::process::exit(2)
}

/// A round for each block. Not inlined, and under its own name, for that is how callgrind finds it.
#[unsafe(no_mangle)]
#[inline(never)]
fn ravelin_measured(work: Work, blocks: &[Block]) {
    match work {
        Work::Empty => {
            for block in blocks {
                black_box(block.0);
            }
        }
        Work::Pair(size) => {
            for _ in blocks {
                let block = black_box(raw::allocate(black_box(size)));
                // SAFETY: allocated above, and freed once.
                unsafe { raw::free(block) };
            }
        }
        Work::Layout(size) => {
            let Ok(layout) = Layout::from_size_align(size, 8) else { return };
            for _ in blocks {
                // SAFETY: the size is not zero.
                let block = black_box(unsafe { Ravelin.alloc(black_box(layout)) });
                // SAFETY: allocated above with this layout, and freed once.
                unsafe { Ravelin.dealloc(block, layout) };
            }
        }
        Work::Remote(_) => {
            for block in blocks {
                // SAFETY: allocated by the main thread, which does not touch it again.
                unsafe { raw::free(black_box(block.0)) };
            }
        }
    }
}
