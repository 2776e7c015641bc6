//! A program that the kernel starts with more rights than its user has (set-uid, set-gid) does not listen to that user's environment.
//!
//! The test makes a copy of itself such a program: as root one of root's, run by nobody; else one of another group that this user is
//! in. Where there is neither, or the file system knows no such programs, it says so and tests nothing.

#![allow(clippy::panic, reason = "a test, and a panic is how it fails")]

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, process, thread};

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

const MARK: &str = "TEST_RUNS_AS_CHILD";
/// Any user but root.
const NOBODY: u32 = 65_534;

/// Not a test: what the copy does.
#[test]
fn the_copy_works() {
    if env::var_os(MARK).is_none() {
        return;
    }
    // SAFETY: looks a number up in a list from the kernel.
    println!("privileged: {}", unsafe { libc::getauxval(libc::AT_SECURE) });
    let sum = thread::spawn(|| (0..1_000).map(|n| vec![n; 3].len()).sum::<usize>()).join().expect("a thread");
    assert_eq!(sum, 3_000);
}

fn run(program: &Path) -> Output {
    let mut command = Command::new(program);
    command.args(["the_copy_works", "--exact", "--nocapture", "--test-threads=1"]).env(MARK, "1").current_dir("/");
    command.envs([("RAVELIN_VERBOSE", "1"), ("RAVELIN_SHOW_STATS", "1"), ("RAVELIN_PURGE_DELAY", "soon")]);
    command.envs([("RAVELIN_NONSENSE", "1"), ("MIMALLOC_SHOW_STATS", "1"), ("RAVELIN_SAMPLED_GUARDS", "1")]);
    // SAFETY: geteuid only reads.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().expect("a process")
}

/// A copy of this program in a folder that others may look into.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Copy {
        let folder = env::temp_dir().join(format!("privileged-{}", process::id()));
        fs::create_dir(&folder).expect("a folder for a moment");
        let copy = Copy(folder);
        fs::copy(env::current_exe().expect("this test is a file"), copy.program()).expect("room for a copy");
        copy.allow(&copy.0, 0o755);
        copy.allow(&copy.program(), 0o755);
        copy
    }

    fn program(&self) -> PathBuf {
        self.0.join("program")
    }

    fn allow(&self, file: &Path, mode: u32) {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("a file of this user's");
    }

    /// From now on it runs with rights that its user has not. False: none can be given.
    fn raise(&self) -> bool {
        // SAFETY: only reads.
        if unsafe { libc::geteuid() } == 0 {
            self.allow(&self.program(), 0o4755);
            return true;
        }
        // SAFETY: only reads.
        let group = unsafe { libc::getegid() };
        let mut groups = [0; 64];
        // SAFETY: writes at most as many numbers as the place has.
        let count = unsafe { libc::getgroups(64, groups.as_mut_ptr()) };
        let other = groups.iter().take(usize::try_from(count).unwrap_or(0)).find(|&&other| other != group);
        let given = other.is_some_and(|&other| chown(self.program(), None, Some(other)).is_ok());
        if given {
            self.allow(&self.program(), 0o2755);
        }
        given
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_set_uid_program_ignores_the_options() {
    let copy = Copy::new();
    let listens = |output: &Output| String::from_utf8_lossy(&output.stderr).contains("ravelin");
    let is_privileged = |output: &Output| {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        !said.contains("privileged: 0")
    };
    let ordinary = run(&copy.program());
    assert!(!is_privileged(&ordinary) && listens(&ordinary));
    let raised = copy.raise().then(|| run(&copy.program())).filter(is_privileged);
    let Some(raised) = raised else {
        println!("skipped: no program can be given other rights here");
        return;
    };
    assert!(!listens(&raised), "{}", String::from_utf8_lossy(&raised.stderr));
}
