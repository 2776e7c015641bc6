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

// Three words, zero at thread start. Hidden, not local: code of this crate is inlined into others.
global_asm!(
    concat!(".pushsection .tbss.", block!(), ",\"awT\",%nobits"),
    ".balign 16",
    concat!(".hidden ", block!()),
    concat!(".globl ", block!()),
    concat!(".type ", block!(), ",%object"),
    concat!(".size ", block!(), ",24"),
    concat!(block!(), ":"),
    ".zero 24",
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

/// The word at this distance from the start of the thread's block, in bytes.
#[inline(always)]
pub(super) fn load<const AT: usize>() -> *mut c_void {
    const { assert!(AT == 0 || AT == 8 || AT == 16, "the block has three words") };
    let word;
    // SAFETY: reads this thread's own word, whose distance from the thread pointer the loader has filled in before any code
    // ran. Not `pure`: a coroutine may go on in another thread between two reads.
    unsafe {
        asm!(find!(), "ldr {word}, [{place}, #{at}]", base = out(reg) _, place = out(reg) _, word = lateout(reg) word,
            at = const AT, options(nostack, preserves_flags, readonly));
    }
    word
}

/// Sets that word.
#[inline(always)]
pub(super) fn store<const AT: usize>(word: *mut c_void) {
    const { assert!(AT == 0 || AT == 8 || AT == 16, "the block has three words") };
    // SAFETY: writes this thread's own word, which nothing else in the program can name.
    unsafe {
        asm!(find!(), "str {word}, [{place}, #{at}]", base = out(reg) _, place = out(reg) _, word = in(reg) word,
            at = const AT, options(nostack, preserves_flags));
    }
}
