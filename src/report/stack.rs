//! Who called, noted when a block was allocated or freed, and shown with the report.
//!
//! ```text
//! ravelin| allocated by thread 4711
//! ravelin|   0x55d0c7a08123 service+0x8123
//! ravelin|   0x7f3a5c02a1ca libc.so.6+0x2a1ca
//! ```
//!
//! The second figure is what `addr2line -e service 0x8123` wants. Nothing is symbolised here: that would take an allocator.

use super::line::Line;
use crate::os::{self, Caller};
use core::ops::ControlFlow;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU64, AtomicUsize};

/// Addresses that are kept at most.
const FRAMES: usize = 30;

/// A thread, and the addresses that it would return to when it was noted.
///
/// They were found by reading its stack, not by unwinding it: every caller's is among them, nearest first, up to 30. Addresses
/// of calls that were over may stand between.
#[derive(Debug)]
#[repr(C)]
pub struct Stack {
    /// 0: nothing was noted.
    thread: AtomicU64,
    /// Up to the first 0.
    frames: [AtomicUsize; FRAMES],
}

impl Stack {
    /// The system's number of the thread.
    #[must_use]
    pub fn thread(&self) -> u64 {
        self.thread.load(Relaxed)
    }

    /// The addresses, nearest first, but for those that do not follow a call in the code there.
    pub fn frames(&self) -> impl Iterator<Item = usize> {
        let frames = self.frames.iter().map(|frame| frame.load(Relaxed));
        frames.take_while(|frame| *frame != 0).filter(|frame| os::follows_a_call(*frame))
    }

    /// Notes the calling thread, and who called.
    pub(crate) fn note(&self, caller: &Caller<'_>) {
        self.forget();
        os::capture(&self.frames, caller);
        self.thread.store(os::thread_id(), Relaxed);
    }

    /// Nothing is noted any more.
    pub(crate) fn forget(&self) {
        self.thread.store(0, Relaxed);
        let [first, ..] = &self.frames;
        first.store(0, Relaxed);
    }

    fn is_noted(&self) -> bool {
        self.thread() != 0
    }
}

impl PartialEq for Stack {
    fn eq(&self, other: &Stack) -> bool {
        let same = |(a, b): (&AtomicUsize, &AtomicUsize)| a.load(Relaxed) == b.load(Relaxed);
        self.thread() == other.thread() && self.frames.iter().zip(&other.frames).all(same)
    }
}

impl Eq for Stack {}

/// What is known of a block's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    allocated: Option<&'static Stack>,
    freed: Option<&'static Stack>,
}

impl Life {
    /// By whom it was allocated, and by whom freed, as far as that was noted.
    pub(crate) fn of(allocated: &'static Stack, freed: &'static Stack) -> Life {
        let noted = |stack: &'static Stack| stack.is_noted().then_some(stack);
        Life { allocated: noted(allocated), freed: noted(freed) }
    }

    pub(crate) fn allocated(&self) -> Option<&'static Stack> {
        self.allocated
    }

    pub(crate) fn freed(&self) -> Option<&'static Stack> {
        self.freed
    }

    /// Hands the lines to `out` one by one, each with its end.
    pub(crate) fn tell(&self, out: &mut dyn FnMut(&[u8])) {
        for (deed, stack) in [("allocated", self.allocated), ("freed", self.freed)] {
            let Some(stack) = stack else { continue };
            let mut line = Line::new();
            line.push_str("ravelin| ").push_str(deed).push_str(" by thread ").push_dec(stack.thread());
            out(line.end());
            for frame in stack.frames() {
                let mut line = Line::new();
                line.push_str("ravelin|   ").push_hex(frame);
                push_module(frame, &mut line);
                out(line.end());
            }
        }
    }
}

/// Appends the file that the address lies in, and how far.
fn push_module(address: usize, line: &mut Line) {
    os::visit_modules(&mut |module| {
        if module.start > address || address >= module.end {
            return ControlFlow::Continue(());
        }
        if !module.name.is_empty() {
            line.push_str(" ").push_foreign(module.name).push_str("+");
            line.push_hex(address.wrapping_sub(module.base));
        }
        ControlFlow::Break(())
    });
}
