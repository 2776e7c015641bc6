//! How a program is run: what is preloaded, where it may write, and what is measured of it.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::Size;
use super::cost::Cost;
use crate::shell;

/// No program here needs a tenth of this.
const DEADLINE: Duration = Duration::from_secs(900);

/// What is preloaded, and how the column is called.
pub struct Setting {
    pub label: String,
    library: Option<PathBuf>,
}

impl Setting {
    pub fn without() -> Setting {
        Setting { label: "none".to_owned(), library: None }
    }

    pub fn with(label: &str, library: PathBuf) -> Setting {
        Setting { label: label.to_owned(), library: Some(library) }
    }

    /// Asserts that the library says of itself what it is thought to be.
    ///
    /// # Errors
    /// If `RAVELIN_VERBOSE=1` does not name this build.
    pub fn confirm_build(&self, name: &str) -> Result<()> {
        // A shell's built-in, so that something is allocated and nothing else is started.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read line < /dev/null; exit 0"]).env("RAVELIN_VERBOSE", "1");
        let output = self.preload(&mut command).output().context("cannot start /bin/sh")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !said.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == name) {
            bail!("the library does not say that it is the {name} build: {said}");
        }
        Ok(())
    }

    fn preload<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        match &self.library {
            Some(library) => command.env("LD_PRELOAD", library),
            None => command.env_remove("LD_PRELOAD"),
        }
    }
}

/// One run of a program under a setting, with a folder that is deleted afterwards.
pub struct Bench<'a> {
    setting: &'a Setting,
    data: &'a Path,
    scratch: TempDir,
    pub size: Size,
    cost: Cell<Cost>,
    commands: Cell<u32>,
}

