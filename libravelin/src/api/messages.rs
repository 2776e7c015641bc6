//! What the library prints, and whom it tells.

use core::ffi::c_void;

use engine::raw::{self, Form};

use crate::talk::{self, DeferredFreeFun, ErrorFun, OutputFun};

/// Statistics in mimalloc's form.
fn print(output: Option<OutputFun>, argument: *mut c_void) {
    talk::write_statistics(Form::Mimalloc, output, argument);
}

export! {
    /// Has output given to a function, beginning with what was written so far; null goes back to standard error.
    ///
    /// # Safety
    /// - `output` may be called by any thread at any time with that argument.
    unsafe fn register_output(output: Option<OutputFun>, argument: *mut c_void) {
        talk::register_output(output, argument);
    }

    /// Has a function told of errors; null goes back to printing them at most.
    ///
    /// # Safety
    /// - `error` may be called by any thread at any time with that argument.
    unsafe fn register_error(error: Option<ErrorFun>, argument: *mut c_void) {
        talk::register_error(error, argument);
    }

    /// Has a function called in slow paths and collections, where the program may free what it has put off.
    ///
    /// # Safety
    /// - `deferred` may be called by any thread at any time with that argument.
    unsafe fn register_deferred_free(deferred: Option<DeferredFreeFun>, argument: *mut c_void) {
        talk::register_deferred_free(deferred, argument);
    }

    /// Prints the statistics to where all output goes. The argument is not looked at: mimalloc calls it.
    fn stats_print(_out: *mut c_void) {
        print(None, core::ptr::null_mut());
    }

    /// Gives the statistics to a function; null is where all output goes.
    ///
    /// # Safety
    /// - `output` may be called with that argument.
    unsafe fn stats_print_out(output: Option<OutputFun>, argument: *mut c_void) {
        print(output, argument);
    }

    /// The same: no figures are kept by thread.
    ///
    /// # Safety
    /// - `output` may be called with that argument.
    unsafe fn thread_stats_print_out(output: Option<OutputFun>, argument: *mut c_void) {
        print(output, argument);
    }

    /// Forgets the peaks. Other figures are of what is there.
    fn stats_reset() {
        raw::forget_peaks();
    }

    /// Nothing: no figures are kept by thread.
    fn stats_merge() {}
}
