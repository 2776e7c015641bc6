//! A seccomp filter that plays an older kernel or a strict container: chosen system calls fail, everything else works.
//!
//! The filter is put on this process, which then becomes the command; children inherit it.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

use crate::shell;

/// `madvise` that makes pages inaccessible without a new mapping, and its undoing (Linux 6.13).
const MADV_GUARD_INSTALL: u64 = 102;
const MADV_GUARD_REMOVE: u64 = 103;
/// The same number on every architecture (Linux 6.10).
const SYS_MSEAL: i64 = 462;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Refused {
    /// madvise with MADV_GUARD_INSTALL and MADV_GUARD_REMOVE
    Guards,
    /// mseal
    Mseal,
    /// getrandom
    Getrandom,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Errno {
    /// What a container's filter answers
    Eperm,
    /// What an older kernel answers to an advice it does not know
    Einval,
    /// What an older kernel answers to a call it does not know
    Enosys,
}

#[derive(clap::Args)]
pub struct Args {
    /// The calls that fail
    #[arg(long, value_enum, value_delimiter = ',', default_value = "guards,mseal")]
    pub refuse: Vec<Refused>,
    /// How they fail
    #[arg(long, value_enum, default_value = "eperm")]
    pub errno: Errno,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    let Some((program, arguments)) = args.command.split_first() else { bail!("no command") };
    install(&filter(&args.refuse, args.errno)?)?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {program}"))
}

/// What starts a command that is appended under the filter: this program again, since a filter can never be taken off.
pub fn words(refuse: &str, errno: &str) -> Result<Vec<String>> {
    let this = std::env::current_exe()?.into_os_string();
    let this = this.into_string().map_err(|path| anyhow!("{} is no text", path.display()))?;
    Ok([&this, "seccomp", "--refuse", refuse, "--errno", errno, "--"].map(str::to_owned).into())
}

/// A command that runs `command` under the filter.
pub fn wrapped(refuse: &str, errno: &str, command: &[&str]) -> Result<Command> {
    let words = words(refuse, errno)?;
    let mut this = shell::command(words.first().context("no words")?);
    this.args(words.iter().skip(1)).args(command);
    Ok(this)
}

fn filter(refuse: &[Refused], errno: Errno) -> Result<BpfProgram> {
    let rules: BTreeMap<i64, Vec<SeccompRule>> =
        refuse.iter().map(|refused| rules(*refused)).collect::<Result<_, seccompiler::BackendError>>()?;
    let errno = match errno {
        Errno::Eperm => libc::EPERM,
        Errno::Einval => libc::EINVAL,
        Errno::Enosys => libc::ENOSYS,
    };
    let refusal = SeccompAction::Errno(u32::try_from(errno)?);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

fn rules(refused: Refused) -> Result<(i64, Vec<SeccompRule>), seccompiler::BackendError> {
    let advice = |advice| {
        let is = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, advice)?;
        SeccompRule::new(vec![is])
    };
    Ok(match refused {
        Refused::Guards => (libc::SYS_madvise, vec![advice(MADV_GUARD_INSTALL)?, advice(MADV_GUARD_REMOVE)?]),
        // No rule: whatever the arguments.
        Refused::Mseal => (SYS_MSEAL, vec![]),
        Refused::Getrandom => (libc::SYS_getrandom, vec![]),
    })
}

/// Not seccompiler's own `apply_filter`: that one always sets no_new_privs, under which a test of a set-uid program
/// tests nothing. Root may do without.
fn install(program: &BpfProgram) -> Result<()> {
    // SAFETY: geteuid only reads.
    let root = unsafe { libc::geteuid() } == 0;
    // SAFETY: PR_SET_NO_NEW_PRIVS takes no pointer.
    if !root && unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(std::io::Error::last_os_error()).context("PR_SET_NO_NEW_PRIVS");
    }
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len())?,
        filter: program.as_ptr().cast_mut().cast::<libc::sock_filter>(),
    };
    // SAFETY: `filter` points to `len` instructions, of the kernel's layout, that the kernel copies before it returns.
    if unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) } != 0 {
        return Err(std::io::Error::last_os_error()).context("PR_SET_SECCOMP");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    struct Answers([i32; 4]);

    /// In a child, since the filter stays: the errno of a guard, of its removal, of mseal and of getrandom.
    fn answers_under(refuse: &[Refused], errno: Errno) -> [i32; 4] {
        let program = filter(refuse, errno).unwrap();
        // SAFETY: a fresh shared page, private to the test and its child.
        let shared = unsafe {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0)
        };
        assert_ne!(shared, libc::MAP_FAILED);
        // SAFETY: the child makes system calls only, then leaves.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                if install(&program).is_err() {
                    libc::_exit(1);
                }
                let errno = |result: i64| if result == -1 { *libc::__errno_location() } else { 0 };
                let mut byte = [0u8; 1];
                let answers = Answers([
                    // At a null page: unmapped, so that a kernel which knows the advice answers ENOMEM.
                    errno(libc::syscall(libc::SYS_madvise, 0usize, 4096usize, MADV_GUARD_INSTALL)),
                    errno(libc::syscall(libc::SYS_madvise, 0usize, 4096usize, MADV_GUARD_REMOVE)),
                    errno(libc::syscall(SYS_MSEAL, 1usize, 4096usize, 0usize)),
                    errno(libc::syscall(libc::SYS_getrandom, byte.as_mut_ptr(), 1usize, 0usize)),
                ]);
                shared.cast::<Answers>().write(answers);
                libc::_exit(0);
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
            assert_eq!(status, 0, "the filter could not be installed");
            shared.cast::<Answers>().read().0
        }
    }

    #[test]
    fn what_is_refused_fails_with_the_chosen_errno_and_the_rest_does_not() {
        let [install, remove, mseal, getrandom] = answers_under(&[Refused::Guards, Refused::Mseal], Errno::Eperm);
        assert_eq!([install, remove, mseal, getrandom], [libc::EPERM, libc::EPERM, libc::EPERM, 0]);

        let [install, remove, mseal, getrandom] = answers_under(&[Refused::Getrandom], Errno::Enosys);
        assert!(install != libc::EPERM && remove != libc::EPERM && mseal != libc::EPERM);
        assert_eq!(getrandom, libc::ENOSYS);
    }
}
