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
