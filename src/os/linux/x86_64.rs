//! What x86-64 decides: the thread's block of words and how it is read.
//!
//! `fs` points at the thread's control block; static thread-local storage lies at fixed distances from it. The distance of
//! our block is a word that the loader fills in (initial-exec), so a read is two instructions and calls nobody.

use core::arch::{asm, global_asm};
use libc::c_void;

/// User addresses are below 2 to the power of this.
pub(crate) const ADDRESS_BITS: u32 = 47;

/// The name of the block. It carries the version: two versions of this crate can meet in one program, and must not share it.
macro_rules! block {
    () => {
        concat!(
            "__ravelin_local_",
            env!("CARGO_PKG_VERSION_MAJOR"),
            "_",
            env!("CARGO_PKG_VERSION_MINOR"),
            "_",
            env!("CARGO_PKG_VERSION_PATCH"),
            env!("CARGO_PKG_VERSION_PRE")
        )
    };
}

// Two words, zero at thread start. Hidden, not local: code of this crate is inlined into others.
global_asm!(
    concat!(".pushsection .tbss.", block!(), ",\"awT\",@nobits"),
    ".balign 16",
    concat!(".hidden ", block!()),
    concat!(".globl ", block!()),
    concat!(".type ", block!(), ",@object"),
    concat!(".size ", block!(), ",16"),
    concat!(block!(), ":"),
    ".zero 16",
    ".popsection",
);

/// Word 0 of the thread's block.
#[inline(always)]
pub(super) fn load_first() -> *mut c_void {
    let word;
    // SAFETY: reads this thread's own word, whose distance from `fs` the loader has filled in before any code ran.
    // Not `pure`: a coroutine may go on in another thread between two reads.
    unsafe {
        asm!(concat!("mov {word}, qword ptr [rip + ", block!(), "@GOTTPOFF]"), "mov {word}, qword ptr fs:[{word}]",
            word = out(reg) word, options(nostack, preserves_flags, readonly));
    }
    word
}

/// Sets word 0 of the thread's block.
#[inline(always)]
pub(super) fn store_first(word: *mut c_void) {
    // SAFETY: writes this thread's own word, which nothing else in the program can name.
    unsafe {
        asm!(concat!("mov {place}, qword ptr [rip + ", block!(), "@GOTTPOFF]"), "mov qword ptr fs:[{place}], {word}",
            place = out(reg) _, word = in(reg) word, options(nostack, preserves_flags));
    }
}

/// Word 1 of the thread's block.
#[inline(always)]
pub(super) fn load_second() -> usize {
    let word;
    // SAFETY: as `load_first`; the block has two words.
    unsafe {
        asm!(concat!("mov {word}, qword ptr [rip + ", block!(), "@GOTTPOFF]"), "mov {word}, qword ptr fs:[{word} + 8]",
            word = out(reg) word, options(nostack, preserves_flags, readonly));
    }
    word
}

/// Sets word 1 of the thread's block.
#[inline(always)]
pub(super) fn store_second(word: usize) {
    // SAFETY: as `store_first`; the block has two words.
    unsafe {
        asm!(concat!("mov {place}, qword ptr [rip + ", block!(), "@GOTTPOFF]"), "mov qword ptr fs:[{place} + 8], {word}",
            place = out(reg) _, word = in(reg) word, options(nostack, preserves_flags));
    }
}
