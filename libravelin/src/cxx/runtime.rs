//! What is asked of others by name when it is needed: the C++ runtime, and the replaceable operators.
//!
//! The table holds one address for each name, filled in by the dynamic linker (or the static one) before anything runs. A weak
//! name that nobody defines reads as null. A table rather than instructions, because a compiler that sees a call of an
//! operator defined in this very library would call it directly, past the program's replacement.

use core::arch::global_asm;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::null_mut;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::Relaxed;

/// An address of code. Only assembly calls it without knowing its type.
pub(crate) type Code = *mut c_void;
/// `operator delete(void*)`, one or many.
pub(crate) type Delete = unsafe extern "C" fn(*mut c_void);
/// `operator delete(void*, std::align_val_t)`, one or many.
pub(crate) type DeleteAligned = unsafe extern "C" fn(*mut c_void, usize);

/// The addresses by name.
#[repr(C)]
pub(crate) struct Names {
    /// `operator new(size_t)` as the whole program sees it, then this library's own.
    pub(crate) new: [Code; 2],
    /// `operator new[](size_t)`, likewise.
    pub(crate) new_array: [Code; 2],
    /// `operator new(size_t, std::align_val_t)`, likewise.
    pub(crate) new_aligned: [Code; 2],
    /// `operator new[](size_t, std::align_val_t)`, likewise.
    pub(crate) new_array_aligned: [Code; 2],
    /// `operator delete(void*)`, likewise.
    pub(crate) delete: [Delete; 2],
    /// `operator delete[](void*)`, likewise.
    pub(crate) delete_array: [Delete; 2],
    /// `operator delete(void*, std::align_val_t)`, likewise.
    pub(crate) delete_aligned: [DeleteAligned; 2],
    /// `operator delete[](void*, std::align_val_t)`, likewise.
    pub(crate) delete_array_aligned: [DeleteAligned; 2],
    get_new_handler: Code,
    throw_bad_alloc: Code,
    allocate_exception: Code,
    throw: Code,
    /// `std::bad_alloc`: its type's description, its table of virtual functions, its destructor.
    bad_alloc: [Code; 3],
    personality: Code,
    begin_catch: Code,
    end_catch: Code,
    dlopen: Option<unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void>,
    dlsym: Option<unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void>,
    dlclose: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
}

// `dl*` are weak too: a static program has them only if it uses them, and then with a warning from the linker.
global_asm!(
    ".weak _ZSt15get_new_handlerv, _ZSt17__throw_bad_allocv, __cxa_allocate_exception, __cxa_throw",
    ".weak _ZTISt9bad_alloc, _ZTVSt9bad_alloc, _ZNSt9bad_allocD1Ev",
    ".weak __gxx_personality_v0, __cxa_begin_catch, __cxa_end_catch",
    ".weak dlopen, dlsym, dlclose",
    ".pushsection .data.rel.ro.ravelin_names, \"aw\", @progbits",
    ".balign 8",
    ".globl ravelin_names",
    ".hidden ravelin_names",
    ".type ravelin_names, @object",
    "ravelin_names:",
    ".8byte _Znwm, ravelin_own_new",
    ".8byte _Znam, ravelin_own_new_array",
    ".8byte _ZnwmSt11align_val_t, ravelin_own_new_aligned",
    ".8byte _ZnamSt11align_val_t, ravelin_own_new_array_aligned",
    ".8byte _ZdlPv, ravelin_own_delete",
    ".8byte _ZdaPv, ravelin_own_delete_array",
    ".8byte _ZdlPvSt11align_val_t, ravelin_own_delete_aligned",
    ".8byte _ZdaPvSt11align_val_t, ravelin_own_delete_array_aligned",
    ".8byte _ZSt15get_new_handlerv, _ZSt17__throw_bad_allocv, __cxa_allocate_exception, __cxa_throw",
    ".8byte _ZTISt9bad_alloc, _ZTVSt9bad_alloc, _ZNSt9bad_allocD1Ev",
    ".8byte __gxx_personality_v0, __cxa_begin_catch, __cxa_end_catch",
    ".8byte dlopen, dlsym, dlclose",
    ".size ravelin_names, . - ravelin_names",
    ".popsection",
);

unsafe extern "C" {
    #[link_name = "ravelin_names"]
    static NAMES: Names;
}

/// The names' addresses.
#[inline(always)]
pub(crate) fn names() -> &'static Names {
    // SAFETY: the table above has these fields in this order: addresses, all written by the linker before this code
    // runs and never after. The operators are defined in this library, so none of those is null.
    unsafe { &NAMES }
}

