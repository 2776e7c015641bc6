//! AArch64: the entries of the throwing `operator new`, and the frames that a C++ exception crosses. `x86_64.rs` has the
//! picture.

use core::arch::{global_asm, naked_asm};
use core::ffi::c_void;

use engine::MITIGATIONS;

use crate::cxx::{self, BEGIN_CATCH, END_CATCH, PERSONALITY};

/// `udf`, for a place that is never reached.
#[cfg(not(test))]
pub(crate) const TRAP: u32 = 0;

/// `operator new(size_t)`.
///
/// # Safety
/// - May throw: no Rust function may call it.
#[unsafe(naked)]
#[unsafe(export_name = "_Znwm")]
unsafe extern "C" fn new(size: usize) -> *mut c_void {
    naked_asm!(
        ".globl ravelin_own_new",
        ".hidden ravelin_own_new",
        "ravelin_own_new:",
        "b {new}",
        new = sym cxx::new,
    )
}

/// `operator new(size_t, std::align_val_t)`.
///
/// # Safety
/// - May throw: no Rust function may call it.
#[unsafe(naked)]
#[unsafe(export_name = "_ZnwmSt11align_val_t")]
unsafe extern "C" fn new_aligned(size: usize, align: usize) -> *mut c_void {
    naked_asm!(
        ".globl ravelin_own_new_aligned",
        ".hidden ravelin_own_new_aligned",
        "ravelin_own_new_aligned:",
        "b {new_aligned}",
        new_aligned = sym cxx::new_aligned,
    )
}

/// `operator new[](size_t)`: the form for one object, by its public name.
///
/// # Safety
/// - May throw: no Rust function may call it.
#[unsafe(naked)]
#[unsafe(export_name = "_Znam")]
unsafe extern "C" fn new_array(size: usize) -> *mut c_void {
    naked_asm!(
        ".globl ravelin_own_new_array",
        ".hidden ravelin_own_new_array",
        "ravelin_own_new_array:",
        ".if {checked}",
        "adrp x16, ravelin_own_new",
        "add x16, x16, :lo12:ravelin_own_new",
        "adrp x17, :got:_Znwm",
        "ldr x17, [x17, :got_lo12:_Znwm]",
        "cmp x16, x17",
        "b.ne 2f",
        "b {new_array}",
        "2:",
        ".endif",
        "b _Znwm",
        checked = const MITIGATIONS.origin_checks as u32,
        new_array = sym cxx::new_array,
    )
}

/// `operator new[](size_t, std::align_val_t)`: the form for one object, by its public name.
///
/// # Safety
/// - May throw: no Rust function may call it.
#[unsafe(naked)]
#[unsafe(export_name = "_ZnamSt11align_val_t")]
unsafe extern "C" fn new_array_aligned(size: usize, align: usize) -> *mut c_void {
    naked_asm!(
        ".globl ravelin_own_new_array_aligned",
        ".hidden ravelin_own_new_array_aligned",
        "ravelin_own_new_array_aligned:",
        ".if {checked}",
        "adrp x16, ravelin_own_new_aligned",
        "add x16, x16, :lo12:ravelin_own_new_aligned",
        "adrp x17, :got:_ZnwmSt11align_val_t",
        "ldr x17, [x17, :got_lo12:_ZnwmSt11align_val_t]",
        "cmp x16, x17",
        "b.ne 2f",
        "b {new_array_aligned}",
        "2:",
        ".endif",
        "b _ZnwmSt11align_val_t",
        checked = const MITIGATIONS.origin_checks as u32,
        new_array_aligned = sym cxx::new_array_aligned,
    )
}

/// `operator delete(void*)`.
///
/// # Safety
/// - `block` is null or came from `operator new`, and nobody uses it any more.
#[unsafe(naked)]
#[unsafe(export_name = "_ZdlPv")]
unsafe extern "C" fn delete(block: *mut c_void) {
    naked_asm!(
        ".globl ravelin_own_delete",
        ".hidden ravelin_own_delete",
        "ravelin_own_delete:",
        "b {delete}",
        delete = sym cxx::delete,
    )
}

/// `operator delete[](void*)`.
///
/// # Safety
/// - `block` is null or came from `operator new`, and nobody uses it any more.
#[unsafe(naked)]
#[unsafe(export_name = "_ZdaPv")]
unsafe extern "C" fn delete_array(block: *mut c_void) {
    naked_asm!(
        ".globl ravelin_own_delete_array",
        ".hidden ravelin_own_delete_array",
        "ravelin_own_delete_array:",
        "b {delete_array}",
        delete_array = sym cxx::delete_array,
    )
}

