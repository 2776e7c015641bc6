//! How the child is started, how long it may live, and how its words are read.

use crate::ending::Ending;
use crate::marks::{self, BEGUN, ENDED};
use std::collections::HashMap;
use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{self, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Which deed a process is to do as a child: `NUMBER TEST`, where the test's first call of [`Child::run`] has number 0. The variable's name
/// is not among the options of any allocator.
const CHILD: &str = "MISUSE_TEST_CHILD";
/// How long a child may live unless the test says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a child is looked at whose pipes somebody else holds open.
const LOOK: Duration = Duration::from_millis(20);
/// How long words are waited for that a dead child's own children may still say.
const ECHO: Duration = Duration::from_millis(200);
/// Bytes of each stream that are kept.
const KEPT: usize = 1 << 20;

/// A process to be started, in which a misuse is to happen.
///
/// For a `#[test]`, [`child!`](crate::child!) makes one; for anything else, [`Child::command`].
#[derive(Debug)]
pub struct Child {
    command: Command,
    /// The test to be run again, unless it is another program.
    test: Option<String>,
    patience: Duration,
}

impl Child {
    /// A child that runs one `#[test]` of this program again, given by its name as `cargo test -- --list` prints it.
    ///
    /// # Panics
    /// If the running program has no file.
    #[must_use]
    pub fn of_test(name: impl Into<String>) -> Child {
        let name = name.into();
        let mut command = Command::new(env::current_exe().expect("the running test is a file"));
        command.args([&name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"]);
        command.env("RUST_BACKTRACE", "0");
        Child { test: Some(name), ..Child::command(command) }
    }

    /// Another program: a test with a harness of its own, an example, a C program under `LD_PRELOAD`. If it is written in Rust, it may use
    /// [`guilty`](crate::guilty) and [`look`](crate::look).
    ///
    /// ```
    /// use ravelin_testing::{Child, words};
    /// use std::process::Command;
    ///
    /// // What a program under a preloaded Ravelin would leave.
    /// let mut program = Command::new("sh");
    /// program.args(["-c", "echo 'ravelin: double free of 0x12c0 by thread 7' >&2; kill -ABRT $$"]);
    /// Child::command(program).start().dies_of(words::DOUBLE_FREE);
    /// ```
    #[must_use]
    pub fn command(command: Command) -> Child {
        Child { command, test: None, patience: PATIENCE }
    }

    /// Kills the child after so long: 60 seconds, unless told.
    #[must_use]
    pub fn timeout(mut self, patience: Duration) -> Child {
        self.patience = patience;
        self
    }

    /// Adds a variable to the child's environment: an option of the allocator, such as `RAVELIN_SAMPLED_GUARDS`.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Child {
        self.command.env(name, value);
        self
    }

    /// Changes how the child is started in any other way.
    #[must_use]
    pub fn arranged(mut self, arrange: impl FnOnce(&mut Command)) -> Child {
        arrange(&mut self.command);
        self
    }

    /// In the test: starts the child, waits, and returns what is left. In the child: does the deed, and exits if that returns.
    ///
    /// What the test does before this call, the child does too, other children included: a test that starts very many of them is better
    /// several tests. All of them are started from one thread.
    ///
    /// # Panics
    /// If no child can be started, or if it never came to the deed, which is so when its name is not the test's, or its time too short.
    #[track_caller]
    pub fn run(mut self, deed: impl FnOnce()) -> Ending {
        let name = self.test.clone().expect("`run` is for tests: start another program with `start`");
        let which = format!("{} {name}", number_of_deed(&name));
        if env::var(CHILD).is_ok_and(|wanted| wanted == which) {
            no_core_files();
            marks::mark(format_args!("{BEGUN}"));
            deed();
            marks::mark(format_args!("{ENDED}"));
            process::exit(0);
        }
        self.command.env(CHILD, which);
        let patience = self.patience;
        let ending = self.start();
        if ending.has_marked(BEGUN) {
            return ending;
        }
        if ending.timed_out() {
            panic!("the child was killed after {patience:?}, before it came to the deed{ending}");
        }
        panic!(
            "the child never came to the deed: is {name:?} the test's name, as `cargo test -- --list` prints it? {ending}"
        );
    }

    /// Starts the program, waits for its end, and returns what is left.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(mut self) -> Ending {
        let began = Instant::now();
        // A group of its own, so that children of the child can be ended with it.
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = match self.command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {:?}: {error}", self.command),
        };
        let mut ears = [Ear::new(child.stdout.take().map(Into::into)), Ear::new(child.stderr.take().map(Into::into))];
        let deadline = began + self.patience;
        let mut timed_out = false;
        // Both pipes end when the child does, as a rule: no time is lost by looking every so often.
        while !hear(&mut ears, deadline.min(Instant::now() + LOOK)) {
            if matches!(child.try_wait(), Ok(Some(_))) {
                hear(&mut ears, Instant::now() + ECHO);
                break;
            }
            if Instant::now() >= deadline {
                timed_out = true;
                break;
            }
        }
        // Whoever closes both pipes is about to end, but may yet live.
        let mut nap = Duration::from_micros(100);
        while !timed_out && matches!(child.try_wait(), Ok(None)) {
            timed_out = Instant::now() >= deadline;
            thread::sleep(nap);
            nap = (nap * 2).min(LOOK);
        }
        if timed_out {
            let group = i32::try_from(child.id()).unwrap_or(i32::MAX);
            // SAFETY: ends the processes that this call has started.
            unsafe { libc::kill(-group, libc::SIGKILL) };
            let _ = child.kill();
        }
        let status = child.wait().expect("the child is ours to wait for");
        if timed_out {
            hear(&mut ears, Instant::now() + ECHO);
        }
        let [out, err] = ears.map(Ear::text);
        Ending::new(status, out, err, timed_out.then_some(self.patience), began.elapsed())
    }
}

