//! What an ordinary program does with its memory, in short: the workload of the tests of hostile environments.

use corpus::stage::{Block, SIZES, fork, on_thread};
use ravelin::{check_heap, collect, raw};

/// Blocks of all sizes, filled, resized, freed by other threads, by an heir and in a child; zeroed ones where dirty ones were.
pub fn exercise() {
    for round in 0..2 {
        let live: Vec<(Block, usize)> =
            SIZES.into_iter().flat_map(|size| [size, size + 1]).map(|size| (filled(size), size)).collect();
        check(&live);
        resize();
        on_thread(resize);
        // Freed by a thread that does nothing else, and in a child.
        let abandoned: Vec<(Block, usize)> = on_thread(|| SIZES.map(|size| (filled(size), size)).to_vec());
        check(&abandoned);
        let child = fork(|| {
            check(&live);
            check(&abandoned);
            release(&abandoned);
            resize();
            i32::from(check_heap().is_err())
        });
        assert_eq!((child.signal, child.code), (0, 0), "{child:?}");
        on_thread(|| release(&live));
        release(&abandoned);
        zeroed();
        if round == 0 {
            collect(ravelin::Collect::Fully);
        }
        check_heap().expect("a sound heap");
    }
}

/// The bytes of a block that are looked at: enough of a large one.
fn looked_at(size: usize) -> usize {
    size.min(70_000)
}

fn filled(size: usize) -> Block {
    let block = Block::new(size);
    block.fill(looked_at(size));
    block.write_byte(size - 1, 0x5a);
    block
}

fn check(live: &[(Block, usize)]) {
    for (block, size) in live {
        let last = block.read_byte(size - 1);
        assert!(last == 0x5a, "the last of {size} bytes");
        block.write_byte(size - 1, block.pattern(size - 1));
        assert!(block.is_filled(looked_at(*size)), "{size} bytes are not what they were");
        block.write_byte(size - 1, 0x5a);
    }
}

fn release(live: &[(Block, usize)]) {
    live.iter().for_each(|(block, _)| block.free());
}

/// Grows a block over all sizes and shrinks it back. What it holds stays.
fn resize() {
    let mut block = Block::new(1);
    block.write_byte(0, 77);
    for size in SIZES.into_iter().chain(SIZES.into_iter().rev()) {
        block = Block(block.realloc(size));
        assert!(!block.0.is_null() && block.read_byte(0) == 77, "{size} bytes");
        block.write_byte(size - 1, 77);
        block.write_byte(0, 77);
    }
    block.free();
}

fn zeroed() {
    for size in SIZES {
        let dirty = [(); 3].map(|()| Block::new(size));
        dirty.iter().for_each(|block| block.soil(looked_at(size)));
        dirty.into_iter().for_each(Block::free);
        let clean = [(); 3].map(|()| Block(raw::allocate_zeroed(size)));
        assert!(clean.iter().all(|block| !block.0.is_null() && block.is_zero(size)), "{size} bytes");
        clean.into_iter().for_each(Block::free);
    }
}
