//! What x86-64 decides: the thread's block of words and how it is read.
//!
//! `fs` points at the thread's control block; static thread-local storage lies at fixed distances from it. The distance of
//! our block is a word that the loader fills in (initial-exec), so a read is two instructions and calls nobody.

use core::arch::{asm, global_asm};
use core::ptr;
use libc::{c_int, c_void};

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

// Three words, zero at thread start. Hidden, not local: code of this crate is inlined into others.
global_asm!(
    concat!(".pushsection .tbss.", block!(), ",\"awT\",@nobits"),
    ".balign 16",
    concat!(".hidden ", block!()),
    concat!(".globl ", block!()),
    concat!(".type ", block!(), ",@object"),
    concat!(".size ", block!(), ",24"),
    concat!(block!(), ":"),
    ".zero 24",
    ".popsection",
);

/// The word at this distance from the start of the thread's block, in bytes.
#[inline(always)]
pub(super) fn load<const AT: usize>() -> *mut c_void {
    const { assert!(AT == 0 || AT == 8 || AT == 16, "the block has three words") };
    let word;
    // SAFETY: reads this thread's own word, whose distance from `fs` the loader has filled in before any code ran.
    // Not `pure`: a coroutine may go on in another thread between two reads.
    unsafe {
        asm!(concat!("mov {word}, qword ptr [rip + ", block!(), "@GOTTPOFF]"), "mov {word}, qword ptr fs:[{word} + {at}]",
            word = out(reg) word, at = const AT, options(nostack, preserves_flags, readonly));
    }
    word
}

/// Sets that word.
#[inline(always)]
pub(super) fn store<const AT: usize>(word: *mut c_void) {
    const { assert!(AT == 0 || AT == 8 || AT == 16, "the block has three words") };
    // SAFETY: writes this thread's own word, which nothing else in the program can name.
    unsafe {
        asm!(concat!("mov {place}, qword ptr [rip + ", block!(), "@GOTTPOFF]"), "mov qword ptr fs:[{place} + {at}], {word}",
            place = out(reg) _, word = in(reg) word, at = const AT, options(nostack, preserves_flags));
    }
}

/// Has the processor fetch a line.
#[inline(always)]
pub(super) fn fetch_ahead(place: *const u8) {
    // SAFETY: reads nothing that the program could see, and never faults.
    unsafe {
        asm!("prefetcht0 byte ptr [{place}]", place = in(reg) place, options(nostack, preserves_flags, readonly))
    };
}

/// What the function of [`divert`] is told of the access.
pub(super) const READ: usize = 1;
pub(super) const WRITE: usize = 2;
/// And of one that is neither, as of an instruction.
const NEITHER: usize = 0;

/// Bits of a page fault's error code: it was a write, it was an instruction.
const IS_WRITE: i64 = 2;
const IS_INSTRUCTION: i64 = 16;

/// The thread goes on in `function(address, access)`, as if the instruction that faulted had called it.
///
/// # Safety
/// - `context` is that of a page fault, in its handler.
pub(super) unsafe fn divert(context: *mut c_void, function: extern "C" fn(usize, usize) -> !, address: usize) {
    const NUMBERS: [c_int; 5] = [libc::REG_ERR, libc::REG_RIP, libc::REG_RSP, libc::REG_RDI, libc::REG_RSI];
    // SAFETY: the caller's promise.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let Ok([error, instruction, stack, first, second]) =
        registers.get_disjoint_mut(NUMBERS.map(|number| number as usize))
    else {
        return; // cannot be: the numbers are different, and all there
    };
    *first = address as i64;
    *second = match *error {
        error if error & IS_INSTRUCTION != 0 => NEITHER,
        error if error & IS_WRITE != 0 => WRITE,
        _ => READ,
    } as i64;
    // Below the red zone, and as a call leaves it: a multiple of 16, and then the return address.
    let top = ((*stack as usize).wrapping_sub(128) & !15).wrapping_sub(8);
    // SAFETY: the thread's own stack, below all that it uses there.
    unsafe { ptr::with_exposed_provenance_mut::<i64>(top).write(*instruction) };
    *stack = top as i64;
    *instruction = (function as *const ()).addr() as i64;
}

/// Bytes before a return address that [`is_call`] looks at.
pub(super) const CALL: usize = 7;

/// Whether these bytes end in a call: of a place (e8 and four bytes), or by a register or memory (ff /2, in two to seven bytes).
pub(super) fn is_call(code: &[u8; CALL]) -> bool {
    let direct = code.get(CALL - 5) == Some(&0xe8);
    let indirect = code.windows(2).any(|pair| matches!(pair, [0xff, modrm] if modrm & 0x38 == 0x10));
    direct || indirect
}

/// A return address as it lies on the stack.
#[inline(always)]
pub(super) fn strip(address: usize) -> usize {
    address
}

/// Six words that valgrind reads where it meets this sequence, which does nothing: a request, and what it is about. The
/// first of them goes on as it was anywhere else; valgrind's answer takes its place.
#[inline(always)]
pub(super) fn ask_valgrind(words: &[usize; 6]) {
    // SAFETY: 128 bits of rotation and an exchange of a register with itself; valgrind reads the words, and changes no memory
    // of the program's but what it keeps of it.
    unsafe {
        asm!("rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") words, inout("rdx") 0_usize => _, options(nostack));
    }
}

/// The address of the thread's control block.
pub(super) fn thread_pointer() -> usize {
    let pointer;
    // SAFETY: the first word of the control block is its own address, by the ABI of every C library on this machine.
    unsafe {
        asm!("mov {pointer}, qword ptr fs:[0]", pointer = out(reg) pointer, options(nostack, preserves_flags, readonly))
    };
    pointer
}
