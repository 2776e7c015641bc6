//! The C face, seen from C: `libravelin.so` and `libravelin.a` under small programs that know what C, POSIX, glibc and C++ promise.
//!
//! The sources are in `tests/c`. Each prints nothing and exits 0 when all holds. They need a C and a C++ compiler, binutils and
//! the static libstdc++ that comes with the compiler; what is missing fails, nothing is skipped. `RAVELIN_TEST_FEATURES` (for example
//! `--no-default-features`) chooses the build of the library; else it has the defences of the engine that was built for this test.
#![cfg(all(target_os = "linux", target_env = "gnu", not(miri), not(ravelin_mock), not(ravelin_loom)))]
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod headers;
mod library;
mod program;
mod tools;

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use library::{debug_library, intended_names, library};
use program::{Program, Runtime, WAYS, Way, holds_in_every_way, plugin};
use tools::{emulated, output, run, source, start, text, tool};

#[test]
fn blocks_are_given_kept_cleared_and_resized_as_c_says() {
    holds_in_every_way("basics.c", &[]);
}

#[test]
fn a_call_that_fails_sets_enomem_and_changes_nothing_and_others_leave_errno_alone() {
    holds_in_every_way("failing.c", &[]);
}

#[test]
fn aligned_blocks_are_aligned() {
    holds_in_every_way("aligned.c", &[]);
}

#[test]
fn glibcs_control_panel_and_second_names_work() {
    holds_in_every_way("glibc.c", &[]);
}

#[test]
fn memory_is_there_in_constructors_destructors_and_at_the_end_of_threads() {
    holds_in_every_way("life.c", &[]);
}

#[test]
fn a_cancelled_thread_does_not_end_in_malloc() {
    holds_in_every_way("cancelled.c", &[]);
}

#[test]
fn a_sandbox_need_allow_no_other_system_calls_than_we_say() {
    holds_in_every_way("sandboxed.c", &[]);
}

#[test]
fn libraries_that_use_malloc_come_and_go() {
    let plugin = plugin("plugin.c");
    for way in [Way::Preloaded, Way::Shared] {
        Program::build("loads.c", way, Runtime::None, &[]).holds(&[&plugin]);
    }
    // A program with the archive in it must show its malloc to the libraries that it loads.
    Program::build("loads.c", Way::Static, Runtime::None, &[Path::new("-rdynamic")]).holds(&[&plugin]);
}

#[test]
fn the_library_may_be_opened_late_and_stays_when_it_is_closed() {
    Program::build("opened.c", Way::Absent, Runtime::None, &[]).holds(&[&library().so]);
    assert!(run(tool("readelf").args(["-d", "-W"]).arg(&library().so)).contains("NODELETE"));
}

#[test]
fn a_fork_may_wait_for_threads_that_allocate() {
    let pool = plugin("pool.c");
    // With the archive the program's constructors come after those of its libraries, and so do its fork handlers.
    for way in [Way::Preloaded, Way::Shared] {
        Program::build("forks_pool.c", way, Runtime::None, &[&pool]).holds(&[]);
    }
}

#[test]
fn every_operator_new_and_delete_works() {
    holds_in_every_way("operators.cpp", &[]);
}

#[test]
fn a_block_that_goes_back_by_another_operator_or_with_another_size_ends_the_process() {
    holds_in_every_way("mismatched.cpp", &[]);
    let one = "mismatched deallocation (allocated by new, freed by delete[]) of ";
    let many = "mismatched deallocation (allocated by new[], freed by delete) of ";
    let deeds = [
        ("a", one),
        ("b", many),
        ("c", many),
        ("d", "wrong size (size 48, requested 40) in free of "),
        ("e", "wrong size (size 32, requested 40) in free of "),
        ("f", "wrong size (size 41, requested 40) in free of "),
        ("g", "wrong layout (size 40, alignment 256) in free of "),
        ("h", "wrong layout (size 41, alignment 64) in free of "),
        ("i", "wrong layout (size 18446744073709551615, alignment 9223372036854775808) in free of "),
    ];
    for way in [Way::Preloaded, Way::Shared, Way::Static] {
        let program = Program::build("mismatched.cpp", way, Runtime::Shared, &[]);
        for (deed, report) in deeds {
            // One byte more is of the same class.
            let in_force = match deed {
                "d" | "e" | "f" | "h" => ravelin::MITIGATIONS.canaries,
                "g" | "i" => ravelin::MITIGATIONS.layout_checks,
                _ => ravelin::MITIGATIONS.origin_checks,
            };
            let output = program.output(&[Path::new(deed)]);
            let (said, reported) = (text(&output.stdout), text(&output.stderr));
            if in_force {
                let pointer = said.trim_end();
                assert_eq!(output.status.signal(), Some(6), "{way:?} {deed}: {said}{reported}");
                let line = format!("ravelin: {report}{pointer} (block of class ");
                assert!(reported.starts_with(&line), "{way:?} {deed}: {said}{reported}");
            } else {
                assert!(output.status.success() && said.ends_with("NOT CAUGHT\n"), "{way:?} {deed}: {said}{reported}");
            }
        }
    }
}

