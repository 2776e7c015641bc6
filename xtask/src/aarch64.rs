//! aarch64: a weakly ordered machine, other instructions for thread-local storage, other system call numbers.

use std::process::Command;

use anyhow::Result;

use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// Only check that the engine and the C library compile
    #[arg(long)]
    pub check: bool,
}

pub fn run(args: &Args) -> Result<()> {
    const TARGET: [&str; 2] = ["--target", "aarch64-unknown-linux-gnu"];
    if args.check {
        // valgrind's requests are instructions of the machine's, too.
        for features in [&[][..], &["--features", "valgrind"]] {
            let check = ["check", "--package", "ravelin", "--package", "libravelin"];
            shell::run(shell::cargo().args(check).args(TARGET).args(features))?;
        }
        return Ok(());
    }
    // What differs between machines: the units, how C and C++ are met, and how valgrind is told.
    for tests in [&["--lib"][..], &["--test", "c_face"], &["--lib", "--features", "valgrind"]] {
        let skip = NOT_EMULATED.iter().flat_map(|(test, _)| ["--skip", test]);
        shell::run_tests(emulated().args(tests).args(TARGET).arg("--").args(skip))?;
    }
    println!("not run, for the emulator is not a machine there:");
    for (test, why) in NOT_EMULATED {
        println!("  {test}: {why}");
    }
    Ok(())
}

/// Without SVE: what moved by `MREMAP_DONTUNMAP` is inaccessible to qemu's SVE alone, which asks its own table and not the memory.
const EMULATOR: &str = "qemu-aarch64 -cpu max,sve=off -L /usr/aarch64-linux-gnu";

/// Tests that qemu-user (7.2 and 10.0 tried) cannot play, and why.
const NOT_EMULATED: [(&str, &str); 12] = [
    ("a_sandbox_need_allow_no_other_system_calls_than_we_say", "filters are not known"),
    ("a_thread_is_alone_until_there_is_another", "a thread of qemu's own is there"),
    ("a_thread_that_is_alone_may_fork_while_it_holds_the_lock", "a thread of qemu's own is there"),
    ("an_address_after_a_call_is_told_from_others", "process_vm_readv is not known"),
    ("a_stack_ends_where_the_kernel_says", "process_vm_readv is not known"),
    ("a_segment_in_use_stays_and_those_that_wait_for_the_purge", RLIMIT_AS),
    ("under_a_limit_of_address_space_vacant_segments", RLIMIT_AS),
    ("a_stale_pointer_reads_its_successor_s_secret_without_and_dies_with", FAULT),
    ("an_access_beyond_a_block_or_after_its_free_dies_with_its_story", FAULT),
    ("a_handler_that_comes_after_ours_still_leaves_our_faults_to_us", FAULT),
    ("other_threads_and_children_of_a_fork_die_in_the_same_way", FAULT),
    ("the_hook_gets_the_place_and_who_allocated_and_freed", FAULT),
];
const RLIMIT_AS: &str = "RLIMIT_AS is taken and ignored";
const FAULT: &str = "a fault does not tell whether it was a read or a write";

fn emulated() -> Command {
    let mut cargo = shell::cargo();
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    // The emulator's threads share an allocator of glib's whose lock a fork may leave taken: malloc's is not.
    cargo.env("G_SLICE", "always-malloc");
    // Cargo starts the tests, and those that run themselves again as a child start that.
    for starter in ["CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "TEST_EMULATOR"] {
        cargo.env(starter, EMULATOR);
    }
    cargo.args(["test", "--package", "ravelin"]);
    cargo
}
