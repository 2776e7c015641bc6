//! Who called: the return addresses that lie on the calling thread's stack.
//!
//! Most programs are built without frame pointers, and an unwinder's tables are too slow and too delicate to be read in an
//! allocator. So the stack is read word by word, from here towards its end, and what points into code is noted. Every frame's
//! return address is among them, in order; addresses that earlier calls have left in unused parts of frames may stand
//! between. When they are shown, those that do not follow a call are left out (`follows_a_call`).
//!
//! A thread's own stack ends where its control block lies, and the process's first where the kernel has left what it tells the program.
//! Of any other stack nobody but the program knows the end: a coroutine's may lie in a block, and what follows may be a guard, or
//! another thread's to unmap. So the kernel copies such a one, piece by piece, and says where it cannot; if it refuses that altogether, the
//! stack is read up to the end of its mapping.

use super::clock::milliseconds;
use super::error::last;
use super::maps::visit_modules;
use super::process::process_id;
use crate::os::{Caller, Errno, StackBounds, arch};
use core::ops::ControlFlow;
use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

/// How far the stack is read, in bytes.
const DEPTH: usize = 16 * 1024;
/// Bytes that are copied at a time, and to a multiple of which: no piece lies in two pages. Small, for they lie on the stack.
const PIECE: usize = 1024;
const WORD: usize = size_of::<usize>();
/// Pieces of code that are known at most.
const PIECES: usize = 64;
/// Milliseconds after which it is found out anew what code there is.
const FRESH: u64 = 1000;

/// Where code lies: starts and ends.
static CODE: [[AtomicUsize; 2]; PIECES] = [const { [AtomicUsize::new(0), AtomicUsize::new(0)] }; PIECES];
static COUNT: AtomicUsize = AtomicUsize::new(0);
static DUE: AtomicU64 = AtomicU64::new(0);
/// The process one of whose threads is finding that out: in the child of a fork that thread is not.
static BUSY: AtomicU32 = AtomicU32::new(0);

/// Writes the addresses that the thread will return to into `frames`, nearest first, and 0 behind the last.
#[inline(never)]
pub(crate) fn capture(frames: &[AtomicUsize], caller: &Caller<'_>) {
    look_for_code();
    let known = CODE.each_ref().map(|piece| piece.each_ref().map(|end| end.load(Relaxed)));
    let known = known.get(..COUNT.load(Acquire)).unwrap_or(&[]);
    let (lowest, highest) = (known.first().map_or(0, |piece| piece[0]), known.last().map_or(0, |piece| piece[1]));
    let (end, way) = caller.bounds.map_or((0, Way::Kernel), |bounds| end_of_stack(caller.frame(), bounds));
    let end = end.min(caller.frame().saturating_add(DEPTH));
    let mut words = Words::new(caller.frame().next_multiple_of(WORD), end, way);
    let mut last = 0;
    for frame in frames {
        let is_in_code = |word: &usize| {
            let may_be = lowest <= *word && *word < highest && *word != last;
            may_be && known.iter().any(|[start, end]| *start <= *word && *word < *end)
        };
        let found = words.by_ref().map(arch::strip).find(is_in_code).unwrap_or(0);
        frame.store(found, Relaxed);
        if found == 0 {
            break;
        }
        last = found;
    }
}

/// How a stack is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As memory: all of it is there.
    Memory,
    /// By the kernel.
    Kernel,
}

/// The words of a stack, from a place on.
struct Words {
    piece: [usize; PIECE / WORD],
    /// How many words of the piece were given, and how many it has.
    given: usize,
    len: usize,
    /// Where the next piece starts.
    place: usize,
    end: usize,
    way: Way,
}

impl Words {
    fn new(place: usize, end: usize, way: Way) -> Words {
        Words { piece: [0; PIECE / WORD], given: 0, len: 0, place, end, way }
    }

    /// Copies the next piece. No words are left if there is no memory.
    fn refill(&mut self) {
        let next = (self.place | (PIECE - 1)).wrapping_add(1).min(self.end);
        let bytes = next.saturating_sub(self.place) & !(WORD - 1);
        (self.given, self.len) = (0, bytes / WORD);
        let copied = match self.way {
            Way::Memory => false,
            Way::Kernel => match copy(self.place, self.piece.as_mut_ptr().cast(), bytes) {
                Ok(()) => true,
                Err(Errno(libc::EFAULT)) => {
                    self.len = 0;
                    true
                }
                Err(_) => false,
            },
        };
        if !copied {
            self.read();
        }
        self.place = next;
    }

    /// Reads the next piece.
    fn read(&mut self) {
        for (offset, word) in self.piece.iter_mut().enumerate().take(self.len) {
            let place = ptr::with_exposed_provenance::<usize>(self.place.wrapping_add(offset.wrapping_mul(WORD)));
            // SAFETY: an aligned word between a frame and the end of the thread's own stack, or of the mapping that it lies in if the
            // kernel could not be asked whether a guard lies between. Other threads may write there; what is read is a number.
            *word = unsafe { place.read_volatile() };
        }
    }
}

impl Iterator for Words {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.given == self.len {
            self.refill();
        }
        let word = self.piece.get(..self.len)?.get(self.given)?;
        self.given = self.given.wrapping_add(1);
        Some(*word)
    }
}