#[test]
fn operators_without_memory_call_the_handler_and_throw_or_answer_null() {
    for way in WAYS {
        for runtime in [Runtime::Shared, Runtime::Static] {
            let program = Program::build("exhausted.cpp", way, runtime, &[]);
            program.holds(&[]);
            // Preloaded under a static runtime, the operators are the runtime's; in the archive, they have no file of their own.
            if way != Way::Static && (way, runtime) != (Way::Preloaded, Runtime::Static) {
                program.holds(&[Path::new("libravelin")]);
            }
        }
    }
}

#[test]
fn bad_alloc_is_thrown_where_the_runtime_was_linked_without_its_thrower() {
    holds_in_every_way("lean.cpp", &[]);
}

#[test]
fn operators_that_a_program_replaces_take_the_other_forms_along() {
    holds_in_every_way("replaced.cpp", &[]);
    holds_in_every_way("replaced_array.cpp", &[]);
}

#[test]
fn a_new_that_cannot_throw_for_want_of_a_runtime_says_so_and_aborts() {
    for way in WAYS {
        let output = Program::build("no_runtime.c", way, Runtime::None, &[Path::new("-rdynamic")]).output(&[]);
        let line = "ravelin: out of memory in operator new, and no C++ runtime to throw std::bad_alloc\n";
        // (An emulator adds a line of its own.)
        assert!(text(&output.stderr).starts_with(line), "{way:?}: {}", text(&output.stderr));
        assert_eq!(output.status.signal(), Some(6), "{way:?}");
    }
}

#[test]
fn a_runtime_that_comes_with_a_plugin_is_found() {
    let plugin = plugin("late_plugin.cpp");
    for way in [Way::Preloaded, Way::Shared] {
        Program::build("late.c", way, Runtime::None, &[]).holds(&[&plugin]);
    }
    Program::build("late.c", Way::Static, Runtime::None, &[Path::new("-rdynamic")]).holds(&[&plugin]);
}

#[test]
fn the_archive_links_beside_another_rust_library() {
    let other = library().folder.join("libbeside_rust.a");
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .args(["--edition=2024", "--crate-type=staticlib", "-Cpanic=unwind", "-o"])
        .arg(&other)
        .arg(source("beside_rust.rs"));
    if emulated() {
        rustc.arg(format!("--target={}-unknown-linux-gnu", std::env::consts::ARCH));
    }
    run(&mut rustc);
    for (first, second) in [(&other, &library().a), (&library().a, &other)] {
        let more = [first.as_path(), second.as_path(), Path::new("-lm")];
        Program::build("beside_rust.c", Way::Preloaded, Runtime::None, &more).holds(&[]);
    }
}

#[test]
fn programs_of_the_system_run_preloaded() {
    // Under an emulator they are the host's, and the library is not: the run on the host has them.
    if emulated() {
        return;
    }
    let so = Some(library().so.as_path());
    let listing = run(start(Path::new("/bin/ls"), so).args(["-lR", "/etc"]));
    assert_eq!(listing, run(start(Path::new("/bin/ls"), None).args(["-lR", "/etc"])));
    let script = "for i in 1 2 3 4 5 6 7 8; do seq 20000 | tac | sort -n | tail -n 1; done";
    assert_eq!(run(start(Path::new("/bin/sh"), so).args(["-c", script])), "20000\n".repeat(8));
}