/// The personality routine of the frame in [`crate::arch`] that catches. The unwinder reads it here.
pub(crate) static PERSONALITY: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
/// `__cxa_begin_catch`, for that frame.
pub(crate) static BEGIN_CATCH: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
/// `__cxa_end_catch`, for that frame.
pub(crate) static END_CATCH: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// There is no C++ runtime in this process.
pub(crate) struct NoRuntime;

/// Prepares the catching frame. Racing threads store the same addresses.
pub(crate) fn ready_to_catch() -> Result<(), NoRuntime> {
    let names = names();
    let found = [
        (&PERSONALITY, find(names.personality, c"__gxx_personality_v0")),
        (&BEGIN_CATCH, find(names.begin_catch, c"__cxa_begin_catch")),
        (&END_CATCH, find(names.end_catch, c"__cxa_end_catch")),
    ];
    for (place, code) in found {
        if code.is_null() {
            return Err(NoRuntime);
        }
        place.store(code, Relaxed);
    }
    Ok(())
}

/// `std::get_new_handler`, or null.
pub(crate) fn get_new_handler() -> Code {
    find(names().get_new_handler, c"_ZSt15get_new_handlerv")
}

/// A jump with its arguments: the last thing that a frame of this library does.
#[repr(C)]
pub(crate) struct Jump {
    to: Code,
    arguments: [Code; 3],
}

/// The jump that throws `std::bad_alloc`.
///
/// libstdc++ and libc++abi have a function for it. A program that links them statically may have been left without, since nothing else
/// in it needs that function; but as it can catch, it has the parts, and the exception is put together from them.
pub(crate) fn throw_bad_alloc() -> Result<Jump, NoRuntime> {
    let to = find(names().throw_bad_alloc, c"_ZSt17__throw_bad_allocv");
    if to.is_null() { throw_from_parts() } else { Ok(Jump { to, arguments: [null_mut(); 3] }) }
}

/// `throw std::bad_alloc()`, as a C++ compiler writes it: `__cxa_throw(exception, type, destructor)`.
fn throw_from_parts() -> Result<Jump, NoRuntime> {
    /// What comes before the functions in a table of virtual functions: an offset and the type.
    const BEFORE_FUNCTIONS: usize = 2 * size_of::<Code>();

    let names = names();
    let [described, functions, destructor] = names.bad_alloc;
    if [names.allocate_exception, names.throw, described, functions].iter().any(|part| part.is_null()) {
        return Err(NoRuntime);
    }
    // SAFETY: `void* __cxa_allocate_exception(size_t)`, as the C++ ABI has it.
    let allocate =
        unsafe { core::mem::transmute::<Code, unsafe extern "C" fn(usize) -> *mut Code>(names.allocate_exception) };
    // SAFETY: takes any size. It does not throw and does not return null: it has a reserve, and stops the process without.
    let exception = unsafe { allocate(size_of::<Code>()) };
    // A `std::bad_alloc` is nothing but the pointer to its functions.
    // SAFETY: the exception has room for one pointer and belongs to this function until it is thrown.
    unsafe { exception.write(functions.wrapping_byte_add(BEFORE_FUNCTIONS)) };
    Ok(Jump { to: names.throw, arguments: [exception.cast(), described, destructor] })
}

/// What the linker found, or else what a C++ runtime that was loaded later has under this name.
///
/// A C program (an interpreter, say) may load a C++ plugin with a runtime that no other library can see. Then it has one of the
/// well-known file names. Only a library that is loaded already is asked.
fn find(linked: Code, name: &CStr) -> Code {
    if !linked.is_null() {
        return linked;
    }
    let names = names();
    let (Some(open), Some(look_up), Some(close)) = (names.dlopen, names.dlsym, names.dlclose) else {
        return null_mut();
    };
    for file in [c"libstdc++.so.6", c"libc++abi.so.1", c"libc++.so.1"] {
        // SAFETY: the C library's `dlopen`, with a string; RTLD_NOLOAD runs nobody's constructors.
        let library = unsafe { open(file.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        if library.is_null() {
            continue;
        }
        // SAFETY: `dlsym` with a handle that is open and a string.
        let code = unsafe { look_up(library, name.as_ptr()) };
        // SAFETY: `dlclose` of the handle from above. The library stays: its user has it open as well.
        unsafe { close(library) };
        if !code.is_null() {
            return code;
        }
    }
    null_mut()
}
