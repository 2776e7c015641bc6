//! `operator new`. The throwing forms begin in [`crate::arch`], with a jump to here or to the next form of the chain.
//!
//! A `nothrow` form means: call the throwing one, and answer null if that throws. While the throwing one is this library's own,
//! trying the engine first comes to the same, and most calls end there.

use core::ffi::c_void;
use core::ptr::null_mut;

use engine::raw::{self, Operator};

use super::failure::{Retry, again};
use super::runtime::{self, Code, names};
use crate::arch;
use crate::errno::no_memory;

/// The alignment that stands for none.
const ANY: usize = 1;

/// `operator new(size_t)`.
pub(crate) extern "C" fn new(size: usize) -> *mut c_void {
    first_try(size, Operator::One)
}

/// `operator new[](size_t)`, where a program has replaced no form of it: else the form for one object is called by its public name.
pub(crate) extern "C" fn new_array(size: usize) -> *mut c_void {
    first_try(size, Operator::Many)
}

/// `operator new(size_t, std::align_val_t)`.
pub(crate) extern "C" fn new_aligned(size: usize, align: usize) -> *mut c_void {
    first_aligned_try(size, align, Operator::One)
}

/// `operator new[](size_t, std::align_val_t)`, as `new_array`.
pub(crate) extern "C" fn new_array_aligned(size: usize, align: usize) -> *mut c_void {
    first_aligned_try(size, align, Operator::Many)
}

#[inline(always)]
fn first_try(size: usize, operator: Operator) -> *mut c_void {
    match raw::operator_new_at_hand(size, operator) {
        Some(block) => block.as_ptr().cast(),
        None => first_slow_try(size, operator),
    }
}

/// Where the throwing forms jump to, as their last act too, so that they need no frame of their own.
#[cold]
#[inline(never)]
fn first_slow_try(size: usize, operator: Operator) -> *mut c_void {
    let block = raw::operator_new_slowly(size, operator);
    if block.is_null() {
        // SAFETY: the last act of this function: a test of the finished library looks for the jump. So what `failed` throws
        // never meets this frame, and a declaration that promises no unwinding into it is true.
        return unsafe { arch::failed(size, ANY, null_mut(), Some(again)) };
    }
    block.cast()
}

#[inline(always)]
fn first_aligned_try(size: usize, align: usize, operator: Operator) -> *mut c_void {
    let block = raw::operator_new_aligned(size, align, operator);
    if block.is_null() {
        // No handler can cure an impossible alignment: asking it for ever would be a hang.
        let retry = if align.is_power_of_two() { Some(again as Retry) } else { None };
        // SAFETY: as in `new`.
        return unsafe { arch::failed(size, align, null_mut(), retry) };
    }
    block.cast()
}

/// `operator new(size_t, const std::nothrow_t&)`.
#[unsafe(export_name = "_ZnwmRKSt9nothrow_t")]
extern "C" fn new_nothrow(size: usize, _: *const c_void) -> *mut c_void {
    plain(names().new, size)
}

/// `operator new[](size_t, const std::nothrow_t&)`.
#[unsafe(export_name = "_ZnamRKSt9nothrow_t")]
extern "C" fn new_array_nothrow(size: usize, _: *const c_void) -> *mut c_void {
    let names = names();
    // Ours jumps to the form for one object, and so may end in the program's: ours is not enough, both must be.
    if is_own(names.new_array) && is_own(names.new) {
        let block = raw::operator_new(size, Operator::Many);
        if !block.is_null() {
            return block.cast();
        }
    }
    caught(names.new_array, size, ANY)
}

/// `operator new(size_t, std::align_val_t, const std::nothrow_t&)`.
#[unsafe(export_name = "_ZnwmSt11align_val_tRKSt9nothrow_t")]
extern "C" fn new_aligned_nothrow(size: usize, align: usize, _: *const c_void) -> *mut c_void {
    aligned(names().new_aligned, size, align)
}

/// `operator new[](size_t, std::align_val_t, const std::nothrow_t&)`.
#[unsafe(export_name = "_ZnamSt11align_val_tRKSt9nothrow_t")]
extern "C" fn new_array_aligned_nothrow(size: usize, align: usize, _: *const c_void) -> *mut c_void {
    let names = names();
    if is_own(names.new_array_aligned) && is_own(names.new_aligned) {
        let block = raw::operator_new_aligned(size, align, Operator::Many);
        if !block.is_null() {
            return block.cast();
        }
    }
    caught(names.new_array_aligned, size, align)
}

/// `new (std::nothrow)` that no program has replaced.
pub(crate) fn new_or_null(size: usize) -> *mut c_void {
    let [_, own] = names().new;
    plain([own, own], size)
}

/// `new (std::align_val_t, std::nothrow)` that no program has replaced.
pub(crate) fn new_aligned_or_null(size: usize, align: usize) -> *mut c_void {
    let [_, own] = names().new_aligned;
    aligned([own, own], size, align)
}

/// Whether the name that the whole program sees is this library's.
#[inline(always)]
fn is_own([seen, own]: [Code; 2]) -> bool {
    seen == own
}

#[inline(always)]
fn plain(new: [Code; 2], size: usize) -> *mut c_void {
    if is_own(new) {
        let block = raw::operator_new(size, Operator::One);
        if !block.is_null() {
            return block.cast();
        }
    }
    caught(new, size, ANY)
}

#[inline(always)]
fn aligned(new: [Code; 2], size: usize, align: usize) -> *mut c_void {
    if is_own(new) {
        let block = raw::operator_new_aligned(size, align, Operator::One);
        if !block.is_null() {
            return block.cast();
        }
    }
    caught(new, size, align)
}

/// Calls a function of this library that throws for want of memory, under a `catch (...)`. Without a runtime, null at once.
pub(crate) fn caught_in(new: Code, size: usize, word: usize) -> *mut c_void {
    if runtime::ready_to_catch().is_err() {
        return no_memory(size);
    }
    // SAFETY: a throwing function of these two arguments, and the frame's catch is ready.
    unsafe { arch::catching(size, word, new) }
}

/// Calls a throwing form under a `catch (...)`.
#[cold]
fn caught(new: [Code; 2], size: usize, align: usize) -> *mut c_void {
    let [seen, _] = new;
    if runtime::ready_to_catch().is_ok() {
        // SAFETY: `seen` is a throwing form of `operator new` that takes these arguments (a form without an alignment
        // does not look at the second), and the frame's catch is ready.
        return unsafe { arch::catching(size, align, seen) };
    }
    if is_own(new) {
        // Without a runtime there is no new-handler either, and the engine has already said no.
        return no_memory(size);
    }
    // A program without exceptions that has an `operator new` of its own: it can only return.
    // SAFETY: a function pointer of that type, from the table.
    let seen = unsafe { core::mem::transmute::<Code, unsafe extern "C" fn(usize, usize) -> *mut c_void>(seen) };
    // SAFETY: a throwing form of `operator new`, as above.
    unsafe { seen(size, align) }
}