/// Names that a file defines for others, `nm`'s way.
fn exported(nm: &mut Command) -> Vec<String> {
    let all: BTreeSet<String> = run(nm)
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .map(|name| name.split('@').next().unwrap_or(name).to_owned())
        .collect();
    all.into_iter().collect()
}

#[test]
fn the_intended_names_are_exported_and_no_others() {
    let names = intended_names();
    assert!(names.is_sorted());
    let lib = library();
    assert_eq!(exported(tool("nm").args(["-D", "--defined-only"]).arg(&lib.so)), names, "libravelin.so");
    assert_eq!(exported(tool("nm").args(["-g", "--defined-only"]).arg(&lib.o)), names, "ravelin.o");
    assert_eq!(exported(tool("nm").args(["-g", "--defined-only"]).arg(&lib.a)), names, "libravelin.a");
}

#[test]
fn only_libc_and_the_loader_are_needed() {
    let dynamic = run(tool("readelf").args(["-d", "-W"]).arg(&library().so));
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .collect();
    assert!(needed.contains(&"libc.so.6"), "{needed:?}");
    assert!(needed.iter().all(|name| *name == "libc.so.6" || name.starts_with("ld-linux")), "{needed:?}");
    let undefined = run(tool("nm").args(["-D", "--undefined-only"]).arg(&library().so));
    for line in undefined.lines().filter(|line| !line.trim_start().starts_with("w ")) {
        assert!(line.contains("@GLIBC"), "a name that the C library does not define: {line}");
    }
}

#[test]
fn thread_local_storage_never_asks_the_loader() {
    let lib = library();
    let relocations = run(tool("readelf").args(["-r", "-W"]).arg(&lib.so));
    for model in ["DTPMOD", "DTPOFF", "DTPREL", "TLSDESC"] {
        assert!(!relocations.contains(model), "not initial-exec: {model}");
    }
    assert!(!run(tool("nm").args(["-D", "--undefined-only"]).arg(&lib.so)).contains("__tls_get_addr"));
    let segments = run(tool("readelf").args(["-l", "-W"]).arg(&lib.so));
    let has_tls = segments.lines().any(|line| line.trim_start().starts_with("TLS "));
    assert_eq!(has_tls, relocations.contains("TPOFF") || relocations.contains("TPREL"), "{segments}");
    // A loader that asks for no flag looks at the relocations: binutils sets it on x86 only.
    if has_tls && std::env::consts::ARCH == "x86_64" {
        assert!(run(tool("readelf").args(["-d", "-W"]).arg(&lib.so)).contains("STATIC_TLS"));
    }
}

#[test]
fn nothing_is_writable_and_executable_and_nothing_is_bound_late() {
    let segments = run(tool("readelf").args(["-l", "-W"]).arg(&library().so));
    assert!(!segments.contains("RWE"), "{segments}");
    assert!(segments.contains("GNU_RELRO") && segments.contains("GNU_STACK"), "{segments}");
    assert!(run(tool("readelf").args(["-d", "-W"]).arg(&library().so)).contains("NOW"));
}

/// Panics that remain in the release library, each with the reason why it cannot happen.
const PANICS_LEFT: &[&str] = &[];

#[test]
fn no_panic_is_reachable_in_the_release_library() {
    let symbols = run(tool("nm").arg("-C").arg(&library().so));
    assert!(symbols.contains("ravelin"), "the library has lost its symbols");
    let left: Vec<&str> = symbols
        .lines()
        .filter(|line| line.contains("core::panicking") && !PANICS_LEFT.iter().any(|known| line.contains(known)))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn calloc_is_not_compiled_into_a_call_of_itself() {
    let code = run(tool("objdump").args(["-d", "--no-show-raw-insn"]).arg(&library().so));
    for name in ["malloc", "calloc", "realloc", "free", "memalign"] {
        for line in code.lines() {
            let calls = line.contains("call") || line.contains("jmp") || line.contains("bl\t") || line.contains("b\t");
            assert!(
                !(calls && (line.ends_with(&format!("<{name}>")) || line.contains(&format!("<{name}@")))),
                "{line}"
            );
        }
    }
}

#[test]
fn the_debug_build_loads_too() {
    let so = debug_library();
    let program = Program::build("basics.c", Way::Preloaded, Runtime::None, &[]);
    let output = output(&mut program.start(&so));
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}
