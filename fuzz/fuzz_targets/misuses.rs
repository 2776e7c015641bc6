//! A heap in some state, and then one misuse: it must be stopped.
//!
//! The state is made in this process, so that the fuzzer sees what was reached; the misuse is committed in a forked child, for it ends in an
//! abort, which the fuzzer would take for a crash of its own. The oracle ([`Misuse::must_be_stopped`]) follows from the build's mitigations
//! alone. What counts as a finding: a child that goes on, hangs, or dies without a report, or with one of another misuse or
//! another pointer; and one that dies at all where what it did was right.

#![no_main]

#[path = "../common/actions.rs"]
mod actions;
#[path = "../common/child.rs"]
mod child;
#[path = "../../corpus/src/stage/fork.rs"]
#[allow(unreachable_pub)]
mod fork;
#[path = "../common/misuse.rs"]
mod misuse;
#[path = "../../tests/model/mod.rs"]
mod model;

use actions::{Action, play};
use arbitrary::Arbitrary;
use child::End;
use libfuzzer_sys::fuzz_target;
use misuse::Misuse;
use model::player::Player;

#[derive(Arbitrary, Debug)]
struct Game {
    actions: Vec<Action>,
    misuse: Misuse,
}

/// Bytes of the state at most: to fork takes the longer the more memory there is.
const MOST: usize = 16 << 20;

fuzz_target!(|game: Game| {
    let mut player = Player::within(MOST, game.actions.len() as u64);
    game.actions.iter().take(200).for_each(|&action| play(&mut player, action));
    let misuse = game.misuse;
    let end = child::run(|| misuse.commit());
    match end {
        End::WentOn if misuse.is_innocent() => {}
        end if misuse.is_innocent() => panic!("a false alarm: {misuse:?}: {end:?}"),
        // Where a build promises nothing, what it meets later may be anything.
        End::Reported(report) if misuse.is_told_by(&report) || !misuse.must_be_stopped() => {}
        End::WentOn if !misuse.must_be_stopped() => {}
        // A fault is an end too, where the memory is gone.
        End::Faulted if misuse.may_fault() => {}
        // And so is a panic of the engine's debug assertions, where a build promises nothing.
        End::Otherwise(libc::SIGABRT, ..) if !misuse.must_be_stopped() => {}
        end => panic!("{misuse:?}: {end:?}"),
    }
    player.finish();
});
