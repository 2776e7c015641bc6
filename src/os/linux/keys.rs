//! A pthread key made on first use, without a lock.

use super::error::set_errno;
use crate::os::Errno;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Acquire};
use libc::c_void;

/// What the C library calls with the thread's value when the thread ends.
pub(super) type Destructor = extern "C" fn(*mut c_void);

/// A value per thread by way of the C library. glibc keeps the first 32 keys in the thread itself; the values of later ones
/// it allocates.
pub(super) struct Key(AtomicU32);

/// The key plus one, so that a static of zeros is a key not yet made.
const NOT_MADE: u32 = 0;

impl Key {
    /// A key that is made when it is first needed.
    pub(super) const fn new() -> Key {
        Key(AtomicU32::new(NOT_MADE))
    }

    /// Makes the key, unless it is there already (with the destructor that it was made with).
    ///
    /// # Errors
    /// EAGAIN when the process has no keys left.
    pub(super) fn make(&self, destructor: Option<Destructor>) -> Result<libc::pthread_key_t, Errno> {
        if let Some(key) = self.made() {
            return Ok(key);
        }
        let mut key = 0;
        // SAFETY: the place for the key is valid, and a destructor of this type can take any value that we set.
        let result =
            unsafe { libc::pthread_key_create(&raw mut key, destructor.map(|f| f as unsafe extern "C" fn(_))) };
        if result != 0 {
            return Err(Errno(result));
        }
        match self.0.compare_exchange(NOT_MADE, key.wrapping_add(1), AcqRel, Acquire) {
            Ok(_) => Ok(key),
            Err(other) => {
                // SAFETY: this thread made the key, and nobody else has seen it.
                let _ = unsafe { libc::pthread_key_delete(key) };
                Ok(other.wrapping_sub(1))
            }
        }
    }

    /// The calling thread's value: null until it is set.
    #[inline]
    pub(super) fn get(&self) -> *mut c_void {
        match self.made() {
            // SAFETY: the key was made and is never deleted.
            Some(key) => unsafe { libc::pthread_getspecific(key) },
            None => ptr::null_mut(),
        }
    }

    /// Sets the calling thread's value.
    ///
    /// # Errors
    /// EINVAL before the key is made; ENOMEM when the C library needed memory for the value and got none.
    pub(super) fn set(&self, value: *mut c_void) -> Result<(), Errno> {
        let key = self.made().ok_or(Errno::INVAL)?;
        // SAFETY: the key was made and is never deleted; the C library does not look at the value.
        match unsafe { libc::pthread_setspecific(key, value.cast_const()) } {
            0 => Ok(()),
            number => {
                set_errno(number);
                Err(Errno(number))
            }
        }
    }

    #[inline]
    fn made(&self) -> Option<libc::pthread_key_t> {
        self.0.load(Acquire).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering::Relaxed;
    use core::sync::atomic::{AtomicPtr, AtomicUsize};

    /// Of the test's own: the engine has its own.
    static KEY: Key = Key::new();
    static ROUNDS: AtomicUsize = AtomicUsize::new(0);
    static LAST: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());

    extern "C" fn ends(value: *mut c_void) {
        ROUNDS.fetch_add(1, Relaxed);
        LAST.store(value, Relaxed);
        assert!(KEY.get().is_null(), "the call disarms");
        KEY.set(value).expect("the key is there");
    }

    #[test]
    fn a_thread_that_arms_again_ends_in_four_rounds() {
        assert_eq!(KEY.set(ptr::null_mut()), Err(Errno::INVAL));
        let key = KEY.make(Some(ends)).expect("a key");
        assert_eq!(KEY.make(None), Ok(key));
        let value: *mut c_void = ptr::without_provenance_mut(64);
        std::thread::spawn(|| {
            assert!(KEY.get().is_null());
            KEY.set(ptr::without_provenance_mut(64)).expect("the key is there");
            assert_eq!(KEY.get().addr(), 64);
        })
        .join()
        .expect("the thread does not panic");
        assert_eq!((ROUNDS.load(Relaxed), LAST.load(Relaxed)), (4, value));
        std::thread::spawn(|| ()).join().expect("the thread does not panic");
        assert_eq!(ROUNDS.load(Relaxed), 4, "nothing runs for a thread that is not armed");
    }

    #[test]
    fn threads_that_race_make_one_key() {
        static RACED: Key = Key::new();
        let makers: std::vec::Vec<_> = (0..8).map(|_| std::thread::spawn(|| RACED.make(None))).collect();
        let keys: std::vec::Vec<_> =
            makers.into_iter().map(|maker| maker.join().expect("no panic").expect("a key")).collect();
        assert!(keys.iter().all(|key| Ok(*key) == RACED.make(None)));
    }
}
