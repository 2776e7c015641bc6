//! The last moments: the report hook, handlers of SIGABRT, and misuses where the allocator is at work. Whatever they do, there is one
//! report, and the process dies.

use core::fmt::Display;
use core::mem;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use corpus::stage::{
    Block, Case, Cases, End, Expect, Needs, Who, crowd, fork, guilty, on_thread, say, sized, together,
};
use ravelin::{Report, set_report_hook};
use std::thread;

const DOUBLE_FREE: &[&str] = &["double free of "];

pub fn cases() -> Cases {
    let mut cases = Cases::default();
    for who in Who::ALL {
        cases.push(with_hook(format_args!("is_called_once_with_the_report/{who}"), once, tells, who));
        cases.push(with_hook(format_args!("may_allocate/{who}"), once, allocates, who));
    }
    cases.push(with_hook("that_panics", once, panics, Who::Same));
    cases.push(with_hook("that_frees_twice_itself", once, misuses, Who::Same));
    cases.push(with_hook("that_allocates_for_ever", never_back, allocates_for_ever, Who::Same));
    cases.push(with_hook("that_waits_for_a_thread_in_the_allocator", never_back, waits_for_another, Who::Same));
    cases.push(with_hook("that_exits", ended_otherwise, |_| (), Who::Same));
    for (name, handler) in [
        ("returns", returns as extern "C" fn(i32)),
        ("allocates", allocates_and_returns),
        ("frees_twice_itself", misuses_and_returns),
    ] {
        cases.push(Case::new(
            format_args!("i10_handler_of_sigabrt/{name}"),
            Needs::FREE_CHECKS,
            Expect::ReportsAnd(DOUBLE_FREE, handled_once),
            move || {
                handle(libc::SIGABRT, handler);
                misuse(Who::Same);
            },
        ));
    }
    cases.extend(jumps());
    cases.push(Case::new("i10_two_threads_at_once", Needs::FREE_CHECKS, Expect::Reports(DOUBLE_FREE), || {
        crowd(8, |_| Block::new(100).free());
        let blocks: [Block; 8] = core::array::from_fn(|_| {
            let block = Block::new(100);
            block.free();
            block
        });
        crowd(8, |number| blocks[number].free());
    }));
    cases.push(
        Case::survives("i10_a_misuse_in_a_signal_handler_at_any_moment", at_any_moment).needing(Needs::FREE_CHECKS),
    );
    cases
}

fn freed() -> Block {
    let block = Block::new(100);
    block.free();
    block
}

fn misuse(who: Who) {
    who.play(freed, Block::free_guilty);
}

type Check = fn(&End) -> Result<(), String>;

fn with_hook(name: impl Display, check: Check, hook: fn(&Report), who: Who) -> Case {
    let expect = Expect::ReportsAnd(DOUBLE_FREE, check);
    Case::new(format_args!("i10_hook_{name}"), Needs::FREE_CHECKS, expect, move || {
        set_report_hook(hook);
        misuse(who);
    })
}

fn once(end: &End) -> Result<(), String> {
    match (end.count("the hook was called"), end.basic().call_returned()) {
        (1, false) => Expect::DiesLater(DOUBLE_FREE).judge(end),
        (times, _) => Err(format!("the hook was called {times} times")),
    }
}

fn never_back(end: &End) -> Result<(), String> {
    once(end)?;
    if end.has_said("the hook returns") { Err("the hook should have been ended".into()) } else { Ok(()) }
}

fn ended_otherwise(end: &End) -> Result<(), String> {
    if end.basic().call_returned() { Err("the guilty call returned".into()) } else { Ok(()) }
}

fn handled_once(end: &End) -> Result<(), String> {
    match (end.count("the handler was called"), end.basic().call_returned()) {
        (1, false) => Expect::DiesLater(DOUBLE_FREE).judge(end),
        (times, _) => Err(format!("the handler was called {times} times")),
    }
}

fn tells(report: &Report) {
    say(format_args!("the hook was called"));
    let block = report.block().expect("a block");
    assert_eq!(report.kind(), ravelin::Kind::DoubleFree);
    assert_eq!(report.operation(), ravelin::Operation::Free);
    assert_eq!(block.class_size(), ravelin::raw::good_size(100) + ravelin::raw::TRAILER);
    assert!(report.address() >= block.page() && report.address() < block.page() + (64 << 10));
    let text = report.to_string();
    assert!(text.starts_with("double free of 0x") && text.contains("class 112"), "{text}");
    say(format_args!("the hook returns"));
}