/// `operator delete(void*, std::align_val_t)`.
///
/// # Safety
/// - `block` is null or came from `operator new`, and nobody uses it any more.
#[unsafe(naked)]
#[unsafe(export_name = "_ZdlPvSt11align_val_t")]
unsafe extern "C" fn delete_aligned(block: *mut c_void, align: usize) {
    naked_asm!(
        ".globl ravelin_own_delete_aligned",
        ".hidden ravelin_own_delete_aligned",
        "ravelin_own_delete_aligned:",
        "b {delete_aligned}",
        delete_aligned = sym cxx::delete_aligned,
    )
}

/// `operator delete[](void*, std::align_val_t)`.
///
/// # Safety
/// - `block` is null or came from `operator new`, and nobody uses it any more.
#[unsafe(naked)]
#[unsafe(export_name = "_ZdaPvSt11align_val_t")]
unsafe extern "C" fn delete_array_aligned(block: *mut c_void, align: usize) {
    naked_asm!(
        ".globl ravelin_own_delete_array_aligned",
        ".hidden ravelin_own_delete_array_aligned",
        "ravelin_own_delete_array_aligned:",
        "b {delete_array_aligned}",
        delete_array_aligned = sym cxx::delete_array_aligned,
    )
}

unsafe extern "C" {
    /// A throwing form found no memory at its first try. Returns what `retry` gives of these arguments, throws what the
    /// new-handler throws, or throws `std::bad_alloc`: at once if there is no `retry`, because no handler can help.
    ///
    /// # Safety
    /// - It is called as the last act of a throwing form, so that the call is a jump and the caller's frame is gone.
    /// - `retry` may be called with the arguments, does not unwind, and answers null for want of memory only.
    #[link_name = "ravelin_failed"]
    pub(crate) fn failed(a: usize, b: usize, c: *mut c_void, retry: Option<cxx::Retry>) -> *mut c_void;

    /// A throwing form was asked for more than can be counted. The new-handler is called once, and then null returned;
    /// without a handler, `std::bad_alloc` is thrown.
    ///
    /// # Safety
    /// - It is called as the last act of a throwing form, so that the call is a jump and the caller's frame is gone.
    #[link_name = "ravelin_too_many"]
    pub(crate) fn too_many() -> *mut c_void;

    /// Calls `new(size, align)` and returns its answer, or null if it throws anything.
    ///
    /// # Safety
    /// - `new` is a throwing form of `operator new`.
    /// - [`PERSONALITY`], [`BEGIN_CATCH`] and [`END_CATCH`] are filled in.
    #[link_name = "ravelin_catching"]
    pub(crate) fn catching(size: usize, align: usize, new: *mut c_void) -> *mut c_void;
}

// The frame in which a new-handler runs. Above the six saved registers, four of which hold the arguments, it has room for a `Jump`.
global_asm!(
    ".pushsection .text.ravelin_failed, \"ax\", @progbits",
    ".balign 4",
    ".globl ravelin_failed",
    ".hidden ravelin_failed",
    ".type ravelin_failed, @function",
    "ravelin_failed:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-80]!",
    ".cfi_def_cfa_offset 80",
    ".cfi_offset x29, -80",
    ".cfi_offset x30, -72",
    "stp x19, x20, [sp, #16]",
    ".cfi_offset x19, -64",
    ".cfi_offset x20, -56",
    "stp x21, x22, [sp, #32]",
    ".cfi_offset x21, -48",
    ".cfi_offset x22, -40",
    "mov x29, sp",
    "mov x19, x0",
    "mov x20, x1",
    "mov x21, x2",
    "mov x22, x3",
    "cbz x3, 3f",
    "2:",
    "bl {handler}",
    "cbz x0, 3f",
    "blr x0",
    "mov x0, x19",
    "mov x1, x20",
    "mov x2, x21",
    "blr x22",
    "cbz x0, 2b",
    ".cfi_remember_state",
    "ldp x19, x20, [sp, #16]",
    ".cfi_restore x19",
    ".cfi_restore x20",
    "ldp x21, x22, [sp, #32]",
    ".cfi_restore x21",
    ".cfi_restore x22",
    "ldp x29, x30, [sp], #80",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "ret",
    ".cfi_restore_state",
    "3:",
    "add x0, sp, #48",
    "bl {throw}",
    // x16 is one of the two registers through which a jump may enter a function that guards its entry (BTI).
    "ldp x16, x0, [sp, #48]",
    "ldp x1, x2, [sp, #64]",
    "ldp x19, x20, [sp, #16]",
    ".cfi_restore x19",
    ".cfi_restore x20",
    "ldp x21, x22, [sp, #32]",
    ".cfi_restore x21",
    ".cfi_restore x22",
    "ldp x29, x30, [sp], #80",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "br x16",
    ".cfi_endproc",
    ".size ravelin_failed, . - ravelin_failed",
    ".popsection",
    handler = sym cxx::handler,
    throw = sym cxx::throw,
);

