//! What aarch64 decides: the thread's block of words and how it is read.
//!
//! `tpidr_el0` points at the thread's control block; static thread-local storage lies at fixed distances from it. The
//! distance of our block is a word that the loader fills in (initial-exec), so a read is four instructions and calls nobody.

use core::arch::{asm, global_asm};
use core::ptr;
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

/// Has the processor fetch a line.
#[inline(always)]
pub(super) fn fetch_ahead(place: *const u8) {
    // SAFETY: reads nothing that the program could see, and never faults.
    unsafe { asm!("prfm pldl1keep, [{place}]", place = in(reg) place, options(nostack, preserves_flags, readonly)) };
}

/// What the function of [`divert`] is told of the access.
pub(super) const READ: usize = 1;
pub(super) const WRITE: usize = 2;
/// And of one that is neither, or of which the kernel does not say.
const NEITHER: usize = 0;

/// The thread goes on in `function(address, access)`, as if the instruction that faulted had called it.
///
/// # Safety
/// - `context` is that of a page fault, in its handler.
pub(super) unsafe fn divert(context: *mut c_void, function: extern "C" fn(usize, usize) -> !, address: usize) {
    // SAFETY: the caller's promise.
    let machine = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    // SAFETY: the caller's promise.
    let access = unsafe { access(ptr::from_mut(machine).cast()) };
    let from = machine.pc;
    let [first, second, .., link] = &mut machine.regs;
    (*first, *second, *link) = (address as _, access as _, from);
    machine.sp &= !15;
    machine.pc = (function as *const ()).addr() as _;
}

/// What the kernel appends to the registers: records, each with a magic number and its size, up to one that is zero.
const RECORDS: usize = size_of::<[u64; 36]>();
const RECORDS_END: usize = RECORDS + 4096;
/// The record with the syndrome of the fault (`ESR_MAGIC`), in its third word.
const SYNDROME: u32 = 0x4553_5201;
/// Of the syndrome: what kind of exception it was, and, for one of data, that it was a write.
const DATA_FROM_USER: u64 = 0x24;
const IS_WRITE: u64 = 1 << 6;

/// # Safety
/// - `machine` is the machine's part of a signal's context.
unsafe fn access(machine: *const u8) -> usize {
    let mut at = RECORDS;
    while at < RECORDS_END {
        // SAFETY: within the part of the context that holds the records, which are aligned to 16.
        let [magic, size] = unsafe { machine.wrapping_add(at).cast::<[u32; 2]>().read() };
        if magic == SYNDROME {
            // SAFETY: the record has this word.
            let syndrome = unsafe { machine.wrapping_add(at.wrapping_add(8)).cast::<u64>().read() };
            return match (syndrome >> 26, syndrome & IS_WRITE) {
                (DATA_FROM_USER, 0) => READ,
                (DATA_FROM_USER, _) => WRITE,
                _ => NEITHER,
            };
        }
        if magic == 0 || size < 8 {
            break;
        }
        at = at.saturating_add(size as usize);
    }
    NEITHER
}

/// Bytes before a return address that [`is_call`] looks at.
pub(super) const CALL: usize = 4;

/// Whether this instruction is a call: `bl`, or `blr` with or without authentication.
pub(super) fn is_call(code: &[u8; CALL]) -> bool {
    let instruction = u32::from_le_bytes(*code);
    instruction >> 26 == 0b10_0101 || instruction & 0xfeff_f000 == 0xd63f_0000
}

/// A return address as it may be signed, without its signature.
#[inline(always)]
pub(super) fn strip(address: usize) -> usize {
    address & ((1 << ADDRESS_BITS) - 1)
}

/// Six words that valgrind reads where it meets this sequence, which does nothing: a request, and what it is about.
#[inline(always)]
pub(super) fn ask_valgrind(words: &[usize; 6]) {
    // SAFETY: 128 bits of rotation and a register or itself; valgrind reads the words, and changes no memory of the program's
    // but what it keeps of it.
    unsafe {
        asm!("ror x12, x12, #3", "ror x12, x12, #13", "ror x12, x12, #51", "ror x12, x12, #61", "orr x10, x10, x10",
            inout("x3") 0_usize => _, in("x4") words, options(nostack));
    }
}

/// The address of the thread's control block.
pub(super) fn thread_pointer() -> usize {
    let pointer;
    // SAFETY: reads a register that every program may read.
    unsafe { asm!("mrs {pointer}, tpidr_el0", pointer = out(reg) pointer, options(nostack, preserves_flags, nomem)) };
    pointer
}