fn allocates(_: &Report) {
    say(format_args!("the hook was called"));
    let mut texts = Vec::new();
    for turn in 0..2_000 {
        texts.push(format!("{turn} of a backtrace's symbols, as it were"));
        Block::new(200_000).free();
    }
    assert_eq!(texts.len(), 2_000);
    on_thread(|| ());
    say(format_args!("the hook returns"));
}

fn panics(_: &Report) {
    say(format_args!("the hook was called"));
    #[allow(clippy::panic, reason = "what a hook must not do")]
    let give_up = || panic!("the hook gives up");
    give_up();
}

fn misuses(_: &Report) {
    say(format_args!("the hook was called"));
    freed().free();
    say(format_args!("the hook returns"));
}

fn allocates_for_ever(_: &Report) {
    say(format_args!("the hook was called"));
    loop {
        Block::new(300_000).free();
    }
}

/// The other thread may not go on in the allocator while a report is written, and the hook not without the other.
fn waits_for_another(_: &Report) {
    say(format_args!("the hook was called"));
    on_thread(|| {
        for _ in 0..100 {
            Block::new(300_000).free();
        }
    });
    say(format_args!("the hook returns"));
}

fn handle(signal: i32, handler: extern "C" fn(i32)) {
    // SAFETY: zeros are a valid value of this plain C type.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_NODEFER;
    // SAFETY: the handlers of these tests may run at any time.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }, 0);
}

extern "C" fn returns(_: i32) {
    say(format_args!("the handler was called"));
}

extern "C" fn allocates_and_returns(_: i32) {
    say(format_args!("the handler was called"));
    for _ in 0..300 {
        Block::new(200_000).free();
        drop(vec![1_u8; 50]);
    }
}

extern "C" fn misuses_and_returns(_: i32) {
    say(format_args!("the handler was called"));
    freed().free();
}

/// A context of the C library's, on the heap of nobody.
struct Context(AtomicPtr<libc::ucontext_t>);

/// Where the handler jumps to: out of the guilty call, as `siglongjmp` would.
static REFUGE: Context = Context(AtomicPtr::new(ptr::null_mut()));
static JUMPED: AtomicBool = AtomicBool::new(false);
/// Slow paths taken since.
static SINCE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn jumps_away(_: i32) {
    say(format_args!("the handler was called"));
    JUMPED.store(true, SeqCst);
    // SAFETY: the context was saved by the frame that `away` runs in, which has not returned.
    unsafe { libc::setcontext(REFUGE.0.load(SeqCst)) };
}

/// Does `deed` on a stack of its own, whose handler of SIGABRT jumps back here: unlike `setjmp`, this returns once, as far as a
/// compiler can see. `stack` is where the deed's frames are: below this one in memory they are deeper, as in a plain call.
fn away(stack: &mut [u8], deed: extern "C" fn()) {
    // SAFETY: zeros are a valid value of this plain C type.
    let mut here: libc::ucontext_t = unsafe { mem::zeroed() };
    // SAFETY: as above.
    let mut there: libc::ucontext_t = unsafe { mem::zeroed() };
    // SAFETY: writes to the context that it is given.
    assert_eq!(unsafe { libc::getcontext(&raw mut there) }, 0);
    there.uc_stack.ss_sp = stack.as_mut_ptr().cast();
    there.uc_stack.ss_size = stack.len();
    there.uc_link = &raw mut here;
    // SAFETY: the stack is this frame's caller's, and the function takes nothing.
    unsafe { libc::makecontext(&raw mut there, deed, 0) };
    REFUGE.0.store(&raw mut here, SeqCst);
    // SAFETY: both contexts live in this frame, which waits for the other.
    unsafe { libc::swapcontext(&raw mut here, &raw const there) };
    assert!(JUMPED.load(SeqCst), "the guilty call returned");
}

extern "C" fn deed() {
    let block = freed();
    guilty(block.address(), || block.free());
}

