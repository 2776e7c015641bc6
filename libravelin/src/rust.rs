//! What Rust asks of a library that does without `std`.

use core::arch::global_asm;
use core::panic::PanicInfo;

use crate::stop::stop;

/// A dependency uses `alloc` (though not on any path here), so there must be an allocator: this one.
#[global_allocator]
static GLOBAL: engine::Ravelin = engine::Ravelin;

/// Not reachable in a release build, which a check of its symbols shows; a debug build has overflow checks.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop(b"ravelin: internal error: panic\n")
}

// The compiled `core` that comes with Rust was built for unwinding and names this function; a build without
// link-time optimisation keeps the name. Nothing here unwinds, so nobody calls it.
global_asm!(
    ".pushsection .text.ravelin_no_personality, \"ax\"",
    ".globl rust_eh_personality",
    ".hidden rust_eh_personality",
    ".type rust_eh_personality, @function",
    "rust_eh_personality:",
    ".4byte {trap}",
    ".size rust_eh_personality, 4",
    ".popsection",
    trap = const crate::arch::TRAP,
);
