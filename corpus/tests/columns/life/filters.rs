//! System calls that a container or an old kernel refuses (I7).

use super::exercise::exercise;
use super::limits::before_start;
use corpus::stage::{Case, Cases, Expect, GUARDS, Needs, Refusal, fork, refuse, say, skip};
use std::env;
use std::process::Command;

pub fn cases() -> Cases {
    let mut cases = Cases::from([
        from_start("guards", |command| before_start(command, || deny(&GUARDS))),
        from_start("seal", |command| before_start(command, || deny(&[SEAL]))),
        from_start("getrandom", |command| before_start(command, || deny(&[random(libc::EPERM)]))),
        from_start("getrandom_unknown", |command| before_start(command, || deny(&[random(libc::ENOSYS)]))),
        from_start("getrandom_not_ready", |command| before_start(command, || deny(&[NOT_READY]))),
        from_start("all_of_them", |command| {
            before_start(command, || deny(&[GUARDS[0], GUARDS[1], SEAL, random(libc::EPERM)]));
        }),
        from_start("all_advice", |command| before_start(command, || deny(&[whole(libc::SYS_madvise, libc::EPERM)]))),
        from_start("placement", |command| before_start(command, || deny(&[FIXED]))),
    ]);
    cases.push(Case::survives("i7_refused_in_the_middle", || {
        exercise();
        if !refuse(&[GUARDS[0], GUARDS[1], SEAL, random(libc::EPERM), whole(libc::SYS_madvise, libc::EPERM)]) {
            skip("no filters of system calls on this machine");
        }
        exercise_without_forks();
    }));
    cases.push(
        Case::new("i7_refused_seals_are_counted", Needs::SEALED, Expect::Says(COUNTED), || {
            exercise();
            if !is_refused() {
                skip("no filters of system calls on this machine");
            }
            let calls = ravelin::stats().system_calls;
            if calls.seal != 0 && calls.failed >= calls.seal {
                say(format_args!("{COUNTED}"));
            }
        })
        .arranged(|command| before_start(command, || deny(&[SEAL]))),
    );
    let stops = Expect::Reports(&["no source of randomness in "]);
    cases.push(
        Case::new("i7_no_randomness_at_all_stops_at_the_start", Needs::NOTHING, stops, || {
            skip("no filters of system calls on this machine");
        })
        .arranged(without_randomness),
    );
    cases.push(Case::survives("i7_no_randomness_in_a_child_stops_the_child", child_without_randomness));
    cases
}

const COUNTED: &str = "every seal was asked for, refused and counted";

/// Whether a seal of no memory is refused, which a kernel that has the call grants.
fn is_refused() -> bool {
    // SAFETY: a span of no bytes.
    unsafe { libc::syscall(SEAL.call, 0, 0, 0) == -1 }
}

const SEAL: Refusal = Refusal { call: 462, third: None, error: libc::ENOSYS };
/// mremap, which a filter may know nothing of.
const FIXED: Refusal = Refusal { call: libc::SYS_mremap, third: None, error: libc::ENOSYS };

/// A machine that has just booted: the call that may not block gets no answer.
const NOT_READY: Refusal = Refusal { call: libc::SYS_getrandom, third: Some(libc::GRND_NONBLOCK), error: libc::EAGAIN };

fn random(error: i32) -> Refusal {
    whole(libc::SYS_getrandom, error)
}

fn whole(call: i64, error: i32) -> Refusal {
    Refusal { call, third: None, error }
}

fn from_start(name: &str, arrange: fn(&mut Command)) -> Case {
    Case::survives(format_args!("i7_refused_from_the_start/{name}"), exercise).arranged(arrange)
}

/// Where there are no filters, nothing is refused; then the plays are ordinary ones.
fn deny(refusals: &[Refusal]) {
    refuse(refusals);
}

fn exercise_without_forks() {
    super::threads::work_in_many_threads();
}

/// Names what is to be refused before the allocator's first use. Not one of the allocator's by its prefix, which is for options.
const MARK: &str = "STAGE_WITHOUT_RANDOMNESS";

fn without_randomness(command: &mut Command) {
    command.env(MARK, "1");
    before_start(command, || ());
}

/// No answer from the kernel, and no file to read instead.
fn without_sources() -> bool {
    let calls = [libc::SYS_getrandom, libc::SYS_openat];
    refuse(&calls.map(|call| whole(call, libc::EPERM)))
}

/// Called before main, and before Rust's runtime, which is the first to allocate; but behind the loader, which opens files.
extern "C" fn before_main(_: i32, _: *const *const u8, environment: *const *const libc::c_char) {
    let mut place = environment;
    loop {
        // SAFETY: the environment that the process was started with: pointers to texts, and null behind them.
        let variable = unsafe { *place };
        if variable.is_null() {
            return;
        }
        // SAFETY: as above.
        let text = unsafe { core::ffi::CStr::from_ptr(variable) };
        if text.to_bytes().starts_with(MARK.as_bytes()) {
            without_sources();
        }
        place = place.wrapping_add(1);
    }
}

#[used]
#[unsafe(link_section = ".init_array.00100")]
static BEFORE_MAIN: extern "C" fn(i32, *const *const u8, *const *const libc::c_char) = before_main;

fn child_without_randomness() {
    assert!(env::var_os(MARK).is_none());
    // SAFETY: writes to no byte.
    if unsafe { libc::getrandom(std::ptr::null_mut(), 0, libc::GRND_NONBLOCK) } != 0 {
        skip("getrandom is refused already, and a file is open in its place");
    }
    let end = fork(|| {
        if !without_sources() {
            return 77;
        }
        // The allocator's own fork handler draws, before the child has anything to say.
        i32::from(fork(|| 0).signal != libc::SIGABRT)
    });
    if end.code == 77 {
        skip("no filters of system calls on this machine");
    }
    let lines: Vec<&str> = end.stderr.lines().collect();
    assert_eq!((end.signal, end.code), (0, 0), "{end:?}");
    assert!(matches!(lines[..], [line] if line.starts_with("ravelin: no source of randomness")), "{end:?}");
}
