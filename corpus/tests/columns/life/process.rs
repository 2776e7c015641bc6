//! The ends of the process, and what is before its beginning.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use corpus::stage::{Block, Case, Cases, Expect, Needs, SIZES, say};
use ravelin::check_heap;
use std::process::Command;
use std::sync::Mutex;

pub fn cases() -> Cases {
    Cases::from([
        Case::survives("i4_blocks_made_before_main_are_sound_and_freed_after", before_main).arranged(with_early_blocks),
        Case::new("i4_exit_functions_allocate_and_free", Needs::NOTHING, Expect::Says("exit function"), exit_functions),
        Case::new("i4_functions_after_those_allocate_and_free", Needs::NOTHING, Expect::Says("last function"), || {
            LATE.lock().expect("nobody panics").extend(SIZES.map(Block::new));
            ASKED.store(true, SeqCst);
        }),
        Case::new("i4_main_thread_locals_allocate_and_free", Needs::NOTHING, Expect::Says("main local"), main_locals),
    ])
}

/// What the functions before main have made: nothing huge, for the tests of limits start so too.
static EARLY: [AtomicPtr<u8>; SIZES.len() - 1] = [const { AtomicPtr::new(core::ptr::null_mut()) }; SIZES.len() - 1];
static EARLY_SUM: AtomicUsize = AtomicUsize::new(0);

/// Asks for them: other cases are to find a heap that nobody has used.
const EARLY_VARIABLE: &core::ffi::CStr = c"CORPUS_EARLY";

fn with_early_blocks(stage: &mut Command) {
    stage.env("CORPUS_EARLY", "1");
}

extern "C" fn early() {
    // SAFETY: a string that ends; nobody changes the environment before main.
    if unsafe { libc::getenv(EARLY_VARIABLE.as_ptr()) }.is_null() {
        return;
    }
    corpus::allocator::choose(crate::ravelin());
    for (place, size) in EARLY.iter().zip(SIZES) {
        let block = Block::new(size);
        block.fill(size.min(4096));
        place.store(block.0, SeqCst);
        Block::new(size).free();
    }
    let numbers: Vec<usize> = (0..1000).collect();
    EARLY_SUM.store(numbers.iter().sum(), SeqCst);
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = early;

fn before_main() {
    assert_eq!(EARLY_SUM.load(SeqCst), 499_500);
    for (place, size) in EARLY.iter().zip(SIZES) {
        let block = Block(place.load(SeqCst));
        assert!(block.is_filled(size.min(4096)), "{size} bytes");
        block.free();
    }
    check_heap().expect("a sound heap");
}

/// Blocks that are freed when main is over.
static LATE: Mutex<Vec<Block>> = Mutex::new(Vec::new());

fn use_late() {
    let blocks = core::mem::take(&mut *LATE.lock().expect("nobody panics"));
    assert_eq!(blocks.len(), SIZES.len());
    blocks.into_iter().for_each(Block::free);
    SIZES.map(Block::new).into_iter().for_each(Block::free);
    check_heap().expect("a sound heap");
}

fn exit_functions() {
    extern "C" fn function() {
        use_late();
        say(format_args!("exit function"));
    }
    LATE.lock().expect("nobody panics").extend(SIZES.map(Block::new));
    // SAFETY: the function takes nothing and is there as long as the code is.
    assert_eq!(unsafe { libc::atexit(function) }, 0);
}

/// Whether `late` is to do anything: it is called at the end of every process of these tests.
static ASKED: AtomicBool = AtomicBool::new(false);

extern "C" fn late() {
    if ASKED.load(SeqCst) {
        use_late();
        say(format_args!("last function"));
    }
}

#[used]
#[unsafe(link_section = ".fini_array")]
static AFTER_ALL: extern "C" fn() = late;

fn main_locals() {
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            use_late();
            say(format_args!("main local"));
        }
    }
    thread_local! {
        static LAST: Late = const { Late };
    }
    LATE.lock().expect("nobody panics").extend(SIZES.map(Block::new));
    LAST.with(|_| ());
}
