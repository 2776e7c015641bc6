//! The ends of threads: destructors that allocate, threads that only free, and many of both.

use super::memory::{address_space, resident};
use core::cell::{Cell, RefCell};
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use corpus::stage::{Block, Case, Cases, SIZES, crowd, on_thread, sized, together};
use ravelin::{check_heap, collect};
use std::sync::Mutex;

pub fn cases() -> Cases {
    Cases::from([
        Case::survives("i4_destructors_of_thread_locals_allocate_and_free", thread_local_destructors),
        Case::survives("i4_destructors_of_keys_in_every_round_allocate_and_free", key_destructors),
        Case::survives("i4_blocks_made_in_the_last_destructor_are_freed_by_others", last_words),
        Case::survives("i5_threads_that_only_free", only_frees),
        Case::survives("i5_a_thread_whose_only_act_is_a_realloc_or_a_question", only_asks),
        Case::survives("i4_a_thread_ends_with_blocks_that_others_have_freed", ends_with_mail),
        Case::survives("i3_short_threads_whose_blocks_are_freed_by_others", churn),
    ])
}

/// Allocates, fills and frees one block of each size; frees also what it is given.
fn busy(old: &[Block]) -> Vec<Block> {
    old.iter().for_each(|block| block.free());
    let new: Vec<Block> = SIZES.into_iter().filter(|&size| size <= 1 << 20).map(Block::new).collect();
    new.iter().for_each(|block| block.write_byte(0, 7));
    new
}

struct Last(RefCell<Vec<Block>>);

impl Drop for Last {
    fn drop(&mut self) {
        let made = busy(&self.0.borrow());
        let text = format!("{} blocks, {:?}", made.len(), std::thread::current().id());
        assert!(text.len() > 8);
        made.into_iter().for_each(Block::free);
        ENDED.fetch_add(1, SeqCst);
    }
}

static ENDED: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static FIRST: Last = const { Last(RefCell::new(Vec::new())) };
    static SECOND: Last = const { Last(RefCell::new(Vec::new())) };
}

fn thread_local_destructors() {
    for _ in 0..50 {
        let work = || {
            for local in [&FIRST, &SECOND] {
                local.with(|last| last.0.borrow_mut().extend(busy(&[])));
            }
        };
        std::thread::spawn(work).join().expect("no panic");
        on_thread(work);
    }
    assert_eq!(ENDED.load(SeqCst), 200);
    check_heap().expect("a sound heap");
}

/// Rounds of destructors, by thread: each arms itself again as long as the C library goes along.
static ROUNDS: AtomicUsize = AtomicUsize::new(0);
/// Made after the allocator's own key, so that in each round it is called behind that: in the last one when the thread's heap is
/// gone.
static KEY: AtomicUsize = AtomicUsize::new(0);

extern "C" fn round(value: *mut c_void) {
    ROUNDS.fetch_add(1, SeqCst);
    // SAFETY: the vector that was set for this thread, whose destructor has it for itself.
    let mut held = unsafe { Box::from_raw(value.cast::<Vec<Block>>()) };
    let made = busy(&held);
    *held = made;
    arm(held);
}

#[allow(clippy::box_collection, reason = "a key holds one pointer")]
fn arm(held: Box<Vec<Block>>) {
    let key = KEY.load(SeqCst) as libc::pthread_key_t;
    // SAFETY: the key was made, and `round` knows what to do with the value.
    let armed = unsafe { libc::pthread_setspecific(key, Box::into_raw(held).cast_const().cast()) };
    assert_eq!(armed, 0);
}

fn make_key() {
    Block::new(1).free();
    let mut key = 0;
    // SAFETY: the place for the key is valid, and `round` takes what `arm` sets.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(round)) }, 0);
    KEY.store(key as usize, SeqCst);
}

fn key_destructors() {
    make_key();
    for _ in 0..20 {
        on_thread(|| arm(Box::new(busy(&[]))));
    }
    assert!(ROUNDS.load(SeqCst) >= 80, "four rounds for each thread: {}", ROUNDS.load(SeqCst));
    check_heap().expect("a sound heap");
}

/// What destructors have made, and left to whoever comes.
static LEFT: Mutex<Vec<Block>> = Mutex::new(Vec::new());

