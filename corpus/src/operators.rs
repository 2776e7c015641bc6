//! C++'s operators of the process: its runtime's own, or those of whoever preloads a library that brings some.

use crate::stage::skip;
use core::ffi::CStr;

/// `new` and `delete`, or `new[]` and `delete[]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    One,
    Many,
}

/// The operators of an allocator.
#[derive(Clone, Copy, Debug)]
pub struct Operators {
    /// A block of so many bytes.
    pub new: fn(usize, Form) -> *mut u8,
    /// Frees it, and says its size or not.
    pub delete: unsafe fn(*mut u8, Form, Option<usize>),
}

type New = unsafe extern "C" fn(usize) -> *mut u8;
type Delete = unsafe extern "C" fn(*mut u8);
type SizedDelete = unsafe extern "C" fn(*mut u8, usize);

/// Those of the process.
pub const OF_THE_PROCESS: Operators = Operators { new, delete };

fn new(size: usize, form: Form) -> *mut u8 {
    let found = find(match form {
        Form::One => c"_Znwm",
        Form::Many => c"_Znam",
    });
    // SAFETY: the operator of that name has this type.
    let new: New = unsafe { core::mem::transmute(found) };
    // SAFETY: any size will do.
    unsafe { new(size) }
}

unsafe fn delete(block: *mut u8, form: Form, size: Option<usize>) {
    let found = find(match (form, size) {
        (Form::One, None) => c"_ZdlPv",
        (Form::Many, None) => c"_ZdaPv",
        (Form::One, Some(_)) => c"_ZdlPvm",
        (Form::Many, Some(_)) => c"_ZdaPvm",
    });
    match size {
        None => {
            // SAFETY: the operator of that name has this type.
            let delete: Delete = unsafe { core::mem::transmute(found) };
            // SAFETY: the caller's affair.
            unsafe { delete(block) };
        }
        Some(size) => {
            // SAFETY: the operator of that name has this type.
            let delete: SizedDelete = unsafe { core::mem::transmute(found) };
            // SAFETY: the caller's affair.
            unsafe { delete(block, size) };
        }
    }
}

fn find(name: &CStr) -> *mut libc::c_void {
    // SAFETY: loads a library that has no surprises.
    unsafe { libc::dlopen(c"libstdc++.so.6".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    // SAFETY: looks a name up.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    if found.is_null() {
        skip("no C++ runtime here");
    }
    found
}