impl<'a> Bench<'a> {
    pub fn new(setting: &'a Setting, data: &'a Path, size: Size) -> Result<Bench<'a>> {
        let scratch = TempDir::with_prefix_in("ravelin-", scratch_root())?;
        Ok(Bench { setting, data, scratch, size, cost: Cell::default(), commands: Cell::default() })
    }

    /// What the run has cost so far.
    pub fn cost(&self) -> Cost {
        self.cost.get()
    }

    /// Says how long the work took where that is not the time of its commands.
    pub fn set_wall(&self, wall: Duration) {
        self.cost.set(Cost { wall, ..self.cost.get() });
    }

    /// A generated input; not to be changed.
    pub fn data(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    /// The run's own folder.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// A path in the run's own folder.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Writes a file into the run's own folder.
    pub fn write(&self, name: &str, contents: &str) -> Result<PathBuf> {
        let path = self.scratch(name);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The distribution's program under this setting, in the run's folder, with nothing else of the caller's
    /// environment: what it prints must not depend on that.
    pub fn command(&self, program: &str, package: &str) -> Result<Command> {
        let mut command = Command::new(shell::system_program(program, package)?);
        command.env_clear().current_dir(self.scratch.path());
        command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", self.scratch.path());
        command.env("TMPDIR", self.scratch.path()).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        self.setting.preload(&mut command);
        Ok(command)
    }

    /// Runs a command, counts what it took, and returns its standard output.
    ///
    /// # Errors
    /// If it cannot start, is not done by the deadline, does not exit with 0, or has a report on standard error.
    pub fn run(&self, command: &mut Command) -> Result<String> {
        self.start(command)?.finish(Some(&self.cost))
    }

    /// The same for a command that is not part of the work measured.
    pub fn aside(&self, command: &mut Command) -> Result<String> {
        self.start(command)?.finish(None)
    }

    /// What a file holds, in short, for an output to be compared.
    pub fn sha256(&self, file: &Path) -> Result<String> {
        let line = self.aside(self.command("sha256sum", "coreutils")?.arg(file))?;
        Ok(line.split(' ').next().unwrap_or_default().to_owned())
    }

    /// Starts a server. What it takes counts only when it is stopped.
    pub fn start(&self, command: &mut Command) -> Result<Running> {
        let number = self.commands.get();
        self.commands.set(number + 1);
        let shown = shell::shown(command);
        let [stdout, stderr] = ["stdout", "stderr"].map(|name| self.scratch(&format!("{number}.{name}")));
        command.stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
        command.stdin(Stdio::null()).process_group(0);
        let death_with_parent = || {
            // SAFETY: PR_SET_PDEATHSIG takes no pointer. An interrupted run leaves no server behind.
            match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure only makes a system call.
        unsafe { command.pre_exec(death_with_parent) };
        // SAFETY: as above.
        unsafe { command.pre_exec(hear_interrupts) };
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
        let id = libc::pid_t::try_from(child.id())?;
        Ok(Running { id, shown, stdout, stderr, start, ended: false })
    }
}

/// A process that was started and is killed, with all of its group, if it is dropped before it ended.
pub struct Running {
    id: libc::pid_t,
    shown: String,
    stdout: PathBuf,
    stderr: PathBuf,
    start: Instant,
    ended: bool,
}

impl Running {
    /// Asks a server to stop, and then as [`Bench::run`], except that its lifetime is not counted.
    pub fn stop(self, signal: i32, cost: &Bench) -> Result<String> {
        self.check_alive()?;
        // SAFETY: kill takes no pointer; the process was not waited for, so the number is still its own.
        unsafe { libc::kill(self.id, signal) };
        let wall = cost.cost().wall;
        let output = self.finish(Some(&cost.cost))?;
        cost.set_wall(wall);
        Ok(output)
    }

    /// # Errors
    /// If the process has ended, and then what it wrote.
    pub fn check_alive(&self) -> Result<()> {
        // SAFETY: as in `stop`; WNOWAIT leaves the process to be waited for.
        let state = unsafe {
            let mut info = std::mem::zeroed::<libc::siginfo_t>();
            let id = libc::id_t::try_from(self.id)?;
            libc::waitid(libc::P_PID, id, &raw mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT);
            info.si_pid()
        };
        if state != 0 {
            bail!("{} has ended: {}", self.shown, tail(&self.text()));
        }
        Ok(())
    }

    /// Waits for the end and judges it.
    fn finish(mut self, counted: Option<&Cell<Cost>>) -> Result<String> {
        let (status, cost) = self.wait()?;
        if let Some(total) = counted {
            let mut sum = total.get();
            sum.add(cost);
            total.set(sum);
        }
        let said = String::from_utf8_lossy(&fs::read(&self.stderr)?).into_owned();
        if let Some(line) = said.lines().find(|line| is_report(line)) {
            bail!("{}: {line}", self.shown);
        }
        if !status.success() {
            bail!("{}: {status}: {}", self.shown, tail(&self.text()));
        }
        Ok(String::from_utf8_lossy(&fs::read(&self.stdout)?).into_owned())
    }

    /// wait4, because std does not say what a child has used.
    fn wait(&mut self) -> Result<(ExitStatus, Cost)> {
        let mut status = 0;
        // SAFETY: an all-zero rusage is a valid one.
        let mut usage = unsafe { std::mem::zeroed::<libc::rusage>() };
        loop {
            // SAFETY: both pointers are to live values; std never waits for this child.
            let answer = unsafe { libc::wait4(self.id, &raw mut status, libc::WNOHANG, &raw mut usage) };
            match answer {
                0 if self.start.elapsed() > DEADLINE => bail!("{} is not done after {DEADLINE:?}", self.shown),
                0 => std::thread::sleep(Duration::from_millis(1)),
                -1 => return Err(io::Error::last_os_error()).context("wait4"),
                _ => break,
            }
        }
        self.ended = true;
        let time = |time: libc::timeval| {
            Duration::from_micros(u64::try_from(time.tv_sec * 1_000_000 + time.tv_usec).unwrap_or_default())
        };
        let cpu = time(usage.ru_utime) + time(usage.ru_stime);
        let cost = Cost { wall: self.start.elapsed(), cpu, peak_kib: usage.ru_maxrss };
        Ok((ExitStatus::from_raw(status), cost))
    }

    fn text(&self) -> String {
        let read = |file| String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
        read(&self.stdout) + &read(&self.stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let mut status = 0;
            // SAFETY: the process, which leads its own group, was not waited for yet.
            unsafe {
                libc::kill(-self.id, libc::SIGKILL);
                libc::waitpid(self.id, &raw mut status, 0);
            }
        }
    }
}

/// A shell lets what it starts in the background ignore these signals, and so do their children: Python then raises no
/// `KeyboardInterrupt`, and its tests of that fail.
fn hear_interrupts() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGQUIT] {
        // SAFETY: back to what the system does; no handler of ours.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Where runs have their folders: in memory if there is room, or else where temporary files go.
///
/// ext4 does not hand a deleted file's inode out again for the next minutes, and looks for one that it may: so whoever makes thousands
/// of files just after another run's folder was deleted pays for that run. git cost 1.4 times as much in the second column as in the
/// first, whatever was preloaded.
fn scratch_root() -> PathBuf {
    const MEMORY: &std::ffi::CStr = c"/dev/shm";
    const ROOM: u64 = 2 << 30;
    // SAFETY: all zeros is a valid statvfs.
    let mut found = unsafe { std::mem::zeroed::<libc::statvfs>() };
    // SAFETY: a C string, and a live value to be written to.
    let is_there = unsafe { libc::statvfs(MEMORY.as_ptr(), &raw mut found) } == 0;
    let has_room = found.f_bavail.saturating_mul(found.f_frsize) >= ROOM;
    // What g++ compiles is run.
    if is_there && has_room && found.f_flag & (libc::ST_RDONLY | libc::ST_NOEXEC) == 0 {
        return MEMORY.to_string_lossy().into_owned().into();
    }
    std::env::temp_dir()
}

/// A line of the library's, or the loader saying that there is no library.
fn is_report(line: &str) -> bool {
    line.contains("ravelin: ") || line.contains("cannot be preloaded")
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
