//! The threads of a play.

use super::Block;
use core::ffi::c_void;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::Mutex;

/// The thread that commits the misuse, as seen from the owner of the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The owner itself.
    Same,
    /// Another thread, while the owner lives and waits. It has a heap of its own.
    Other,
    /// A thread that is started after the owner has ended, and has no heap yet.
    Heir,
}

impl Who {
    pub const ALL: [Who; 3] = [Who::Same, Who::Other, Who::Heir];
    /// The two who do not own the block.
    pub const STRANGERS: [Who; 2] = [Who::Other, Who::Heir];

    /// The owner plays the prologue, and this thread goes on with what it returns.
    pub fn play<T: Send>(self, prologue: impl FnOnce() -> T + Send, misuse: impl FnOnce(T) + Send) {
        match self {
            Who::Same => on_thread(|| misuse(prologue())),
            Who::Other => on_thread(|| {
                let (ready, props) = (Flag::new(), Mutex::new(None));
                let warm = Flag::new();
                together(
                    || {
                        warm.wait();
                        *props.lock().expect("nobody panics") = Some(prologue());
                        ready.raise();
                    },
                    || {
                        // A heap, made before the prologue, so that nothing of the prologue's is moved.
                        Block::new(16).free();
                        warm.raise();
                        ready.wait();
                        let props = props.lock().expect("nobody panics").take();
                        misuse(props.expect("the prologue is over"));
                    },
                );
            }),
            Who::Heir => {
                let props = on_thread(prologue);
                on_thread(|| misuse(props));
            }
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Who::Same => "same_thread",
            Who::Other => "other_thread",
            Who::Heir => "owner_ended",
        })
    }
}

/// Raised once, and waited for without allocating.
#[derive(Debug)]
pub struct Flag(AtomicBool);

impl Flag {
    pub const fn new() -> Flag {
        Flag(AtomicBool::new(false))
    }

    pub fn raise(&self) {
        self.0.store(true, SeqCst);
    }

    pub fn is_raised(&self) -> bool {
        self.0.load(SeqCst)
    }

    pub fn wait(&self) {
        while !self.is_raised() {
            // SAFETY: takes nothing and cannot fail.
            unsafe { libc::sched_yield() };
        }
    }
}

struct Job<F, T> {
    work: Option<F>,
    result: Option<T>,
}

extern "C" fn run<T, F: FnOnce() -> T>(job: *mut c_void) -> *mut c_void {
    // SAFETY: the pointer that `start` was given, whose owner waits for this thread.
    let job = unsafe { &mut *job.cast::<Job<F, T>>() };
    job.result = job.work.take().map(|work| work());
    ptr::null_mut()
}

/// Starts a bare thread: nothing is allocated from the allocator under test, neither here nor there.
fn start<T, F: FnOnce() -> T>(job: *mut Job<F, T>) -> libc::pthread_t {
    let mut thread = 0;
    // SAFETY: `run` fits what it is given, which lives until the thread is joined.
    let made = unsafe { libc::pthread_create(&raw mut thread, ptr::null(), run::<T, F>, job.cast()) };
    assert_eq!(made, 0, "the machine can make a thread");
    thread
}

/// Waits until the thread has ended, its destructors included.
fn join(thread: libc::pthread_t) {
    // SAFETY: made by `start`, and joined once.
    let joined = unsafe { libc::pthread_join(thread, ptr::null_mut()) };
    assert_eq!(joined, 0);
}

/// Runs `work` on a thread of its own and waits until that has ended.
pub fn on_thread<T: Send, F: FnOnce() -> T + Send>(work: F) -> T {
    let mut job = Job { work: Some(work), result: None };
    join(start(&raw mut job));
    job.result.expect("the thread has run")
}

/// Runs `here` on this thread and `there` on another at the same time, and waits for both.
pub fn together<F: FnOnce() + Send>(here: impl FnOnce(), there: F) {
    let mut job = Job { work: Some(there), result: None };
    let thread = start(&raw mut job);
    here();
    join(thread);
}

/// Runs `work` on so many threads at the same time, each with its number, and waits for all of them.
pub fn crowd(threads: usize, work: impl Fn(usize) + Sync) {
    let mut jobs: Vec<_> = (0..threads)
        .map(|number| {
            let work = &work;
            Job { work: Some(move || work(number)), result: None }
        })
        .collect();
    let running: Vec<_> = jobs.iter_mut().map(|job| start(ptr::from_mut(job))).collect();
    running.into_iter().for_each(join);
}
