//! The example service, in short: it answers a load, dies of a double free in the guilty call, and serves on.

use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Built by `cargo test` together with the tests; `cargo test --test service` alone does not build it.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("this test is a file");
    let program =
        test.parent().and_then(|deps| deps.parent()).expect("it lies in target/PROFILE/deps").join("examples/service");
    assert!(program.is_file(), "{} is missing: cargo build --example service", program.display());
    program
}

#[test]
fn the_service_dies_in_the_call_that_frees_twice_and_serves_on_after_a_restart() {
    let run = Command::new(program())
        .args(["--requests", "500", "--seconds", "60", "--connections", "4"])
        .stdin(Stdio::null())
        .output()
        .expect("the service starts");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{}\n{out}\n{err}", run.status);
    assert!(out.contains("500 requests in "), "{out}");
    assert!(out.contains("    0 failed"), "{out}");
    if ravelin::MITIGATIONS.free_checks {
        assert!(out.contains("died of SIGABRT in that call"), "{out}");
        assert!(out.contains("    ravelin: double free of 0x"), "{out}");
        assert!(out.contains("it serves on"), "{out}");
    } else {
        assert!(out.contains("this build has no such check"), "{out}");
    }
}

#[test]
fn wrong_options_are_refused_with_status_2() {
    for wrong in [["--requests", "0"], ["--port", "65536"], ["--serve", "--seconds=1"]] {
        let run = Command::new(program()).args(wrong).stdin(Stdio::null()).output().expect("the service starts");
        assert_eq!(run.status.code(), Some(2), "{wrong:?}");
    }
}
