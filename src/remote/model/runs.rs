//! Runs of slices under the lock: two threads never have the same slice.

use super::slices::{SliceSet, Spread};
use super::*;
use crate::os::Lock;

const REACH: Reach = Reach::Preemptions(6);

/// The slices of a segment; each cell is written by whoever has the slice.
struct Slices {
    lock: Lock,
    used: SliceSet,
    held: Vec<UnsafeCell<()>>,
}

impl Slices {
    /// `segment::claim`.
    fn claim(&self, locking: Locking, count: usize) -> usize {
        let _guard = (locking == Locking::On).then(|| self.lock.acquire());
        let first = self.used.draw_gap(count, Spread::Anywhere, |_| 0).expect("a gap");
        self.used.add(first, count);
        first
    }

    /// `segment::release`.
    fn release(&self, locking: Locking, first: usize, count: usize) {
        let _guard = (locking == Locking::On).then(|| self.lock.acquire());
        self.used.remove(first, count);
    }

    fn write(&self, first: usize, count: usize) {
        for cell in &self.held[first..first + count] {
            cell.with_mut(|_| ());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Locking {
    On,
    Off,
}

/// Two threads claim a run each, give it back, and claim another.
fn two_threads_claim(locking: Locking) {
    let held = (0..8).map(|_| UnsafeCell::new(())).collect();
    let slices = Arc::new(Slices { lock: Lock::new(), used: SliceSet::new(), held });
    let turn = move |slices: &Slices, count: usize| {
        let first = slices.claim(locking, count);
        slices.write(first, count);
        slices.release(locking, first, count);
        let first = slices.claim(locking, 1);
        slices.write(first, 1);
    };
    let other = Arc::clone(&slices);
    let thread = thread::spawn(move || turn(&other, 2));
    turn(&slices, 3);
    thread.join().expect("no panic");
    assert_eq!(slices.used.len(), 2, "a slice has two holders");
}

#[test]
fn two_threads_claim_and_give_back_runs_without_meeting() {
    explore("runs of slices", REACH, || two_threads_claim(Locking::On));
}

#[test]
fn without_the_lock_they_meet() {
    must_fail("Causality violation", REACH, || two_threads_claim(Locking::Off));
}
