//! Whom a fault belongs to: handlers of the program, before ours and after it.

use super::*;

/// An address that is nobody's.
fn foreign_fault() {
    // SAFETY: no memory safety is claimed: it faults.
    unsafe { core::ptr::without_provenance_mut::<u8>(page_size()).read_volatile() };
}

static CALLS: AtomicU32 = AtomicU32::new(0);

fn handle(handler: *const (), flags: i32) -> libc::sigaction {
    // SAFETY: zeros are a valid value of this plain C type.
    let (mut action, mut old): (libc::sigaction, libc::sigaction) = unsafe { core::mem::zeroed() };
    (action.sa_sigaction, action.sa_flags) = (handler.addr(), flags);
    // SAFETY: reads the one and writes the other; the handlers of these tests may run at any time.
    assert_eq!(unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, &raw mut old) }, 0);
    old
}

extern "C" fn leaves(_: i32) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(42) };
}

extern "C" fn leaves_if_told_all(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's.
    let address = unsafe { (*info).si_addr() }.addr();
    let is_right = signal == libc::SIGSEGV && address == page_size() && !context.is_null();
    // SAFETY: ends the process.
    unsafe { libc::_exit(if is_right { 42 } else { 1 }) };
}

static OLD: std::sync::OnceLock<usize> = std::sync::OnceLock::new();

extern "C" fn hands_back(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if CALLS.fetch_add(1, Relaxed) == 3 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(1) };
    }
    // SAFETY: what was the handler before this one; it takes these three.
    let old = unsafe {
        core::mem::transmute::<usize, extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void)>(*OLD.get().unwrap())
    };
    old(signal, info, context);
}

extern "C" fn counts_and_goes_on(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    if CALLS.fetch_add(1, Relaxed) == 3 {
        // SAFETY: ends the process.
        unsafe { libc::_exit(42) };
    }
    let _ = context;
}

/// Sees to it that ours is the first handler, as after the first allocations.
fn allocate_some() {
    (0..3).for_each(|_| Held::of(50).free());
}

#[test]
fn a_foreign_fault_is_what_it_would_be_without_us() {
    let test = "handlers::a_foreign_fault_is_what_it_would_be_without_us";
    let default = || {
        handle(core::ptr::without_provenance(libc::SIG_DFL), 0);
    };
    let info = libc::SA_SIGINFO;
    type Scene<'a> = (&'static str, &'a dyn Fn(), Result<i32, i32>);
    let scenes: [Scene<'_>; 10] = [
        (
            "none",
            &|| {
                default();
                allocate_some();
                foreign_fault()
            },
            Err(libc::SIGSEGV),
        ),
        (
            "sent",
            &|| {
                default();
                allocate_some();
                // SAFETY: sends a signal to this thread.
                unsafe { libc::raise(libc::SIGSEGV) };
            },
            Err(libc::SIGSEGV),
        ),
        (
            "ignored",
            &|| {
                handle(core::ptr::without_provenance(libc::SIG_IGN), 0);
                allocate_some();
                // SAFETY: sends a signal to this thread, which ignores it.
                unsafe { libc::raise(libc::SIGSEGV) };
                foreign_fault();
            },
            Err(libc::SIGSEGV),
        ),
        (
            "before",
            &|| {
                handle(leaves as *const (), 0);
                allocate_some();
                foreign_fault()
            },
            Ok(42),
        ),
        (
            "before_info",
            &|| {
                handle(leaves_if_told_all as *const (), info);
                allocate_some();
                foreign_fault()
            },
            Ok(42),
        ),
        (
            "after",
            &|| {
                default();
                allocate_some();
                handle(leaves_if_told_all as *const (), info);
                allocate_some();
                foreign_fault();
            },
            Ok(42),
        ),
        (
            "late",
            &|| {
                default();
                allocate_some();
                handle(leaves as *const (), 0);
                foreign_fault()
            },
            Ok(42),
        ),
        (
            "goes_on",
            &|| {
                handle(counts_and_goes_on as *const (), info);
                allocate_some();
                foreign_fault()
            },
            Ok(42),
        ),
        (
            "hands_back",
            &|| {
                default();
                allocate_some();
                OLD.set(handle(hands_back as *const (), info).sa_sigaction).unwrap();
                allocate_some();
                foreign_fault();
            },
            Err(libc::SIGSEGV),
        ),
        (
            "once",
            &|| {
                handle(counts_and_goes_on as *const (), info | libc::SA_RESETHAND);
                allocate_some();
                foreign_fault();
            },
            Err(libc::SIGSEGV),
        ),
    ];
    for (name, deed, expected) in scenes {
        let Some(corpse) = scene(test, name, deed) else { continue };
        let found = corpse.code.ok_or_else(|| corpse.signal.unwrap());
        assert_eq!((found, corpse.ours()), (expected, Vec::new()), "{name}: {corpse:?}");
        assert!(!corpse.stderr.contains("ravelin|") && !corpse.stderr.contains(SURVIVED), "{corpse:?}");
    }
}

#[test]
fn a_handler_that_comes_after_ours_still_leaves_our_faults_to_us_if_it_hands_them_on() {
    let test = "handlers::a_handler_that_comes_after_ours_still_leaves_our_faults_to_us_if_it_hands_them_on";
    let corpse = scene(test, "late", || {
        handle(core::ptr::without_provenance(libc::SIG_DFL), 0);
        let start = block(64, true);
        OLD.set(handle(hands_back as *const (), libc::SA_SIGINFO).sa_sigaction).unwrap();
        write(start, 64);
    });
    if let Some(corpse) = corpse {
        corpse.died_with("ravelin: buffer overflow (1 byte past the end) in write at 0x");
    }
}
