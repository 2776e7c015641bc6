//! Functions that the program registers: for output, for errors, for frees that were put off, for reports.
//!
//! A function's address in writable memory is what an attacker looks for. So it is stored with a *seal*, which only a process that
//! knows the allocator's secret can make of address and argument, and is called only while the seal is right:
//!
//! ```text
//!   | version | function | argument | seal |        odd version: somebody is storing
//! ```
//!
//! Nothing is called while a lock is held. A thread that is in a function of the program does not call the same one again: what
//! it prints, or what fails there, is not told to it.

use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicU64, fence};

use engine::raw;

/// How often a thread looks again while another one stores.
const ROUNDS: u32 = 1 << 20;

/// A place for one function.
pub(crate) struct Call {
    version: AtomicU32,
    function: AtomicPtr<c_void>,
    argument: AtomicPtr<c_void>,
    seal: AtomicU64,
    inside: Inside,
}

impl Call {
    /// Without a function.
    pub(crate) const fn new() -> Self {
        Self {
            version: AtomicU32::new(0),
            function: AtomicPtr::new(null_mut()),
            argument: AtomicPtr::new(null_mut()),
            seal: AtomicU64::new(0),
            inside: Inside::new(),
        }
    }

    /// Stores a function; null is none. Nothing is stored if there is no memory for a secret to seal it with.
    pub(crate) fn register(&self, function: *mut c_void, argument: *mut c_void) {
        let Some(seal) = raw::seal(self.words(function, argument)) else { return };
        for round in 0..ROUNDS {
            let version = self.version.load(Relaxed);
            let next = version.wrapping_add(1) | 1;
            // Another thread stores, which takes no time; unless it is not in this process, but in the one that forked it.
            if (version & 1 == 0 || round.wrapping_add(1) == ROUNDS)
                && self.version.compare_exchange(version, next, Acquire, Relaxed).is_ok()
            {
                fence(Release);
                self.function.store(function, Relaxed);
                self.argument.store(argument, Relaxed);
                self.seal.store(seal, Relaxed);
                self.version.store(next.wrapping_add(1), Release);
                return;
            }
            core::hint::spin_loop();
        }
    }

    /// Does `work` with the function and its argument. `None`: there is no function, or this thread is in it already.
    pub(crate) fn call<T>(&self, work: impl FnOnce(*mut c_void, *mut c_void) -> T) -> Option<T> {
        let (function, argument) = self.stored()?;
        let _guard = self.inside.enter()?;
        Some(work(function, argument))
    }

    /// What was stored last, if it has its seal. Nothing while it is being stored, if that takes long: the storing thread may have
    /// been interrupted by this very call.
    fn stored(&self) -> Option<(*mut c_void, *mut c_void)> {
        for _ in 0..ROUNDS {
            let version = self.version.load(Acquire);
            let function = self.function.load(Relaxed);
            let argument = self.argument.load(Relaxed);
            let seal = self.seal.load(Relaxed);
            fence(Acquire);
            if version == 0 {
                return None;
            }
            if version & 1 == 0 && self.version.load(Relaxed) == version {
                if raw::seal(self.words(function, argument)) != Some(seal) {
                    raw::die_of_broken_seal((&raw const self.function).cast());
                }
                return if function.is_null() { None } else { Some((function, argument)) };
            }
            core::hint::spin_loop();
        }
        None
    }

    /// The place is sealed too: what was stored for errors is no function for output.
    fn words(&self, function: *mut c_void, argument: *mut c_void) -> [usize; 3] {
        [(&raw const *self).addr(), function.addr(), argument.addr()]
    }
}

/// Threads that are in a function of the program at the same time; one more does not call it.
const THREADS: usize = 16;

/// Which threads are in a function.
struct Inside([AtomicI32; THREADS]);

impl Inside {
    const fn new() -> Self {
        Self([const { AtomicI32::new(0) }; THREADS])
    }

    fn enter(&self) -> Option<Within<'_>> {
        // SAFETY: takes nothing and cannot fail.
        let me = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
        let Self(places) = self;
        if places.iter().any(|place| place.load(Relaxed) == me) {
            return None;
        }
        let place = places.iter().find(|place| place.compare_exchange(0, me, AcqRel, Relaxed).is_ok())?;
        Some(Within(place))
    }
}

/// The calling thread is in the function until this is dropped.
struct Within<'a>(&'a AtomicI32);

impl Drop for Within<'_> {
    fn drop(&mut self) {
        let Self(place) = self;
        place.store(0, Release);
    }
}
