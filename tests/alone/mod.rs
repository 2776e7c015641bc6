//! A test in a process of its own: what it measures is all of that process.

use std::env;
use std::process::Command;

const MARK: &str = "TEST_RUNS_AS_CHILD";

/// Runs `work` in a child that plays nothing but `test`, and shows what it said.
pub(crate) fn alone(test: &str, work: impl FnOnce()) {
    if env::var_os(MARK).is_some() {
        return work();
    }
    let child = Command::new(env::current_exe().expect("this test is a file"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARK, "1")
        .output()
        .expect("a process");
    let said = String::from_utf8_lossy(&child.stdout);
    print!("{said}");
    // A name that is misspelt would play nothing.
    let is_well = child.status.success() && said.contains("1 passed");
    assert!(is_well, "{}\n{}", child.status, String::from_utf8_lossy(&child.stderr));
}
