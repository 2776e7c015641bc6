//! What children of one fork have in common: their addresses, orders and secrets are drawn anew, so no more than chance makes it.

use super::{allocate, free, say, trials};
use ravelin::MITIGATIONS;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

/// How many blocks a process asks for after the fork.
const BLOCKS: usize = 32;
/// Of a class that keeps a canary, where there are some, within its first 48 bytes.
const SIZE: usize = 40;

/// What a process gets: for each block its address, and the secret in it that a bug could show.
type Seen = [[u64; 2]; BLOCKS];

fn look() -> Seen {
    let some: [*mut u8; BLOCKS] = core::array::from_fn(|_| allocate(SIZE));
    let canary = |block: *mut u8| {
        // SAFETY: a class has multiples of 16 bytes, so the block has 48 at least.
        unsafe { block.add(SIZE).cast::<u64>().read_volatile() }
    };
    let mut seen = some.map(|block| [block.expose_provenance() as u64, canary(block)]);
    // SAFETY: live, and not used again but for what follows.
    some.iter().for_each(|&block| unsafe { free(block) });
    if !MITIGATIONS.canaries {
        for (place, block) in seen.iter_mut().zip(some) {
            // SAFETY: none: what an attacker reads of a freed block, its link. Memory that was given back would fault, and is not.
            place[1] = unsafe { block.cast::<u64>().read_volatile() };
        }
    }
    seen
}

fn child() -> (libc::pid_t, File) {
    let mut ends = [0; 2];
    // SAFETY: writes two descriptors to the array.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    // SAFETY: open, and nobody else's.
    let [read, write] = ends.map(|end| File::from(unsafe { OwnedFd::from_raw_fd(end) }));
    // SAFETY: the child allocates, writes and leaves.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "the machine can make a process");
    if child == 0 {
        let bytes: Vec<u8> = look().as_flattened().iter().flat_map(|word| word.to_ne_bytes()).collect();
        let written = (&write).write_all(&bytes).is_ok();
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!written)) };
    }
    (child, read)
}

fn result((child, mut read): (libc::pid_t, File)) -> Seen {
    let mut bytes = Vec::new();
    read.read_to_end(&mut bytes).expect("a pipe can be read");
    let mut status = 0;
    // SAFETY: writes to the number that it is given.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "a child's end");
    let mut words = bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().expect("eight bytes")));
    core::array::from_fn(|_| core::array::from_fn(|_| words.next().expect("as many words as were written")))
}

#[test]
fn children_of_one_fork_share_nothing_that_was_drawn() {
    // A page in the middle of its life, which the children inherit.
    let some: Vec<*mut u8> = (0..400).map(|_| allocate(SIZE)).collect();
    // SAFETY: live, and every other one is not used again.
    some.iter().step_by(2).for_each(|&block| unsafe { free(block) });
    let forks = trials(100, 10_000);
    let (mut places, mut secrets) = (0, 0);
    for _ in 0..forks {
        // As they were started: at the same moment of the same parent.
        let [one, other] = [child(), child()].map(result);
        places += one.iter().zip(&other).filter(|([one, _], [other, _])| one == other).count();
        secrets += one.iter().zip(&other).filter(|([_, one], [_, other])| one == other).count();
    }
    // SAFETY: live, and not used again.
    some.iter().skip(1).step_by(2).for_each(|&block| unsafe { free(block) });
    let of = forks * BLOCKS;
    if MITIGATIONS.random_order {
        say("two children of a fork get the same block at the same step", places, of);
        // By chance as often as a window of that size has blocks: one in eight.
        assert!(places * 5 <= of, "{places} of {of}");
    }
    if MITIGATIONS.encoded_links {
        let what = if MITIGATIONS.canaries { "canary" } else { "link" };
        say(&format!("two children of a fork have the same {what} at the same step"), secrets, of);
        assert_eq!(secrets, 0, "of {of}");
    }
}
