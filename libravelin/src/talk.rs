//! What the library says: output that a program may take, errors that it may hear of, and its last word.
//!
//! | kind | where it goes |
//! |---|---|
//! | output (lists, statistics, warnings, errors) | the function of `mi_register_output`, else standard error |
//! | an error (no memory, too large) | printed if the options say so, then the function of `mi_register_error` |
//! | a report of a misuse | standard error always, then `rv_set_report_hook`'s function, then `mi_register_error`'s; then death |

use core::ffi::{CStr, c_char, c_int, c_void};
use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use engine::{Kind, Report, raw};

use crate::calls::Call;

/// Gets text in pieces, each a C string.
pub(crate) type OutputFun = unsafe extern "C" fn(*const c_char, *mut c_void);
/// Gets the number of an error, of `errno.h`.
pub(crate) type ErrorFun = unsafe extern "C" fn(c_int, *mut c_void);
/// Gets whether all is to be freed, and how often the thread has called before.
pub(crate) type DeferredFreeFun = unsafe extern "C" fn(bool, u64, *mut c_void);
/// Gets what went wrong, the words for it, and the pointer that it is about.
pub(crate) type ReportFun = unsafe extern "C" fn(*const ReportFacts, *mut c_void);

static OUTPUT: Call = Call::new();
static ERROR: Call = Call::new();
static DEFERRED: Call = Call::new();
static REPORT: Call = Call::new();
/// Errors that were printed.
static PRINTED: AtomicU64 = AtomicU64::new(0);

/// `rv_report_t` of `ravelin.h`.
#[repr(C)]
pub(crate) struct ReportFacts {
    /// The words of the report's kind, as a C string.
    kind: *const c_char,
    /// The name of the call in which it was found, as a C string.
    operation: *const c_char,
    /// The pointer that the program gave, or the place of the damage; null if it is about none.
    address: *const c_void,
    /// The size of the block, in bytes; 0 if there is none.
    block_size: usize,
    /// The system's number of the thread.
    thread: u64,
    /// The number of `errno.h` that `mi_register_error`'s function gets.
    code: c_int,
}

/// What `mi_register_output` does: null goes back to standard error. A function gets what was written before it came.
pub(crate) fn register_output(output: Option<OutputFun>, argument: *mut c_void) {
    OUTPUT.register(output.map_or(core::ptr::null_mut(), |output| output as *mut c_void), argument);
    if output.is_some() {
        raw::set_outlet(offer);
        raw::take_kept_output(&mut |lines| _ = offer(lines));
    }
}

/// What `mi_register_error` does: null goes back to saying nothing more than the options ask for.
pub(crate) fn register_error(error: Option<ErrorFun>, argument: *mut c_void) {
    ERROR.register(error.map_or(core::ptr::null_mut(), |error| error as *mut c_void), argument);
    engine::set_report_hook(last_words);
}

/// What `mi_register_deferred_free` does.
pub(crate) fn register_deferred_free(deferred: Option<DeferredFreeFun>, argument: *mut c_void) {
    DEFERRED.register(deferred.map_or(core::ptr::null_mut(), |deferred| deferred as *mut c_void), argument);
    raw::set_deferred(free_deferred);
}

/// What `rv_set_report_hook` does.
pub(crate) fn register_report(report: Option<ReportFun>, argument: *mut c_void) {
    REPORT.register(report.map_or(core::ptr::null_mut(), |report| report as *mut c_void), argument);
    engine::set_report_hook(last_words);
}

/// Gives the statistics to a function, or to where all output goes.
pub(crate) fn write_statistics(form: raw::Form, output: Option<OutputFun>, argument: *mut c_void) {
    match output {
        Some(output) => raw::write_stats(form, &mut |lines| give(output as *mut c_void, argument, lines)),
        None => raw::write_stats(form, &mut raw::say),
    }
}

/// An outlet for the engine's lines: false while there is no function, or in it.
fn offer(lines: &[u8]) -> bool {
    OUTPUT.call(|function, argument| give(function, argument, lines)).is_some()
}

/// Hands text to a function for output, in pieces that a small buffer holds.
fn give(function: *mut c_void, argument: *mut c_void, text: &[u8]) {
    // SAFETY: what was stored, or given by the caller, as an `OutputFun`.
    let function = unsafe { core::mem::transmute::<*mut c_void, OutputFun>(function) };
    let mut piece = [0_u8; 512];
    let mut used = 0_usize;
    let flush = |piece: &mut [u8; 512], used: &mut usize| {
        if let Some(end) = piece.get_mut(*used) {
            *end = 0;
        }
        // SAFETY: a function of the program's for output, which takes a C string and the argument that came with it.
        unsafe { function(piece.as_ptr().cast(), argument) };
        *used = 0;
    };
    for byte in text {
        // A zero would end the string.
        if *byte == 0 {
            continue;
        }
        if let Some(place) = piece.get_mut(used) {
            *place = *byte;
        }
        used = used.wrapping_add(1);
        // At ends of lines too: whoever prints piece by piece prints line by line.
        if used == 511 || *byte == b'\n' {
            flush(&mut piece, &mut used);
        }
    }
    if used != 0 {
        flush(&mut piece, &mut used);
    }
}

