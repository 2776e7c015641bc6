//! Runs a command and writes what it took: `measure OUT SECONDS PRELOAD PROGRAM ARGUMENT..`.
//!
//! A program of its own, and a small one, because the kernel counts into a process's peak memory what it was before
//! it became the command: a fork of a large parent would hide what a small program needs.

use std::ffi::CString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::time::Instant;

fn main() {
    let arguments: Vec<CString> =
        std::env::args_os().skip(1).filter_map(|text| CString::new(text.into_vec()).ok()).collect();
    let [out, seconds, preload, program @ ..] = &arguments[..] else { fail("usage: OUT SECONDS PRELOAD PROGRAM ..") };
    let Some(seconds) = seconds.to_str().ok().and_then(|text| text.parse::<u32>().ok()) else { fail("no seconds") };
    let mut pointers: Vec<*const libc::c_char> = program.iter().map(|text| text.as_ptr()).collect();
    pointers.push(std::ptr::null());

    let start = Instant::now();
    // SAFETY: this process has one thread, and the child calls nothing but what may be called after a fork.
    let child = unsafe { libc::fork() };
    if child < 0 {
        fail("cannot fork");
    }
    if child == 0 {
        become_command(seconds, preload, &pointers);
    }
    // A deadline for commands that sleep: this process dies, and the child with it.
    // SAFETY: no condition.
    unsafe { libc::alarm(seconds) };
    let mut status = 0;
    // SAFETY: a struct of numbers, for the kernel to fill.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to locals.
    while unsafe { libc::wait4(child, &mut status, 0, &mut usage) } != child {}
    let wall = start.elapsed();

    let micros = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
    let text = format!(
        r#"{{"user":{},"system":{},"wall":{},"peak":{},"minor":{},"major":{},"waited":{},"preempted":{}}}"#,
        micros(usage.ru_utime),
        micros(usage.ru_stime),
        wall.as_micros(),
        usage.ru_maxrss,
        usage.ru_minflt,
        usage.ru_majflt,
        usage.ru_nvcsw,
        usage.ru_nivcsw,
    );
    let written = out.to_str().ok().and_then(|out| std::fs::File::create(out).ok());
    if written.and_then(|mut file| file.write_all(text.as_bytes()).ok()).is_none() {
        fail("cannot write the result");
    }
    if libc::WIFSIGNALED(status) {
        std::process::exit(128 + libc::WTERMSIG(status));
    }
    std::process::exit(libc::WEXITSTATUS(status));
}

fn become_command(seconds: u32, preload: &CString, program: &[*const libc::c_char]) -> ! {
    // SAFETY: no condition.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let limit = libc::rlimit { rlim_cur: u64::from(seconds) * 4, rlim_max: u64::from(seconds) * 4 };
    // SAFETY: a pointer to a local.
    unsafe { libc::setrlimit(libc::RLIMIT_CPU, &limit) };
    // No core files of peers that crash.
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a pointer to a local.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
    if !preload.is_empty() {
        // SAFETY: this process has one thread, and both are strings that end.
        unsafe { libc::setenv(c"LD_PRELOAD".as_ptr(), preload.as_ptr(), 1) };
    }
    // SAFETY: an array of strings that ends with null.
    unsafe { libc::execvp(program[0], program.as_ptr()) };
    // SAFETY: no condition.
    unsafe { libc::_exit(127) }
}

fn fail(why: &str) -> ! {
    eprintln!("measure: {why}");
    std::process::exit(126)
}