// The frame in which a new-handler runs once. Without one, what follows is `failed` with nothing to try.
global_asm!(
    ".pushsection .text.ravelin_too_many, \"ax\", @progbits",
    ".balign 4",
    ".globl ravelin_too_many",
    ".hidden ravelin_too_many",
    ".type ravelin_too_many, @function",
    "ravelin_too_many:",
    ".cfi_startproc",
    "stp x29, x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset x29, -16",
    ".cfi_offset x30, -8",
    "mov x29, sp",
    "bl {handler}",
    "cbz x0, 2f",
    "blr x0",
    "mov x0, xzr",
    ".cfi_remember_state",
    "ldp x29, x30, [sp], #16",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "ret",
    ".cfi_restore_state",
    "2:",
    "ldp x29, x30, [sp], #16",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "mov x3, xzr",
    "b ravelin_failed",
    ".cfi_endproc",
    ".size ravelin_too_many, . - ravelin_too_many",
    ".popsection",
    handler = sym cxx::handler,
);

// What a C++ compiler makes of `try { return new(size, align); } catch (...) { return nullptr; }`. The table behind it says: an
// exception out of the call goes to the catch, whatever its type. The personality is C++'s own, by way of our cell.
global_asm!(
    ".pushsection .text.ravelin_catching, \"ax\", @progbits",
    ".balign 4",
    ".globl ravelin_catching",
    ".hidden ravelin_catching",
    ".type ravelin_catching, @function",
    "ravelin_catching:",
    ".cfi_startproc",
    ".cfi_personality 0x9b, {personality}", // indirect, pc-relative, 4 bytes
    ".cfi_lsda 0x1b, .Lravelin_catching_table", // pc-relative, 4 bytes
    "stp x29, x30, [sp, #-16]!",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset x29, -16",
    ".cfi_offset x30, -8",
    "mov x29, sp",
    ".Lravelin_try:",
    "blr x2",
    ".Lravelin_tried:",
    "ldp x29, x30, [sp], #16",
    ".cfi_remember_state",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "ret",
    ".Lravelin_catch:",
    ".cfi_restore_state",
    "adrp x1, {begin_catch}",
    "ldr x1, [x1, :lo12:{begin_catch}]",
    "blr x1",
    "adrp x1, {end_catch}",
    "ldr x1, [x1, :lo12:{end_catch}]",
    "blr x1",
    "mov x0, xzr",
    "ldp x29, x30, [sp], #16",
    ".cfi_def_cfa_offset 0",
    ".cfi_restore x29",
    ".cfi_restore x30",
    "ret",
    ".cfi_endproc",
    ".size ravelin_catching, . - ravelin_catching",
    ".popsection",
    ".pushsection .gcc_except_table.ravelin_catching, \"a\", @progbits",
    ".balign 4",
    ".Lravelin_catching_table:",
    ".byte 0xff", // landing pads count from the function's start
    ".byte 0x9b", // types are indirect, pc-relative, 4 bytes
    ".uleb128 .Lravelin_types - .Lravelin_calls_size",
    ".Lravelin_calls_size:",
    ".byte 0x01", // the numbers below are uleb128
    ".uleb128 .Lravelin_actions - .Lravelin_calls",
    ".Lravelin_calls:",
    ".uleb128 .Lravelin_try - ravelin_catching",
    ".uleb128 .Lravelin_tried - .Lravelin_try",
    ".uleb128 .Lravelin_catch - ravelin_catching",
    ".uleb128 1", // the first action
    ".Lravelin_actions:",
    ".byte 1, 0", // the first type; no further action
    ".balign 4",
    ".long 0", // any type
    ".Lravelin_types:",
    ".popsection",
    personality = sym PERSONALITY,
    begin_catch = sym BEGIN_CATCH,
    end_catch = sym END_CATCH,
);
