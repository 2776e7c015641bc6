//! What aarch64 decides: the thread's block of words and how it is read.
//!
//! `tpidr_el0` points at the thread's control block; static thread-local storage lies at fixed distances from it. The
//! distance of our block is a word that the loader fills in (initial-exec), so a read is four instructions and calls nobody.

use core::arch::{asm, global_asm};
use libc::c_void;

/// User addresses are below 2 to the power of this (more only on request, which we never make).
pub(crate) const ADDRESS_BITS: u32 = 48;

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
    concat!(".pushsection .tbss.", block!(), ",\"awT\",%nobits"),
    ".balign 16",
    concat!(".hidden ", block!()),
    concat!(".globl ", block!()),
    concat!(".type ", block!(), ",%object"),
    concat!(".size ", block!(), ",16"),
    concat!(block!(), ":"),
    ".zero 16",
    ".popsection",
);

/// The address of the thread's block, as a number: only the instructions here use it.
macro_rules! find {
    () => {
        concat!(
            "mrs {base}, tpidr_el0\nadrp {place}, :gottprel:",
            block!(),
            "\nldr {place}, [{place}, :gottprel_lo12:",
            block!(),
            "]\nadd {place}, {base}, {place}"
        )
    };
}

/// Word 0 of the thread's block.
#[inline(always)]
pub(super) fn load_first() -> *mut c_void {
    let word;
    // SAFETY: reads this thread's own word, whose distance from the thread pointer the loader has filled in before any code
    // ran. Not `pure`: a coroutine may go on in another thread between two reads.
    unsafe {
        asm!(find!(), "ldr {word}, [{place}]", base = out(reg) _, place = out(reg) _, word = lateout(reg) word,
            options(nostack, preserves_flags, readonly));
    }
    word
}

/// Sets word 0 of the thread's block.
#[inline(always)]
pub(super) fn store_first(word: *mut c_void) {
    // SAFETY: writes this thread's own word, which nothing else in the program can name.
    unsafe {
        asm!(find!(), "str {word}, [{place}]", base = out(reg) _, place = out(reg) _, word = in(reg) word,
            options(nostack, preserves_flags));
    }
}

/// Word 1 of the thread's block.
#[inline(always)]
pub(super) fn load_second() -> usize {
    let word;
    // SAFETY: as `load_first`; the block has two words.
    unsafe {
        asm!(find!(), "ldr {word}, [{place}, #8]", base = out(reg) _, place = out(reg) _, word = lateout(reg) word,
            options(nostack, preserves_flags, readonly));
    }
    word
}

/// Sets word 1 of the thread's block.
#[inline(always)]
pub(super) fn store_second(word: usize) {
    // SAFETY: as `store_first`; the block has two words.
    unsafe {
        asm!(find!(), "str {word}, [{place}, #8]", base = out(reg) _, place = out(reg) _, word = in(reg) word,
            options(nostack, preserves_flags));
    }
}