/// Has the kernel copy so many bytes of this process's memory, all or nothing if they lie in one page. `from` may be anything.
///
/// # Errors
/// EFAULT if there is no memory; others if the kernel does not do such a thing.
fn copy(from: usize, to: *mut u8, bytes: usize) -> Result<(), Errno> {
    let from = libc::iovec { iov_base: ptr::without_provenance_mut(from), iov_len: bytes };
    let to = libc::iovec { iov_base: to.cast(), iov_len: bytes };
    // SAFETY: takes nothing and cannot fail.
    let process = unsafe { libc::getpid() };
    // SAFETY: the callers' places have room for that much; what it reads may be anything.
    let got = unsafe { libc::process_vm_readv(process, &raw const to, 1, &raw const from, 1, 0) };
    match usize::try_from(got) {
        Ok(got) if got == bytes => Ok(()),
        Ok(_) => Err(Errno(libc::EFAULT)),
        Err(_) => Err(last()),
    }
}

/// Notes which code there is, now and then: libraries may have been loaded.
fn look_for_code() {
    let now = milliseconds();
    if now < DUE.load(Relaxed) {
        return;
    }
    let here = process_id();
    if BUSY.swap(here, Acquire) == here {
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
    BUSY.store(0, Release);
}

/// The end of the stack that `here` lies on, `here` itself if it cannot be found out; and how it is read.
fn end_of_stack(here: usize, bounds: &StackBounds) -> (usize, Way) {
    let known = |bounds: &StackBounds| {
        let (low, high) = (bounds.low.load(Relaxed), bounds.high.load(Relaxed));
        let way = if bounds.is_own.load(Relaxed) { Way::Memory } else { Way::Kernel };
        (low <= here && here < high).then_some((high, way))
    };
    if let Some(known) = known(bounds) {
        return known;
    }
    visit_modules(&mut |module| {
        if module.start <= here && here < module.end {
            // The mapping may hold more than the stack: other stacks, guards between them.
            let top = [arch::thread_pointer(), top_of_first()].into_iter().find(|top| here < *top && *top < module.end);
            bounds.low.store(module.start, Relaxed);
            bounds.high.store(top.unwrap_or(module.end), Relaxed);
            bounds.is_own.store(top.is_some(), Relaxed);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    known(bounds).unwrap_or((here, Way::Kernel))
}

/// An address above all frames of the process's first stack.
fn top_of_first() -> usize {
    // SAFETY: takes a number, and answers 0 if it knows nothing of it.
    let place = unsafe { libc::getauxval(libc::AT_RANDOM) };
    place as usize
}

/// Whether the instruction before the address is a call. True also if that cannot be found out.
pub(crate) fn follows_a_call(address: usize) -> bool {
    let mut code = [0_u8; arch::CALL];
    // By the kernel, for the code may have been unmapped since.
    let copied = copy(address.wrapping_sub(arch::CALL), code.as_mut_ptr(), arch::CALL);
    copied.is_err() || arch::is_call(&code)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Birth, Ending, in_child};
    use super::*;
    use core::sync::atomic::AtomicBool;
    use std::thread;
    use std::vec::Vec;

    fn bounds() -> StackBounds {
        StackBounds { low: AtomicUsize::new(0), high: AtomicUsize::new(0), is_own: AtomicBool::new(false) }
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
    fn a_child_looks_for_code_though_a_thread_that_it_has_not_was_at_it() {
        let parent = process_id();
        let ending = in_child(Birth::Fork, || {
            let finds = |busy: u32| {
                BUSY.store(busy, Relaxed);
                DUE.store(0, Relaxed);
                COUNT.store(0, Relaxed);
                !outer().is_empty()
            };
            i32::from(finds(parent)) + 2 * i32::from(finds(process_id()))
        });
        assert_eq!(ending, Some(Ending::Exit(1)));
    }

    #[test]
    fn an_address_after_a_call_is_told_from_others() {
        let frames = found();
        let calls = frames.iter().filter(|frame| follows_a_call(**frame)).count();
        assert!(calls >= 3, "{frames:x?}");
        assert!(!follows_a_call((outer as *const ()).addr() + arch::CALL), "the first instructions of a function");
        assert!(follows_a_call(8), "cannot be found out");
    }

    #[test]
    fn a_threads_own_stack_is_read_as_memory() {
        let way = || {
            let here = 0_u8;
            end_of_stack(ptr::from_ref(core::hint::black_box(&here)).addr(), &bounds()).1
        };
        assert_eq!(thread::spawn(way).join().unwrap(), Way::Memory);
        let block = Vec::<u8>::with_capacity(100_000);
        assert_eq!(end_of_stack(block.as_ptr().addr(), &bounds()).1, Way::Kernel);
        assert!(is_on_first_stack(top_of_first()));
    }

    fn is_on_first_stack(place: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
        let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let hex = |text| usize::from_str_radix(text, 16).unwrap();
        (hex(start)..hex(end)).contains(&place)
    }

    #[test]
    fn a_stack_ends_where_the_kernel_says() {
        let page = crate::os::page_size();
        let span = crate::os::reserve(page * 2, page, None).expect("address space");
        // SAFETY: a page of this test's reservation.
        unsafe { crate::os::open(span.part(0, page).expect("it has two")) }.expect("memory");
        let last = span.start().as_ptr().wrapping_add(page - 3 * WORD);
        let words = Words::new(last.addr(), last.addr() + 100 * WORD, Way::Kernel);
        assert_eq!(words.collect::<Vec<_>>(), [0; 3], "and no fault");
        // SAFETY: not used again.
        unsafe { crate::os::release(span) };
    }
}
