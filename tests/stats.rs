//! Statistics of a whole program that does nothing for them but name the allocator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test, and a panic is how it fails")]

use core::alloc::Layout;
use core::hint::black_box;
use core::ptr;
use std::alloc::{alloc, dealloc};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::process::{Command, Output};
use std::sync::mpsc;
use std::{env, process, thread};

use ravelin::{ClassStats, Collect, Ravelin, Stats, collect, raw, stats};

#[global_allocator]
static GLOBAL: Ravelin = Ravelin;

/// What a program is to do of which this test is the parent.
const DEED: &str = "TEST_STATS_DEED";

/// Runs one test of this very program again, alone, with the variables that it is given.
fn child(test: &str, deed: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(DEED, deed);
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Runs a test in a process of its own: the figures are the whole process's.
fn alone(test: &str, body: impl FnOnce()) {
    if env::var(DEED).is_ok_and(|deed| deed == test) {
        return body();
    }
    let output = child(test, test, &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", stderr(&output));
}

/// A block of a size that nobody else here allocates.
struct Block(*mut u8, Layout);

// SAFETY: the block belongs to whoever has the value.
unsafe impl Send for Block {}

/// Its class; the test harness uses it no more than others.
const RARE: usize = ROOM - raw::TRAILER;
const ROOM: usize = 112 * 1024;

impl Block {
    fn new(size: usize) -> Block {
        let layout = Layout::from_size_align(size, 16).unwrap();
        // SAFETY: the size is not 0.
        let start = unsafe { alloc(layout) };
        assert!(!start.is_null());
        // SAFETY: just allocated, and so long.
        unsafe { ptr::write_bytes(start, 1, size) };
        Block(black_box(start), layout)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `new`.
        unsafe { dealloc(self.0, self.1) };
    }
}

fn rare(stats: &Stats) -> ClassStats {
    *stats.classes.iter().find(|class| class.block_size == ROOM as u64).unwrap()
}

#[test]
fn a_class_rises_by_the_blocks_allocated_and_falls_back() {
    alone("a_class_rises_by_the_blocks_allocated_and_falls_back", || {
        let before = rare(&stats());
        let blocks: Vec<Block> = (0..20).map(|_| Block::new(RARE)).collect();
        let during = rare(&stats());
        drop(blocks);
        let after = rare(&stats());
        assert_eq!(during.blocks, before.blocks + 20);
        assert_eq!(during.bytes, before.bytes + 20 * ROOM as u64);
        assert!(during.pages > before.pages);
        assert_eq!((after.blocks, after.bytes), (before.blocks, before.bytes));
        assert!(after.peak_blocks >= during.blocks && after.peak_bytes == after.peak_blocks * ROOM as u64);
    });
}

#[test]
fn what_is_live_is_committed_and_what_is_committed_is_reserved() {
    alone("what_is_live_is_committed_and_what_is_committed_is_reserved", || {
        let _blocks: Vec<Block> = [RARE, 1 << 20, 40 << 20].into_iter().map(Block::new).collect();
        let stats = stats();
        assert!(stats.live_bytes >= 41 << 20);
        assert!(stats.committed >= stats.live_bytes && stats.reserved >= stats.committed, "{stats}");
        assert!(stats.peak_committed >= stats.committed && stats.peak_live_bytes >= stats.live_bytes);
        assert!(stats.large.blocks >= 2 && stats.guards >= 2, "{stats}");
        let in_classes: u64 = stats.classes.iter().map(|class| class.bytes).sum();
        assert_eq!(in_classes + stats.large.bytes, stats.live_bytes);
    });
}

#[test]
fn a_full_collection_purges_what_was_freed_small_large_and_huge() {
    alone("a_full_collection_purges_what_was_freed_small_large_and_huge", || {
        collect(Collect::Fully);
        let before = stats();
        let bytes = 20 * RARE + (4 << 20) + (40 << 20);
        let mut blocks: Vec<Block> = (0..20).map(|_| Block::new(RARE)).collect();
        blocks.extend([4 << 20, 40 << 20].map(Block::new));
        let during = stats();
        drop(blocks);
        collect(Collect::Fully);
        let after = stats();
        assert!(during.committed >= before.committed + bytes as u64);
        assert!(after.purged >= before.purged + bytes as u64, "{before}{after}");
        assert!(after.committed < before.committed + (1 << 20), "{before}{after}");
        assert_eq!(after.quarantined, 0);
    });
}

#[test]
fn memory_used_again_after_it_was_given_back_counts_again() {
    alone("memory_used_again_after_it_was_given_back_counts_again", || {
        let turn = || {
            drop(Block::new(4 << 20));
            collect(Collect::Fully);
            stats()
        };
        let (first, second, third) = (turn(), turn(), turn());
        assert!(second.purged - first.purged >= 4 << 20 && third.purged - second.purged >= 4 << 20);
        assert!(third.committed.abs_diff(first.committed) < 1 << 20, "{first}{third}");
    });
}

#[test]
fn the_peak_of_a_program_that_grew_is_seen_within_a_sixteenth() {
    alone("the_peak_of_a_program_that_grew_is_seen_within_a_sixteenth", || {
        let before = stats().live_bytes;
        let blocks: Vec<Box<[u64; 6]>> = (0..200_000).map(|n| Box::new([n; 6])).collect();
        drop(black_box(blocks));
        let stats = stats();
        let grown = 200_000 * 48;
        assert!(stats.peak_live_bytes >= before + grown / 16 * 15 - (1 << 20), "{stats}");
        assert!(stats.peak_live_bytes <= stats.peak_committed);
    });
}

#[test]
fn a_thread_that_ends_leaves_its_pages_abandoned_and_others_frees_are_counted() {
    alone("a_thread_that_ends_leaves_its_pages_abandoned_and_others_frees_are_counted", || {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || {
            sender.send(Block::new(RARE)).unwrap();
            sender.send(Block::new(RARE)).unwrap();
        });
        let first = receiver.recv().unwrap();
        let second = receiver.recv().unwrap();
        thread.join().unwrap();
        let before = stats();
        assert!(before.abandoned_pages >= 1, "{before}");
        drop(first);
        drop(second);
        let after = stats();
        assert_eq!(rare(&after).blocks, rare(&before).blocks - 2);
        assert!(after.cross_thread_frees > before.cross_thread_frees, "{after}");
    });
}

#[test]
fn forks_are_counted_in_the_parent_and_in_the_child() {
    alone("forks_are_counted_in_the_parent_and_in_the_child", || {
        let before = stats().forks;
        // SAFETY: the child asks for statistics, which takes no lock, and leaves.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let counted = stats().forks == before + 1;
            // SAFETY: ends the child.
            unsafe { libc::_exit(i32::from(!counted)) };
        }
        let mut status = 0;
        // SAFETY: waits for the child made above.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!((status, stats().forks), (0, before + 1));
    });
}

