//! Means for tests, of every floor.
//!
//! # Turns
//!
//! The engine's state is the process's, and the tests of one process run side by side. A test that counts segments, say,
//! takes its [`turn`]; one that changes what the process is (its options, what its system can do), or that leaves a mess,
//! runs [`alone`].
//!
//! # Children
//!
//! Tests of how a process dies, or of what it prints: the test runs itself again as a child, and looks at what is left.
//!
//! ```text
//! #[test]
//! fn a_promise() {
//!     let corpse = Child::of("floor::tests::a_promise").run(|| do_the_deed());
//!     assert_eq!(corpse.signal, Some(libc::SIGABRT));
//! }
//! ```
//!
//! The parent starts its own executable with that one test and a mark in the environment; the child, which finds the
//! mark, does the deed and never returns from `run`. Where the machine cannot start an executable of this target by itself,
//! `TEST_EMULATOR` says what can. Such tests are for the real operating system: they are ignored under Miri,
//! which starts no processes, and on the mock, whose clock and environment are not real.

use core::time::Duration;
use proptest::test_runner::Config as ProptestConfig;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::Instant;
use std::vec::Vec;
use std::{env, process, thread};

/// Not one of ours by its prefix, which is for options.
const MARK: &str = "TEST_RUNS_AS_CHILD";
/// An emulator and its arguments.
const EMULATOR: &str = "TEST_EMULATOR";
/// What a child prints when its deed has come to an end.
pub(crate) const SURVIVED: &str = "NOT CAUGHT";
/// After this a child counts as hung: an emulator on a busy machine needs a minute for what takes half a second.
const PATIENCE: Duration = Duration::from_secs(180);

/// How property tests run: without files in the source tree, which Miri could not write. PROPTEST_CASES says how often.
pub(crate) fn proptest_config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// While it is held, no other test that takes turns runs.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a test, given by its full path in the crate, in a process of its own; where there are none (Miri), in turn.
pub(crate) fn alone(test: &'static str, deed: impl FnOnce()) {
    if cfg!(miri) {
        let _turn = turn();
        return deed();
    }
    let corpse = Child::of(test).run(deed);
    assert_eq!(corpse.code, Some(0), "{}\n{corpse:?}", corpse.stderr);
}

fn own_executable() -> Command {
    let executable = env::current_exe().unwrap();
    let emulator = env::var(EMULATOR).unwrap_or_default();
    let mut words = emulator.split_whitespace();
    let Some(program) = words.next() else { return Command::new(executable) };
    let mut command = Command::new(program);
    command.args(words).arg(executable);
    command
}

/// A child to be run.
pub(crate) struct Child {
    test: &'static str,
    command: Command,
}

/// What is left of a child.
#[derive(Debug)]
pub(crate) struct Corpse {
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// The code with which it exited.
    pub(crate) code: Option<i32>,
    /// How long it lived.
    pub(crate) lived: Duration,
    /// What it wrote to stderr.
    pub(crate) stderr: String,
}

impl Child {
    /// A child that runs one test, given by its full path in the crate.
    pub(crate) fn of(test: &'static str) -> Child {
        let mut command = own_executable();
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(MARK, test);
        Child { test, command }
    }

    /// Adds a variable to the child's environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Child {
        self.command.env(name, value);
        self
    }

    /// In the parent: runs the child to its end. In the child: does the deed, and exits if that returns.
    pub(crate) fn run(mut self, deed: impl FnOnce()) -> Corpse {
        if env::var(MARK).is_ok_and(|test| test == self.test) {
            deed();
            std::eprintln!("{SURVIVED}");
            process::exit(0);
        }
        let mut child = self.command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stderr.take().unwrap();
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).to_string()
        });
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > PATIENCE {
                child.kill().unwrap();
            }
            sleep(Duration::from_millis(2));
        };
        Corpse { signal: status.signal(), code: status.code(), lived: start.elapsed(), stderr: reader.join().unwrap() }
    }
}

impl Corpse {
    /// The lines on stderr that this crate has written.
    pub(crate) fn ours(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("ravelin: ")).collect()
    }

    /// Asserts that the process died of SIGABRT inside its deed, and having reported once.
    pub(crate) fn died_with(&self, report: &str) {
        assert_eq!(self.signal, Some(libc::SIGABRT), "{self:?}");
        assert!(!self.stderr.contains(SURVIVED), "{self:?}");
        let [line] = self.ours()[..] else {
            panic!("not one line: {self:?}");
        };
        assert!(line.starts_with(report), "{line}");
    }
}
