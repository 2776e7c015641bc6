//! fork: from the middle of everything, and with no secret in common afterwards.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::AcqRel, Ordering::SeqCst};
use corpus::stage::{Block, Case, Cases, Needs, crowd, fork, on_thread, sized};
use ravelin::check_heap;

pub fn cases() -> Cases {
    let mut cases = Cases::from([
        Case::survives("i1_forks_from_eight_busy_threads", storm),
        Case::survives("i1_a_grandchild_goes_on", generations),
        Case::survives("i1_a_child_frees_what_threads_left_behind", left_behind),
    ]);
    for size in [16, 64, 1024, 20_000] {
        for (name, from_thread) in [("main", false), ("thread", true)] {
            let play = move || if from_thread { on_thread(|| orders(size)) } else { orders(size) };
            cases.push(
                Case::survives(format_args!("f11_children_share_no_order/{name}/{size}"), play)
                    .needing(Needs::RANDOM_ORDER),
            );
        }
        let play = move || on_thread(|| orders_after_raw_clones(size));
        cases.push(
            Case::survives(format_args!("f11_raw_clones_share_no_new_order/{size}"), play).needing(Needs::RANDOM_ORDER),
        );
    }
    cases
}

/// Blocks that go from thread to thread, each with its size in its first word and a pattern behind.
static POOL: [AtomicPtr<u8>; 512] = [const { AtomicPtr::new(ptr::null_mut()) }; 512];

fn make(turn: usize) -> Block {
    let size = 24 + turn % [100, 2000, 9000, 140_000][turn / 7 % 4];
    let block = Block::new(size);
    block.write(0, size as u64);
    block.write(8, !(size as u64));
    block.write_byte(size - 1, size as u8);
    block
}

fn take(pointer: *mut u8) -> bool {
    if pointer.is_null() {
        return true;
    }
    let block = Block(pointer);
    let size = block.read(0);
    let sound = block.read(8) == !size && block.read_byte(size as usize - 1) == size as u8;
    block.free();
    sound
}

/// I1. CI size 300 forks, full 10,000. Each of eight threads allocates, frees what others have made, and forks now and then; the child
/// frees everything that it can see, and allocates.
fn storm() {
    const THREADS: usize = 8;
    let forks = sized(300, 10_000).div_ceil(THREADS);
    let finished = AtomicUsize::new(0);
    crowd(THREADS, |number| {
        let mut turn = number * 7919 + 1;
        let mut work = |rounds: usize| {
            for _ in 0..rounds {
                turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let old = POOL[turn >> 40 & 511].swap(make(turn >> 16 & 0xff_ffff).0, AcqRel);
                assert!(take(old), "a block is not what it was");
            }
        };
        for _ in 0..forks {
            work(200);
            let child = fork(|| in_the_child(number));
            assert_eq!((child.signal, child.code, child.stderr.as_str()), (0, 0, ""), "{child:?}");
        }
        finished.fetch_add(1, SeqCst);
        while finished.load(SeqCst) < THREADS {
            work(50);
        }
    });
    assert!(POOL.iter().all(|place| take(place.swap(ptr::null_mut(), AcqRel))));
    check_heap().expect("a sound heap");
}

/// A code other than 0 says what went wrong: to panic here could hang, for a lock of std's may have been held.
fn in_the_child(number: usize) -> i32 {
    let keep = number & 1 == 0;
    let mine: [Block; 200] = core::array::from_fn(|turn| make(turn * 31 + number));
    for (index, place) in POOL.iter().enumerate() {
        if keep && index % 3 == 0 {
            continue;
        }
        if !take(place.swap(ptr::null_mut(), AcqRel)) {
            return 1;
        }
    }
    if check_heap().is_err() {
        return 2;
    }
    if !mine.into_iter().all(|block| take(block.0)) {
        return 3;
    }
    let more: [Block; 100] = core::array::from_fn(|turn| make(turn * 977 + number));
    if !more.into_iter().all(|block| take(block.0)) || check_heap().is_err() {
        return 4;
    }
    0
}

