//! The protocol under the model checker: every interleaving, and every stale value that a load may still see, of small
//! worlds that run the functions of [`crate::remote`] as shipped.
//!
//! ```text
//!  World   boxes [A] [B] [C]      one mailbox a thread, all in a segment with one word of pending marks
//!          pages  P0  P1          each: owner word, summary, two words of state and remote bits
//!                 |
//!                 lists           the owner's: a cell that the checker guards, so that two owners at a time are a race
//!                 contents        one cell a block: whoever holds it writes, so that a missing edge is a race
//! ```
//!
//! What a world does is what the engine does in `heap` and `page`, with a vector for the lists of free blocks. A scenario
//! is generic over [`Rules`]. With [`All`] it must hold in every execution; with a rule dropped it must fail, and with
//! the message that says why: so each rule is proved to carry weight, and the model to see it.
//!
//! # When a misuse counts as found
//!
//! `Truth` counts how often each block was handed out and how many frees of it were accepted. Nothing is owned twice
//! while no more is handed out than 1 + accepted. A free that meets the block after it was handed out *again* cannot be told
//! from its new owner's: it is accepted, and counts. But once all threads are done, and the owner has collected, each block
//! is either out or on the list, once; and two accepted frees of one handing out are a miss.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test, and a panic is how it fails")]
#![allow(clippy::arc_with_non_send_sync, reason = "the checker's threads take turns, and it looks after the cells")]

mod birth;
mod fork;
mod frees;
mod mail;
mod misuse;
mod owners;
mod runs;
#[path = "../../segment/slices.rs"]
#[allow(dead_code, reason = "the whole file as it is")]
mod slices;
mod world;

use crate::remote::{All, Owner, OwnerWord, Rules};
use crate::sync::{AtomicPtr, AtomicU64};
use core::any::Any;
use core::panic::AssertUnwindSafe;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::cell::UnsafeCell;
use loom::thread;
use std::boxed::Box;
use std::string::String;
use std::sync::Arc;
use std::time::Instant;
use std::vec::Vec;
use world::{FAR, Flagged, Lists, Who, World, X, Y};

/// How far the checker goes: all interleavings, or those in which threads lose the processor at most so often.
#[derive(Clone, Copy, Debug)]
enum Reach {
    All,
    Preemptions(usize),
}

/// Runs a scenario in every execution within reach.
fn explore(name: &str, reach: Reach, scenario: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = match reach {
        Reach::All => None,
        Reach::Preemptions(bound) => Some(bound),
    };
    let start = Instant::now();
    builder.check(move || {
        count.fetch_add(1, Relaxed);
        scenario();
    });
    std::println!("{name}: {} executions, {:.1?}, {reach:?}", executions.load(Relaxed), start.elapsed());
}

/// Runs a scenario with a rule dropped, as far as with all rules, and asserts that it fails with this message.
fn must_fail(message: &str, reach: Reach, scenario: impl Fn() + Send + Sync + 'static) {
    let scenario = AssertUnwindSafe(move || explore("a rule less", reach, scenario));
    let panic: Box<dyn Any + Send> = std::panic::catch_unwind(scenario).expect_err("the rule is not needed");
    let found = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    assert!(found.is_some_and(|found| found.contains(message)), "{found:?}");
}

/// Rules with one of them dropped.
macro_rules! without {
    ($($name:ident: $rule:ident),+ $(,)?) => {
        $(
            struct $name;
            impl crate::remote::Rules for $name {
                const $rule: bool = false;
            }
        )+
    };
}
use without;