/// When the handler has jumped away, the process dies in the next slow path of the thread, or in that of another when the grace is
/// over.
fn jumps() -> Cases {
    const STACK: usize = 256 << 10;
    /// Only for the main thread, whose stack lies above all mappings: so the deed's frames are deeper than this one, as those of
    /// a plain call would be.
    fn jump_out_of_a_deeper_frame(then: fn()) {
        handle(libc::SIGABRT, jumps_away);
        let (flags, protection) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping, which replaces nothing.
        let stack = unsafe { libc::mmap(ptr::null_mut(), STACK, protection, flags, -1, 0) };
        assert!(stack != libc::MAP_FAILED && stack.addr() < ptr::from_ref(&stack).addr());
        // SAFETY: the mapping is new, zero and ours.
        away(unsafe { core::slice::from_raw_parts_mut(stack.cast(), STACK) }, deed);
        say(format_args!("jumped"));
        then();
    }
    fn slow_path() {
        SINCE.fetch_add(1, SeqCst);
        Block::new(300_000).free();
    }
    let dies = |name: &str, check: Check, play: fn()| {
        Case::new(
            format_args!("i10_handler_of_sigabrt/jumps_away/{name}"),
            Needs::FREE_CHECKS,
            Expect::ReportsAnd(DOUBLE_FREE, check),
            play,
        )
    };
    fn jumped(end: &End) -> Result<(), String> {
        handled_once(end)?;
        if !end.has_said("jumped") {
            return Err("the handler should have jumped away".into());
        }
        if end.has_said("went on") { Err("the process went on".into()) } else { Ok(()) }
    }
    Cases::from([
        dies("and_the_next_slow_path_dies", jumped, || {
            jump_out_of_a_deeper_frame(|| {
                slow_path();
                say(format_args!("went on"));
            });
        }),
        dies("and_the_next_thread_that_is_started_dies", jumped, || {
            jump_out_of_a_deeper_frame(|| {
                thread::spawn(|| Block::new(300_000).free()).join().expect("no panic");
                say(format_args!("went on"));
            });
        }),
        dies("and_a_thread_that_runs_already_dies", jumped, || {
            together(
                || {
                    jump_out_of_a_deeper_frame(|| {
                        // Uses the allocator no more.
                        // SAFETY: waits for a signal that never comes.
                        unsafe { libc::pause() };
                    });
                },
                || {
                    while !JUMPED.load(SeqCst) {
                        thread::yield_now();
                    }
                    slow_path();
                    say(format_args!("went on"));
                },
            );
        }),
        // The frame that is jumped to lies on a stack of its own, below the guilty one: it cannot be told from a handler's frames,
        // and the process dies after a bounded number of slow paths.
        dies("to_a_deeper_stack_and_dies_within_bounds", jumped, || {
            handle(libc::SIGABRT, jumps_away);
            on_thread(|| {
                let mut high = [0_u8; STACK];
                HIGH.store(core::hint::black_box(&mut high).as_mut_ptr(), SeqCst);
                let mut low = [0_u8; STACK];
                low_frame(core::hint::black_box(&mut low));
            });
        }),
    ])
}

/// The upper of two stacks, for the deed.
static HIGH: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

fn low_frame(_: &mut [u8]) {
    const STACK: usize = 256 << 10;
    // SAFETY: the array of a frame above this one, which nobody else uses.
    let high = unsafe { core::slice::from_raw_parts_mut(HIGH.load(SeqCst), STACK) };
    away(high, deed);
    say(format_args!("jumped"));
    for _ in 0..20_000 {
        Block::new(300_000).free();
    }
    say(format_args!("went on"));
}

/// I10: the handler interrupts the allocator wherever it is, also under its lock, and frees what must not be freed. CI size 40 times,
/// full 2,000.
fn at_any_moment() {
    extern "C" fn misuses_now(_: i32) {
        Block::at(0x10).free();
    }
    for turn in 0..sized(40, 2_000) {
        let end = fork(|| {
            handle(libc::SIGALRM, misuses_now);
            let soon = libc::itimerval {
                it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
                it_value: libc::timeval { tv_sec: 0, tv_usec: 300 + (turn as libc::suseconds_t * 37) % 900 },
            };
            // SAFETY: reads the time that it is given.
            assert_eq!(unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const soon, ptr::null_mut()) }, 0);
            loop {
                Block::new(300_000).free();
                Block::new(40).free();
            }
        });
        let lines: Vec<&str> = end.stderr.lines().collect();
        assert_eq!(end.signal, libc::SIGABRT, "{end:?}");
        assert!(
            matches!(lines[..], [line] if line.starts_with("ravelin: invalid free (wild pointer) of 0x10 ")),
            "{end:?}"
        );
    }
}
