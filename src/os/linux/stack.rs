//! Who called: the return addresses that lie on the calling thread's stack.
//!
//! Most programs are built without frame pointers, and an unwinder's tables are too slow and too delicate to be read in an
//! allocator. So the stack is read word by word, from here towards its end, and what points into code is noted. Every frame's
//! return address is among them, in order; addresses that earlier calls have left in unused parts of frames may stand
//! between. When they are shown, those that do not follow a call are left out (`follows_a_call`).
//!
//! Reading is safe wherever the stack ends: at the end of its mapping, or before it where the thread's control block lies on
//! top of its stack.

use super::clock::milliseconds;
use super::maps::visit_modules;
use crate::os::{Caller, StackBounds, arch};
use core::ops::ControlFlow;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// How far the stack is read, in bytes.
const DEPTH: usize = 16 * 1024;
/// Pieces of code that are known at most.
const PIECES: usize = 64;
/// Milliseconds after which it is found out anew what code there is.
const FRESH: u64 = 1000;

/// Where code lies: starts and ends.
static CODE: [[AtomicUsize; 2]; PIECES] = [const { [AtomicUsize::new(0), AtomicUsize::new(0)] }; PIECES];
static COUNT: AtomicUsize = AtomicUsize::new(0);
static DUE: AtomicU64 = AtomicU64::new(0);
static BUSY: AtomicBool = AtomicBool::new(false);

/// Writes the addresses that the thread will return to into `frames`, nearest first, and 0 behind the last.
#[inline(never)]
pub(crate) fn capture(frames: &[AtomicUsize], caller: &Caller<'_>) {
    look_for_code();
    let known = CODE.each_ref().map(|piece| piece.each_ref().map(|end| end.load(Relaxed)));
    let known = known.get(..COUNT.load(Acquire)).unwrap_or(&[]);
    let (lowest, highest) = (known.first().map_or(0, |piece| piece[0]), known.last().map_or(0, |piece| piece[1]));
    let end = caller.bounds.map_or(0, |bounds| end_of_stack(caller.frame(), bounds));
    let end = end.min(caller.frame().saturating_add(DEPTH));
    let mut place = caller.frame().next_multiple_of(align_of::<usize>());
    let mut last = 0;
    for frame in frames {
        let mut found = 0;
        while found == 0 && place < end {
            // SAFETY: an aligned word between a frame and the end of the stack that it lies on, which nobody unmaps while we run
            // on it. Other threads may write there; what is read is a number.
            let word = unsafe { ptr::with_exposed_provenance::<usize>(place).read_volatile() };
            place = place.wrapping_add(size_of::<usize>());
            let word = arch::strip(word);
            let may_be = lowest <= word && word < highest && word != last;
            if may_be && known.iter().any(|[start, end]| *start <= word && word < *end) {
                found = word;
            }
        }
        frame.store(found, Relaxed);
        if found == 0 {
            break;
        }
        last = found;
    }
}

/// Notes which code there is, now and then: libraries may have been loaded.
fn look_for_code() {
    let now = milliseconds();
    if now < DUE.load(Relaxed) || BUSY.swap(true, Acquire) {
        return;
    }
    DUE.store(now.wrapping_add(FRESH), Relaxed);
    let mut count = 0_usize;
    visit_modules(&mut |module| {
        // Not what the kernel adds: nobody returns there.
        if module.is_code
            && !module.name.is_empty()
            && let Some([start, end]) = CODE.get(count)
        {
            start.store(module.start, Relaxed);
            end.store(module.end, Relaxed);
            count = count.wrapping_add(1);
        }
        ControlFlow::Continue(())
    });
    COUNT.store(count, Release);
    BUSY.store(false, Release);
}

/// The end of the stack that `here` lies on; `here` itself if it cannot be found out.
fn end_of_stack(here: usize, bounds: &StackBounds) -> usize {
    let known = |bounds: &StackBounds| {
        let (low, high) = (bounds.low.load(Relaxed), bounds.high.load(Relaxed));
        (low <= here && here < high).then_some(high)
    };
    if let Some(high) = known(bounds) {
        return high;
    }
    visit_modules(&mut |module| {
        if module.start <= here && here < module.end {
            // The mapping may hold more than the stack: other stacks, guards between them. A thread's control block lies at the
            // top of its own.
            let top = arch::thread_pointer();
            let high = if here < top && top < module.end { top } else { module.end };
            bounds.low.store(module.start, Relaxed);
            bounds.high.store(high, Relaxed);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    known(bounds).unwrap_or(here)
}

/// Whether the instruction before the address is a call. True also if that cannot be found out.
pub(crate) fn follows_a_call(address: usize) -> bool {
    let mut code = [0_u8; arch::CALL];
    let from =
        libc::iovec { iov_base: ptr::without_provenance_mut(address.wrapping_sub(arch::CALL)), iov_len: arch::CALL };
    let to = libc::iovec { iov_base: code.as_mut_ptr().cast(), iov_len: arch::CALL };
    // By the kernel, for the code may have been unmapped since.
    // SAFETY: takes nothing and cannot fail.
    let process = unsafe { libc::getpid() };
    // SAFETY: writes to `code` only, as much as it holds; what it reads may be anything.
    let got = unsafe { libc::process_vm_readv(process, &raw const to, 1, &raw const from, 1, 0) };
    usize::try_from(got) != Ok(arch::CALL) || arch::is_call(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::vec::Vec;

    fn bounds() -> StackBounds {
        StackBounds { low: AtomicUsize::new(0), high: AtomicUsize::new(0) }
    }

    #[inline(never)]
    fn captured() -> Vec<usize> {
        let frames: [AtomicUsize; 30] = [const { AtomicUsize::new(1) }; 30];
        capture(&frames, &Caller::here().in_thread(Some(&bounds())));
        frames.iter().map(|frame| frame.load(Relaxed)).take_while(|frame| *frame != 0).collect()
    }

    /// Where `outer` is returned to from `inner`, as `inner` sees it.
    #[inline(never)]
    fn inner() -> Vec<usize> {
        core::hint::black_box(captured())
    }

    #[inline(never)]
    fn outer() -> Vec<usize> {
        let frames = inner();
        core::hint::black_box(frames)
    }

    /// As `outer` returns. While another thread looks for code for the first time, none is known, and so no caller.
    fn found() -> Vec<usize> {
        let tries = core::iter::repeat_with(|| {
            thread::yield_now();
            outer()
        });
        tries.take(10_000).find(|frames| !frames.is_empty()).unwrap_or_default()
    }

    #[test]
    fn the_callers_are_found_in_order_in_any_thread() {
        for frames in [found(), thread::spawn(found).join().unwrap()] {
            let in_function =
                |function: *const ()| frames.iter().position(|frame| frame.wrapping_sub(function.addr()) < 400);
            let (inner, outer) = (in_function(inner as *const ()), in_function(outer as *const ()));
            assert!(inner.is_some() && outer.is_some() && inner < outer, "{frames:x?}");
        }
    }

    #[test]
    fn an_address_after_a_call_is_told_from_others() {
        let frames = found();
        let calls = frames.iter().filter(|frame| follows_a_call(**frame)).count();
        assert!(calls >= 3, "{frames:x?}");
        assert!(!follows_a_call((outer as *const ()).addr() + arch::CALL), "the first instructions of a function");
        assert!(follows_a_call(8), "cannot be found out");
    }
}