fn generations() {
    let held: Vec<Block> = (0..300).map(|turn| make(turn * 131)).collect();
    fn descend(left: usize, held: &[Block]) -> i32 {
        let mine: [Block; 50] = core::array::from_fn(|turn| make(turn * 17 + left));
        if left > 0 {
            let child = fork(|| descend(left - 1, held));
            if (child.signal, child.code) != (0, 0) {
                return 10;
            }
        }
        let sound = mine.into_iter().chain(held.iter().copied()).all(|block| take(block.0));
        i32::from(!sound || check_heap().is_err())
    }
    let child = fork(|| descend(5, &held));
    assert_eq!((child.signal, child.code), (0, 0), "{child:?}");
    assert!(held.into_iter().all(|block| take(block.0)));
}

/// The child of a process with threads: their pages have no owner there.
fn left_behind() {
    crowd(4, |number| {
        let mine: Vec<Block> = (0..500).map(|turn| make(turn * 61 + number)).collect();
        mine.iter().step_by(3).for_each(|block| assert!(take(block.0)));
        let rest: Vec<Block> =
            mine.into_iter().enumerate().filter(|(index, _)| index % 3 != 0).map(|pair| pair.1).collect();
        // The fork below sees this thread alive, and owner of these.
        let child = fork(|| {
            let sound = rest.iter().all(|block| take(block.0));
            let more: [Block; 200] = core::array::from_fn(|turn| make(turn * 61 + number));
            let sound = more.into_iter().all(|block| take(block.0)) && sound;
            i32::from(!sound || check_heap().is_err())
        });
        assert_eq!((child.signal, child.code), (0, 0), "{child:?}");
        assert!(rest.into_iter().all(|block| take(block.0)));
    });
}

/// How many blocks are compared.
const COMPARED: usize = 200;

/// Two children of one parent, and the parent itself, allocate: no two of them get their blocks in one order.
fn orders(size: usize) {
    // Pages with free blocks of all kinds: new ones, and some that were used.
    let held: Vec<Block> = (0..300).map(|_| Block::new(size)).collect();
    held.iter().step_by(2).for_each(|block| block.free());
    // By chance a place is the same once in a window, which is eight times or so; and in a page of nine blocks half of which are live,
    // once in four. Shared orders agree in all places.
    compare(size, if size < 4096 { COMPARED / 3 } else { COMPARED / 2 }, |work| {
        let child = fork(|| {
            work();
            0
        });
        assert_eq!((child.signal, child.code), (0, 0), "{child:?}");
    });
}

/// After a raw clone nobody tells the allocator: it finds out in its next slow path. What is made from then on is shared with
/// nobody.
fn orders_after_raw_clones(size: usize) {
    compare(size, COMPARED / 3, |work| {
        // SAFETY: a copy of this process with this one thread, as fork would make; it does `work` only, and leaves by `_exit`.
        let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        assert!(child >= 0, "the machine can make a process");
        if child == 0 {
            work();
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: writes to the number that it is given.
        assert_eq!(i64::from(unsafe { libc::waitpid(child as i32, &raw mut status, 0) }), child);
        assert_eq!(status, 0);
    });
}

/// Has two children, made by `in_child`, and this process allocate; at most so many places of their orders may be the same.
fn compare(size: usize, most: usize, in_child: impl Fn(&dyn Fn())) {
    let shared = shared_words(3 * COMPARED);
    for part in 0..2 {
        in_child(&|| record(shared, part, size));
    }
    record(shared, 2, size);
    let order = |part: usize| (0..COMPARED).map(move |index| shared.read(8 * (part * COMPARED + index)));
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        assert!(order(one).chain(order(other)).all(|address| address != 0), "not all was recorded");
        let same = order(one).zip(order(other)).filter(|(a, b)| a == b).count();
        assert!(same <= most, "{one} and {other} share {same} of {COMPARED} places in the order");
    }
}

fn record(shared: Block, part: usize, size: usize) {
    for index in 0..COMPARED {
        shared.write(8 * (part * COMPARED + index), Block::new(size).address() as u64);
    }
}

/// Memory that children share with this process.
fn shared_words(count: usize) -> Block {
    let (flags, protection) = (libc::MAP_SHARED | libc::MAP_ANONYMOUS, libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping, which replaces nothing.
    let start = unsafe { libc::mmap(ptr::null_mut(), count * 8, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    Block(start.cast())
}
