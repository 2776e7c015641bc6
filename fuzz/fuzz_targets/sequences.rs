//! Sequences of calls by one thread and a helper, against the shadow model of the property tests.

#![no_main]

#[path = "../common/actions.rs"]
mod actions;
#[path = "../../tests/model/mod.rs"]
mod model;

use actions::{Action, play};
use libfuzzer_sys::fuzz_target;
use model::player::Player;

fuzz_target!(|actions: Vec<Action>| {
    let mut player = Player::new(actions.len() as u64);
    actions.into_iter().for_each(|action| play(&mut player, action));
    player.finish();
});