fn last_words() {
    struct Leaves;
    impl Drop for Leaves {
        fn drop(&mut self) {
            let made = busy(&[]);
            LEFT.lock().expect("nobody panics").extend(made);
        }
    }
    thread_local! {
        static LEAVES: Leaves = const { Leaves };
    }
    extern "C" fn leave(_: *mut c_void) {
        let made = busy(&[]);
        LEFT.lock().expect("nobody panics").extend(made);
        arm_round();
    }
    fn arm_round() {
        // SAFETY: the key was made, and `leave` takes any value.
        unsafe { libc::pthread_setspecific(KEY.load(SeqCst) as libc::pthread_key_t, ptr::dangling::<c_void>()) };
    }
    Block::new(1).free();
    let mut key = 0;
    // SAFETY: the place for the key is valid.
    assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(leave)) }, 0);
    KEY.store(key as usize, SeqCst);
    for _ in 0..30 {
        on_thread(|| {
            LEAVES.with(|_| ());
            arm_round();
        });
        let left = core::mem::take(&mut *LEFT.lock().expect("nobody panics"));
        assert_eq!(left.len(), 5 * busy(&[]).iter().map(|block| block.free()).count());
        on_thread(|| left.into_iter().for_each(Block::free));
    }
    check_heap().expect("a sound heap");
}

fn only_frees() {
    for _ in 0..100 {
        let (here, ended) = (busy(&[]), on_thread(|| busy(&[])));
        on_thread(|| here.into_iter().for_each(Block::free));
        on_thread(|| ended.into_iter().for_each(Block::free));
    }
    collect(ravelin::Collect::Gently);
    assert_eq!(check_heap().map(|census| census.posted).expect("a sound heap"), 0);
}

fn only_asks() {
    for size in SIZES {
        let (block, ended) = (Block::new(size), on_thread(|| Block::new(size)));
        let room = on_thread(|| block.usable_size());
        assert!(room >= size && on_thread(|| ended.usable_size()) == room);
        let moved = on_thread(|| Block(block.realloc(size * 3)));
        let moved_too = on_thread(|| Block(ended.realloc(size * 3)));
        on_thread(|| moved.free());
        moved_too.free();
    }
    check_heap().expect("a sound heap");
}

fn ends_with_mail() {
    for freed_late in [false, true] {
        for _ in 0..50 {
            let mine = on_thread(|| {
                let (mine, others) = (busy(&[]), busy(&[]));
                // Freed while this thread ends, or before: it never looks at its mailbox again.
                on_thread(|| others.into_iter().for_each(Block::free));
                mine
            });
            if freed_late {
                together(
                    || mine.iter().step_by(2).for_each(|block| block.free()),
                    || {
                        mine.iter().skip(1).step_by(2).for_each(|block| block.free());
                    },
                );
            } else {
                mine.into_iter().for_each(Block::free);
            }
        }
    }
    check_heap().expect("a sound heap");
}

/// I3. CI size 5,000 threads, full 100,000. Each takes what an earlier one has left, and leaves blocks of its own; the memory of the
/// process keeps its level.
fn churn() {
    const AT_ONCE: usize = 4;
    let left: [Mutex<Vec<Block>>; 8] = [const { Mutex::new(Vec::new()) }; 8];
    let batches = sized(5_000, 100_000) / AT_ONCE;
    let (mut level, mut space) = (0, 0);
    for batch in 0..batches {
        crowd(AT_ONCE, |number| {
            let turn = Cell::new(batch * AT_ONCE + number);
            let mine: Vec<Block> = (0..40)
                .map(|step| {
                    turn.set(turn.get().wrapping_mul(0x5851_f42d).wrapping_add(12_345));
                    let block = Block::new(16 + (turn.get() >> 8) % [100, 1000, 5000, 40_000][step % 4]);
                    block.write(0, 1);
                    block
                })
                .collect();
            let old = core::mem::replace(&mut *left[turn.get() % 8].lock().expect("nobody panics"), mine);
            old.into_iter().for_each(Block::free);
        });
        if batch == batches / 5 {
            (level, space) = (resident(), address_space());
        }
    }
    let (grown, spread) = (resident().saturating_sub(level), address_space().saturating_sub(space));
    assert!(grown < 16 << 20, "resident memory has grown by {grown} bytes from {level}");
    assert!(spread < 64 << 20, "address space has grown by {spread} bytes from {space}");
    for slot in &left {
        slot.lock().expect("nobody panics").drain(..).for_each(Block::free);
    }
    check_heap().expect("a sound heap");
}

/// Eight threads allocate, and free what others have left.
pub fn work_in_many_threads() {
    let left: Mutex<Vec<Block>> = Mutex::new(Vec::new());
    for _ in 0..20 {
        crowd(8, |_| {
            let mine = busy(&[]);
            let old = core::mem::replace(&mut *left.lock().expect("nobody panics"), mine);
            old.into_iter().for_each(Block::free);
        });
    }
    left.lock().expect("nobody panics").drain(..).for_each(Block::free);
    check_heap().expect("a sound heap");
}