/// Tells an error: prints it if the options say so, and calls the function for errors.
#[cold]
#[inline(never)]
pub(crate) fn error(code: c_int, what: &'static CStr, size: Option<usize>) {
    let errno = crate::errno::get();
    let limit = raw::shown_errors();
    if limit.is_none_or(|limit| PRINTED.load(Relaxed) < limit) {
        PRINTED.fetch_add(1, Relaxed);
        // Prefix and text apart.
        raw::say(b"ravelin: error: ");
        let mut line = Text::new();
        line.push(what.to_bytes());
        if let Some(size) = size {
            line.push(b" (");
            line.push_number(size);
            line.push(b" bytes)");
        }
        line.push(b"\n");
        raw::say(line.bytes());
    }
    ERROR.call(|function, argument| {
        // SAFETY: what was stored as an `ErrorFun`.
        let function = unsafe { core::mem::transmute::<*mut c_void, ErrorFun>(function) };
        // SAFETY: a function of the program's, with the argument that came with it.
        unsafe { function(code, argument) };
    });
    crate::errno::set(errno);
}

/// Before the death: the program's own functions.
fn last_words(report: &Report) {
    let code = match report.kind() {
        Kind::DoubleFree => libc::EAGAIN,
        Kind::CorruptedFreeList | Kind::BufferOverflow | Kind::WriteAfterFree | Kind::UseAfterFree | Kind::Internal => {
            libc::EFAULT
        }
        _ => libc::EINVAL,
    };
    let (mut kind, mut operation) = (Text::new(), Text::new());
    kind.push(report.kind().as_str().as_bytes());
    operation.push(report.operation().as_str().as_bytes());
    let facts = ReportFacts {
        kind: kind.c_string(),
        operation: operation.c_string(),
        address: core::ptr::without_provenance(report.address()),
        block_size: report.block().map_or(0, engine::BlockFacts::class_size),
        thread: report.thread(),
        code,
    };
    REPORT.call(|function, argument| {
        // SAFETY: what was stored as a `ReportFun`.
        let function = unsafe { core::mem::transmute::<*mut c_void, ReportFun>(function) };
        // SAFETY: a function of the program's, with the argument that came with it; the facts live as long as the call.
        unsafe { function(&raw const facts, argument) };
    });
    ERROR.call(|function, argument| {
        // SAFETY: what was stored as an `ErrorFun`.
        let function = unsafe { core::mem::transmute::<*mut c_void, ErrorFun>(function) };
        // SAFETY: a function of the program's, with the argument that came with it.
        unsafe { function(code, argument) };
    });
}

fn free_deferred(how: raw::Collect, beat: u64) {
    DEFERRED.call(|function, argument| {
        // SAFETY: what was stored as a `DeferredFreeFun`.
        let function = unsafe { core::mem::transmute::<*mut c_void, DeferredFreeFun>(function) };
        // SAFETY: a function of the program's, with the argument that came with it.
        unsafe { function(how == raw::Collect::Fully, beat, argument) };
    });
}

/// A short text in a fixed place, of which what does not fit is left out.
pub(crate) struct Text {
    /// Zero behind what is used, and at the end.
    bytes: [u8; 128],
    used: usize,
}

impl Text {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; 128], used: 0 }
    }

    pub(crate) fn push(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(place) = self.bytes.get_mut(self.used)
                && self.used < 127
            {
                *place = *byte;
                self.used = self.used.wrapping_add(1);
            }
        }
    }

    pub(crate) fn push_number(&mut self, number: usize) {
        let mut digits = [0_u8; 20];
        let (mut rest, mut used) = (number, 0_usize);
        for place in digits.iter_mut().rev() {
            *place = b'0'.wrapping_add((rest % 10) as u8);
            rest /= 10;
            used = used.wrapping_add(1);
            if rest == 0 {
                break;
            }
        }
        self.push(digits.get(20_usize.wrapping_sub(used)..).unwrap_or(&[]));
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or(&[])
    }

    /// The text, ended by a zero.
    pub(crate) fn c_string(&self) -> *const c_char {
        self.bytes.as_ptr().cast()
    }
}
