//! What only the kernel can tell a test: whether memory faults, and how a process ends.

use core::ffi::c_void;
use core::ptr;
use std::format;
use std::string::{String, ToString};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Exit(i32),
    Signal(i32),
}

/// How a child is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Birth {
    /// By the C library, with fork handlers.
    Fork,
    /// By the bare system call: nobody is told.
    RawClone,
}

/// Runs `work` in a child, which exits with its result, and tells how it ended. `None` where there are no children.
///
/// The child has none of its parent's other threads: `work` takes no lock that one of them might hold.
pub(crate) fn in_child(birth: Birth, work: impl FnOnce() -> i32) -> Option<Ending> {
    let child = match birth {
        // SAFETY: the child runs `work` only, and leaves by `_exit`.
        Birth::Fork => i64::from(unsafe { libc::fork() }),
        // SAFETY: as above; no stack and no thread pointers are given, as for a fork.
        Birth::RawClone => unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) },
    };
    assert!(child >= 0, "the machine can make a process");
    if child == 0 {
        prepare();
        let result = work();
        // SAFETY: ends the child.
        unsafe { libc::_exit(result) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    let waited = unsafe { libc::waitpid(child as i32, &raw mut status, 0) };
    assert_eq!(i64::from(waited), child);
    Some(if libc::WIFSIGNALED(status) {
        Ending::Signal(libc::WTERMSIG(status))
    } else {
        Ending::Exit(libc::WEXITSTATUS(status))
    })
}

/// No core files, no handler of std's, and no waiting for ever.
fn prepare() {
    // SAFETY: changes a flag of this process.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: the default action is always allowed.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: ends this process, if anything, later.
    unsafe { libc::alarm(20) };
}

/// Whether a byte can be read, tried by a child.
pub(crate) fn is_readable(place: *mut u8) -> bool {
    tried(|| {
        // SAFETY: no memory safety is claimed: where it faults, the child dies, and that is the question.
        unsafe { place.read_volatile() };
    })
}

/// Whether a byte can be written, tried by a child (whose write its parent does not see).
pub(crate) fn is_writable(place: *mut u8) -> bool {
    tried(|| {
        // SAFETY: as in `is_readable`.
        unsafe { place.write_volatile(1) };
    })
}

fn tried(access: impl FnOnce()) -> bool {
    let ending = in_child(Birth::Fork, || {
        access();
        0
    });
    match ending {
        Some(Ending::Exit(0)) => true,
        Some(Ending::Signal(libc::SIGSEGV)) => false,
        other => unreachable!("a child ended by {other:?}"),
    }
}

/// Whether the flags that the kernel keeps for the map at `place` have this one (see proc(5), VmFlags).
pub(crate) fn has_map_flag(place: *mut u8, flag: &str) -> Option<bool> {
    if ignores_advice() {
        return None;
    }
    let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
    let (mut inside, address) = (false, place.addr());
    for line in maps.lines() {
        if let Some((start, end)) = range(line) {
            inside = (start..end).contains(&address);
        } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
            return Some(flags.split_whitespace().any(|one| one == flag));
        }
    }
    None
}

fn range(line: &str) -> Option<(usize, usize)> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

/// Whether the kernel is an emulator that answers success to all advice and follows none: what it says then proves nothing.
pub(crate) fn ignores_advice() -> bool {
    let span = crate::os::reserve(crate::os::page_size(), crate::os::page_size(), None).expect("address space");
    // SAFETY: no kernel knows this advice; the page is ours.
    let answer = unsafe { libc::madvise(span.start().as_ptr().cast(), span.len(), 9999) };
    // SAFETY: not used again.
    unsafe { crate::os::release(span) };
    answer == 0
}

/// Answers EPERM to the given system calls from now on. For a child; false where filters cannot be had.
pub(crate) fn deny(calls: &[i64]) -> bool {
    let statement = |code: u32, k: u32, jump: u8| libc::sock_filter { code: code as u16, jt: 0, jf: jump, k };
    let mut program = std::vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
    for call in calls {
        program.push(statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, *call as u32, 1));
        program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0));
    }
    program.push(statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: changes a flag of this process.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return false;
    }
    // SAFETY: the program is alive for the call, which copies it.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    set == 0
}

/// Anonymous memory that children share with this process: where they leave what the exit code cannot hold.
pub(crate) fn shared_words(count: usize) -> *mut u64 {
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, which replaces nothing.
    let start: *mut c_void = unsafe { libc::mmap(ptr::null_mut(), count * 8, protection, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    start.cast()
}

/// The kernel's name for this process's memory at `place`, for a test's message.
pub(crate) fn describe(place: *mut u8) -> String {
    match region::query(place) {
        Ok(map) => format!("{:?} {}", map.as_range(), map.protection()),
        Err(error) => error.to_string(),
    }
}