#[test]
fn snapshots_may_be_taken_while_other_threads_allocate_and_free() {
    alone("snapshots_may_be_taken_while_other_threads_allocate_and_free", || {
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for n in 0..2000_usize {
                        let held: Vec<Box<[u8]>> = (0..20).map(|k| vec![1; (n * 37 + k * 997) % 5000].into()).collect();
                        drop(black_box(held));
                    }
                });
            }
            for _ in 0..200 {
                let stats = stats();
                assert!(stats.live_bytes < 1 << 30 && stats.live_blocks < 1 << 24, "{stats}");
            }
        });
    });
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The test that does whatever a parent asks for.
const ACTOR: &str = "a_child_does_its_deed";

/// Not a test by itself.
#[test]
fn a_child_does_its_deed() {
    let Ok(deed) = env::var(DEED) else { return };
    match deed.as_str() {
        "exit" => process::exit(0),
        "close stderr and exit" => {
            // SAFETY: nobody else uses the descriptor.
            unsafe { libc::close(libc::STDERR_FILENO) };
            process::exit(0);
        }
        file => {
            let file = File::create(file).unwrap();
            for number in [2].into_iter().chain(200..220) {
                // SAFETY: what these were is not used any more.
                assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), number) }, number);
            }
            process::exit(0);
        }
    }
}

