//! x86-64: the entries of the throwing `operator new`, and the frames that a C++ exception crosses.
//!
//! `operator new` must throw, its new-handler may, and Rust has no frame that lets an exception through ([`crate::cxx`]). So:
//!
//! ```text
//!  _Znwm          a jump to cxx::new: first try
//!   `-> failed    (a jump too) asks for the new-handler, calls it, tries again, until memory or no handler
//!        `-> (a jump) the runtime's function that throws: the frame of new's caller is the next one up
//!
//!  catching       calls a throwing form for a `nothrow` one, and turns whatever it throws into null
//! ```
//!
//! The Rust functions that the frames call have returned before anything is thrown. The `.cfi` lines say, for each place
//! in a frame, where the return address and the saved registers are: the unwinder reads them. The entries have
//! none: a jump is no frame.
//!
//! An entry is a naked function since rustc exports no name that is defined in assembly. The label in it is the
//! entry's address under a name that a program cannot replace.

use core::arch::{global_asm, naked_asm};
use core::ffi::c_void;

use engine::MITIGATIONS;

use crate::cxx::{self, BEGIN_CATCH, END_CATCH, PERSONALITY};

/// `ud2`, for a place that is never reached.
#[cfg(not(test))]
pub(crate) const TRAP: u32 = 0x0b0f;

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
        "jmp {new}",
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
        "jmp {new_aligned}",
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
        "lea rax, [rip + ravelin_own_new]",
        "cmp rax, qword ptr [rip + _Znwm@GOTPCREL]",
        "je {new_array}",
        ".endif",
        "jmp qword ptr [rip + _Znwm@GOTPCREL]",
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
        "lea rax, [rip + ravelin_own_new_aligned]",
        "cmp rax, qword ptr [rip + _ZnwmSt11align_val_t@GOTPCREL]",
        "je {new_array_aligned}",
        ".endif",
        "jmp qword ptr [rip + _ZnwmSt11align_val_t@GOTPCREL]",
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
        "jmp {delete}",
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
        "jmp {delete_array}",
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
        "jmp {delete_aligned}",
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
        "jmp {delete_array_aligned}",
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

// The frame in which a new-handler runs. Below the four saved registers, which hold the arguments, it has room for a `Jump`.
global_asm!(
    ".pushsection .text.ravelin_failed, \"ax\", @progbits",
    ".globl ravelin_failed",
    ".hidden ravelin_failed",
    ".type ravelin_failed, @function",
    "ravelin_failed:",
    ".cfi_startproc",
    "push rbx",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbx, -16",
    "push r12",
    ".cfi_def_cfa_offset 24",
    ".cfi_offset r12, -24",
    "push r13",
    ".cfi_def_cfa_offset 32",
    ".cfi_offset r13, -32",
    "push r14",
    ".cfi_def_cfa_offset 40",
    ".cfi_offset r14, -40",
    "sub rsp, 40",
    ".cfi_def_cfa_offset 80",
    "mov rbx, rdi",
    "mov r12, rsi",
    "mov r13, rdx",
    "mov r14, rcx",
    "test rcx, rcx",
    "je 3f",
    "2:",
    "call {handler}",
    "test rax, rax",
    "je 3f",
    "call rax",
    "mov rdi, rbx",
    "mov rsi, r12",
    "mov rdx, r13",
    "call r14",
    "test rax, rax",
    "je 2b",
    ".cfi_remember_state",
    "add rsp, 40",
    ".cfi_def_cfa_offset 40",
    "pop r14",
    ".cfi_def_cfa_offset 32",
    ".cfi_restore r14",
    "pop r13",
    ".cfi_def_cfa_offset 24",
    ".cfi_restore r13",
    "pop r12",
    ".cfi_def_cfa_offset 16",
    ".cfi_restore r12",
    "pop rbx",
    ".cfi_def_cfa_offset 8",
    ".cfi_restore rbx",
    "ret",
    ".cfi_restore_state",
    "3:",
    "mov rdi, rsp",
    "call {throw}",
    "mov rax, [rsp]",
    "mov rdi, [rsp + 8]",
    "mov rsi, [rsp + 16]",
    "mov rdx, [rsp + 24]",
    "add rsp, 40",
    ".cfi_def_cfa_offset 40",
    "pop r14",
    ".cfi_def_cfa_offset 32",
    ".cfi_restore r14",
    "pop r13",
    ".cfi_def_cfa_offset 24",
    ".cfi_restore r13",
    "pop r12",
    ".cfi_def_cfa_offset 16",
    ".cfi_restore r12",
    "pop rbx",
    ".cfi_def_cfa_offset 8",
    ".cfi_restore rbx",
    "jmp rax",
    ".cfi_endproc",
    ".size ravelin_failed, . - ravelin_failed",
    ".popsection",
    handler = sym cxx::handler,
    throw = sym cxx::throw,
);

// The frame in which a new-handler runs once. Without one, what follows is `failed` with nothing to try.
global_asm!(
    ".pushsection .text.ravelin_too_many, \"ax\", @progbits",
    ".globl ravelin_too_many",
    ".hidden ravelin_too_many",
    ".type ravelin_too_many, @function",
    "ravelin_too_many:",
    ".cfi_startproc",
    "sub rsp, 8",
    ".cfi_def_cfa_offset 16",
    "call {handler}",
    "test rax, rax",
    "je 2f",
    "call rax",
    "xor eax, eax",
    "add rsp, 8",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_def_cfa_offset 16",
    "2:",
    "add rsp, 8",
    ".cfi_def_cfa_offset 8",
    "xor ecx, ecx",
    "jmp ravelin_failed",
    ".cfi_endproc",
    ".size ravelin_too_many, . - ravelin_too_many",
    ".popsection",
    handler = sym cxx::handler,
);

// What a C++ compiler makes of `try { return new(size, align); } catch (...) { return nullptr; }`. The table behind it says: an
// exception out of the call goes to the catch, whatever its type. The personality is C++'s own, by way of our cell.
global_asm!(
    ".pushsection .text.ravelin_catching, \"ax\", @progbits",
    ".globl ravelin_catching",
    ".hidden ravelin_catching",
    ".type ravelin_catching, @function",
    "ravelin_catching:",
    ".cfi_startproc",
    ".cfi_personality 0x9b, {personality}", // indirect, pc-relative, 4 bytes
    ".cfi_lsda 0x1b, .Lravelin_catching_table", // pc-relative, 4 bytes
    "sub rsp, 8",
    ".cfi_def_cfa_offset 16",
    ".Lravelin_try:",
    "call rdx",
    ".Lravelin_tried:",
    "add rsp, 8",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".Lravelin_catch:",
    ".cfi_def_cfa_offset 16",
    "mov rdi, rax",
    "call qword ptr [rip + {begin_catch}]",
    "call qword ptr [rip + {end_catch}]",
    "xor eax, eax",
    "add rsp, 8",
    ".cfi_def_cfa_offset 8",
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