/// How many deeds the test has had before this one. In a child they are counted alike, since it is the same test.
fn number_of_deed(test: &str) -> usize {
    static COUNTS: LazyLock<Mutex<HashMap<String, usize>>> = LazyLock::new(Mutex::default);
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let count = counts.entry(test.to_owned()).or_default();
    *count += 1;
    *count - 1
}

/// What was heard of one pipe so far.
struct Ear {
    /// None when it has ended.
    pipe: Option<File>,
    heard: Vec<u8>,
}

/// Listens to both until then, or until they have ended: whether they have. What lies in a pipe is read in any case, however late it is:
/// what a dead child has said is there, and a busy machine must not make it dumb.
fn hear(ears: &mut [Ear; 2], until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut polls = ears.each_ref().map(|ear| libc::pollfd {
            fd: ear.pipe.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            events: libc::POLLIN,
            revents: 0,
        });
        let milliseconds = i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        // SAFETY: two descriptions, which live until the call returns; where the descriptor is negative nothing is done.
        unsafe { libc::poll(polls.as_mut_ptr(), 2, milliseconds) };
        ears.iter_mut().for_each(Ear::take_in);
        if ears.iter().all(|ear| ear.pipe.is_none()) {
            return true;
        }
        if left.is_zero() {
            return false;
        }
    }
}

impl Ear {
    fn new(pipe: Option<OwnedFd>) -> Ear {
        if let Some(pipe) = &pipe {
            // SAFETY: a flag of our end of the pipe; the child has the other.
            unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        }
        Ear { pipe: pipe.map(File::from), heard: Vec::new() }
    }

    /// Takes what lies in the pipe: no more than a pipe holds, for somebody may fill it as fast as it is read.
    fn take_in(&mut self) {
        let mut buffer = [0; 4096];
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(got @ 1..) => {
                    let room = KEPT.saturating_sub(self.heard.len());
                    self.heard.extend(buffer.iter().take(got.min(room)));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => self.pipe = None,
            }
        }
    }

    fn text(self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }
}

/// A process that is to die by a signal would leave a core file each time.
fn no_core_files() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: reads the limit that it is given.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
}

/// The name that the test harness knows a test by, from a function defined in its body. For [`child!`](crate::child!).
#[doc(hidden)]
#[must_use]
pub fn path_of_test<F>(here: &F) -> String {
    let path = std::any::type_name_of_val(here);
    let path = path.rsplit_once("::").map_or(path, |(outer, _here)| outer);
    let path = path.split("::{{closure}}").next().unwrap_or(path);
    // The harness leaves out the crate's name.
    path.split_once("::").map_or(path, |(_crate, path)| path).to_owned()
}
