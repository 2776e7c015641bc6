//! What chance is worth: how well an attacker can guess which block comes next, and where memory lies.
//!
//! Each test counts, prints a line that begins with `odds:` and bounds what it found. CI size: thousands of trials. `ODDS_TRIALS=N`
//! (`cargo xtask odds`, which also gives the bounds of confidence) makes it N, or the number that a test names, if that is less.

#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test may fail by panicking")]

#[path = "odds/forks.rs"]
mod forks;
#[path = "odds/guards.rs"]
mod guards;
#[path = "odds/order.rs"]
mod order;
#[path = "odds/places.rs"]
mod places;

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

/// `ci` in everyday runs; what the environment asks for, at most `most`, otherwise.
fn trials(ci: usize, most: usize) -> usize {
    std::env::var("ODDS_TRIALS").ok().and_then(|text| text.parse().ok()).map_or(ci, |asked: usize| asked.min(most))
}

/// One line: `hits` of `of` trials. What is said of blocks of one size ends with it, in brackets.
fn say(what: &str, hits: usize, of: usize) {
    println!("odds: {what}: {hits} of {of}");
}

/// A line of another kind of figure.
fn say_figure(what: &str, figure: impl core::fmt::Display) {
    println!("odds: {what}: {figure}");
}

fn allocate(size: usize) -> *mut u8 {
    let block = core::hint::black_box(ravelin::raw::allocate(size));
    assert!(!block.is_null(), "no memory for {size} bytes");
    block
}

/// # Safety
/// The block is live, and not used again.
unsafe fn free(block: *mut u8) {
    // SAFETY: the caller's promise.
    unsafe { ravelin::raw::free(block) };
}
