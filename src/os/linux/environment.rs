//! What the process was started with: its environment, its privileges and its limits.

use super::file::File;
use crate::os::Errno;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::AtomicPtr;
use core::sync::atomic::Ordering::Relaxed;
use libc::{c_char, c_int};

/// Strings, ended by a null.
pub(crate) type Strings = *const *const c_char;
/// What the loader calls. glibc's says how the program was started; musl's says nothing, and has set `environ` before.
pub(crate) type Constructor = extern "C" fn(c_int, Strings, Strings);

unsafe extern "C" {
    /// The C library's list of "NAME=value" strings.
    static environ: Strings;
}

/// While a constructor of ours runs: what the loader has given it.
static GIVEN: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

/// Calls a constructor to which the loader has given these strings: they are the environment until the C library has one.
pub(crate) fn with_environment(given: Strings, constructor: fn()) {
    GIVEN.store(given.cast_mut(), Relaxed);
    constructor();
    GIVEN.store(ptr::null_mut(), Relaxed);
}

/// The environment, "NAME=value" each; empty in a privileged process, whose environment belongs to somebody else.
///
/// To be read at first use and not kept: the program may change its environment later.
pub(crate) fn environment() -> impl Iterator<Item = &'static [u8]> {
    // SAFETY: a word of the C library's, read here before the program could race with it.
    let known = unsafe { environ };
    let start = if known.is_null() { GIVEN.load(Relaxed).cast_const() } else { known };
    Environment(if is_privileged() { ptr::null() } else { start })
}

struct Environment(Strings);

impl Iterator for Environment {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: not null, and not past the ending null, where `self.0` stays.
        let entry = unsafe { self.0.read() };
        if entry.is_null() {
            return None;
        }
        // SAFETY: the entry was not the ending null, so the list goes on.
        self.0 = unsafe { self.0.add(1) };
        // SAFETY: entries are C strings that live as long as the environment is not changed.
        Some(unsafe { CStr::from_ptr(entry) }.to_bytes())
    }
}

/// Whether the kernel started the program with more rights than its user has (set-uid and the like).
fn is_privileged() -> bool {
    // SAFETY: looks a number up in a list from the kernel.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The limit on address space in bytes (RLIMIT_AS), if there is one.
pub(crate) fn address_space_limit() -> Option<usize> {
    let mut limit = MaybeUninit::<libc::rlimit>::uninit();
    // SAFETY: writes to the place that it is given.
    if unsafe { libc::getrlimit(libc::RLIMIT_AS, limit.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: the call succeeded, so the limit has been written.
    let soft = unsafe { limit.assume_init() }.rlim_cur;
    if soft == libc::RLIM_INFINITY { None } else { usize::try_from(soft).ok() }
}

/// What Linux allows unless told otherwise.
const DEFAULT_MAP_LIMIT: usize = 65_530;

/// How many maps the process may have (`vm.max_map_count`). Reads a file: ask once.
pub(crate) fn map_limit() -> usize {
    let mut digits = [0; 20];
    match read_file(c"/proc/sys/vm/max_map_count", &mut digits) {
        Ok(digits) => parse(digits).unwrap_or(DEFAULT_MAP_LIMIT),
        Err(_) => DEFAULT_MAP_LIMIT,
    }
}

fn parse(bytes: &[u8]) -> Option<usize> {
    let mut digits = bytes.iter().map_while(|byte| byte.checked_sub(b'0').filter(|digit| *digit < 10));
    let first = usize::from(digits.next()?);
    digits.try_fold(first, |number, digit| number.checked_mul(10)?.checked_add(usize::from(digit)))
}

/// The beginning of a small file, in one read.
fn read_file<'a>(path: &CStr, buffer: &'a mut [u8]) -> Result<&'a [u8], Errno> {
    let got = File::open(path)?.read(buffer)?;
    buffer.get(..got).ok_or(Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_the_one_that_std_sees() {
        use std::os::unix::ffi::OsStrExt;
        let path = std::env::var_os("PATH").expect("tests are run with a PATH");
        let found = environment().find_map(|entry| entry.strip_prefix(b"PATH="));
        assert_eq!(found, Some(path.as_bytes()));
        assert_eq!(environment().count(), std::env::vars_os().count());
    }

    #[test]
    fn the_map_limit_is_the_kernel_s() {
        if let Ok(text) = std::fs::read_to_string("/proc/sys/vm/max_map_count") {
            assert_eq!(Some(map_limit()), text.trim().parse().ok());
        }
        assert!(read_file(c"/nonexistent", &mut [0; 4]).is_err());
    }

    #[test]
    fn a_number_is_read_up_to_its_end_or_not_at_all() {
        assert_eq!(parse(b"65530\n"), Some(65_530));
        assert_eq!(parse(b"0"), Some(0));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"x1"), None);
        assert_eq!(parse(b"99999999999999999999"), None);
    }
}