#[test]
fn the_table_is_shown_once_at_exit_when_it_was_asked_for() {
    let shown = child(ACTOR, "exit", &[("RAVELIN_SHOW_STATS", "1")]);
    let text = stderr(&shown);
    assert!(shown.status.success(), "{text}");
    assert_eq!(text.matches("ravelin: statistics of process ").count(), 1, "{text}");
    assert!(text.contains("\nlive blocks  ") && text.contains("\n  large  "), "{text}");
    assert!(!stderr(&child(ACTOR, "exit", &[])).contains("ravelin"));
}

#[test]
fn statistics_are_shown_at_exit_in_the_form_that_was_asked_for() {
    let shown = |variables: &[(&str, &str)]| stderr(&child(ACTOR, "exit", variables));
    let json = shown(&[("RAVELIN_STATS", "json")]);
    let json: serde_json::Value = serde_json::from_str(json.get(json.find('{').unwrap()..).unwrap()).unwrap();
    assert_eq!((&json["ravelin"], &json["schema"]), (&env!("CARGO_PKG_VERSION").into(), &1.into()));
    assert!(json["live_bytes"].as_u64().unwrap() > 0);
    for variable in ["MIMALLOC_SHOW_STATS", "MIMALLOC_VERBOSE"] {
        let text = shown(&[(variable, "1")]);
        assert_eq!(text.matches("heap stats:     peak       total       freed     current ").count(), 1, "{text}");
        assert!(text.contains("\n  reserved:     ") && text.contains("\n   process: user: "), "{text}");
    }
    assert!(shown(&[("RAVELIN_STATS", "mimalloc")]).contains("\n   elapsed: "));
    assert!(shown(&[("RAVELIN_STATS", "table"), ("MIMALLOC_SHOW_STATS", "1")]).contains("\nlive blocks  "));
    assert!(!shown(&[("RAVELIN_STATS", "off")]).contains("reserved"));
}

#[test]
fn the_table_is_shown_though_the_program_closes_stderr_but_not_in_another_file() {
    let text = stderr(&child(ACTOR, "close stderr and exit", &[("RAVELIN_SHOW_STATS", "1")]));
    assert!(text.contains("ravelin: statistics of process "), "{text}");
    let file = env::temp_dir().join(format!("ravelin-stats-{}", process::id()));
    let output = child(ACTOR, file.to_str().unwrap(), &[("RAVELIN_SHOW_STATS", "1")]);
    let written = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    assert!(output.status.success() && written.is_empty(), "{written}");
}

#[test]
fn verbose_lists_version_defences_and_options_once_at_start() {
    let text = stderr(&child(ACTOR, "exit", &[("RAVELIN_VERBOSE", "1"), ("RAVELIN_PURGE_DELAY", "25")]));
    let version =
        format!("ravelin: version {}, {} build\n", env!("CARGO_PKG_VERSION"), ravelin::MITIGATIONS.build_name());
    assert_eq!(text.matches(&version).count(), 1, "{text}");
    assert_eq!(text.matches("ravelin: option purge_delay: 25 ms (environment)\n").count(), 1, "{text}");
    assert_eq!(text.matches("ravelin: free-checks: ").count(), 1, "{text}");
}

#[cfg(feature = "serde")]
#[test]
fn json_has_every_field_by_its_name_and_a_list_of_classes() {
    alone("json_has_every_field_by_its_name_and_a_list_of_classes", || {
        let _block = Block::new(RARE);
        let stats = stats();
        let json = serde_json::to_value(stats).unwrap();
        let fields = json.as_object().unwrap();
        // `Debug` is derived, so that it names the fields that there are.
        let debug = format!("{stats:#?}");
        let names = debug.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": ")).map(|(name, _)| name);
        let names: Vec<&str> = names.filter(|name| !name.starts_with(' ')).collect();
        assert_eq!(fields.len(), names.len(), "{names:?}");
        assert!(names.iter().all(|name| fields.contains_key(*name)), "{names:?} {json}");
        assert_eq!(json["live_bytes"], stats.live_bytes);
        assert_eq!(json["system_calls"]["reserve"], stats.system_calls.reserve);
        assert_eq!(json["large"]["bytes"], stats.large.bytes);
        let classes = json["classes"].as_array().unwrap();
        assert_eq!(classes.len(), stats.classes.len());
        assert_eq!((&classes[2]["block_size"], &classes[2]["blocks"]), (&48.into(), &stats.classes[2].blocks.into()));
    });
}
