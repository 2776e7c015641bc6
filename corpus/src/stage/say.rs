//! What the actors tell the audience, on stdout, without allocating; and a look at the consequences of a call that should not have returned.

use super::block::Block;
use super::ending::{ACCESS, ACCESSED, HARM};
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use ravelin_testing::{guilty as told_guilty, look as told};

pub use ravelin_testing::say;

/// The size that was asked for last: the one that a misuse is likely to be about.
static LAST_SIZE: AtomicUsize = AtomicUsize::new(0);

pub(super) fn remember(size: usize) {
    LAST_SIZE.store(size, Relaxed);
}

/// Makes the guilty call, about `address`: it must not return. If it does, its harm is looked for.
pub fn guilty<T>(address: usize, call: impl FnOnce() -> T) -> T {
    let result = told_guilty(core::ptr::without_provenance::<u8>(address), call);
    aftermath(address);
    result
}

/// Tells of the pointer that a report must name, and of the thread.
pub fn look(address: usize) {
    told(core::ptr::without_provenance::<u8>(address));
}

/// Accesses memory about `address` where a guard may be met: then it does not return.
pub fn access<T>(address: usize, work: impl FnOnce() -> T) -> T {
    look(address);
    say(format_args!("{ACCESS}"));
    let result = core::hint::black_box(work());
    say(format_args!("{ACCESSED}"));
    result
}

/// Says that a misuse has come to harm.
pub fn harm(words: core::fmt::Arguments<'_>) {
    say(format_args!("{HARM}{words}"));
}

/// Blocks that are allocated to see whether two of them overlap.
const MANY: usize = 600;

/// Allocates many blocks of the size in question: whether two live ones overlap now, or one lies where nobody has allocated.
pub fn aftermath(address: usize) {
    let size = LAST_SIZE.load(Relaxed);
    let many = MANY.min((1 << 28) / size.max(1));
    let mut blocks = [core::ptr::null_mut::<u8>(); MANY];
    for block in blocks.iter_mut().take(many) {
        *block = Block::new(size).0;
    }
    let blocks = &mut blocks[..many];
    blocks.sort_unstable();
    if blocks.windows(2).any(|pair| pair[0].addr() + size.max(1) > pair[1].addr()) {
        return harm(format_args!("two live blocks of {size} bytes overlap"));
    }
    let stack = (&raw const size).addr();
    if blocks.iter().any(|block| block.addr().abs_diff(stack) < 1 << 20) {
        return harm(format_args!("a block lies on the stack"));
    }
    if !address.is_multiple_of(16) && blocks.iter().any(|block| block.addr() == address) {
        harm(format_args!("a block starts at {address:#x}"));
    }
}
