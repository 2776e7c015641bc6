//! Everything at full size. Tests with a long and a short form read `FULL_SIZE_TESTS`.

use anyhow::Result;

use crate::real_programs::{self, Size};
use crate::steps::Steps;
use crate::{aarch64, ci, dist, features, instructions, loom, miri, mock, musl, odds, panics};

pub fn run() -> Result<()> {
    // SAFETY: no other thread runs yet, and what this process starts is to inherit it.
    unsafe { std::env::set_var("FULL_SIZE_TESTS", "1") };
    let mut steps = Steps::default();
    steps.step("format", ci::format);
    steps.step("clippy", ci::clippy);
    steps.step("docs", ci::docs);
    steps.step("tests, hardened", ci::tests_hardened);
    steps.step("tests, fast", ci::tests_fast);
    steps.step("tests, hardened, release", ci::tests_release);
    // One by one: together they could hide that one of them is not answered well.
    for refuse in ["guards", "mseal", "getrandom", "guards,mseal,getrandom"] {
        for errno in ["eperm", "einval", "enosys"] {
            steps.step(&format!("tests, {refuse} answers {errno}"), || ci::tests_refusing(refuse, errno));
        }
    }
    steps.step("mock", mock::run);
    steps.step("features", || features::run(&features::Args { depth: 2 }));
    steps.step("loom", loom::run);
    steps.step("miri", || miri::run(&miri::Args { full: true, filters: vec![] }));
    steps.step("musl", musl::run);
    steps.step("aarch64", || aarch64::run(&aarch64::Args { check: false }));
    steps.step("dist", dist::run);
    steps.step("no panics", panics::run);
    steps.step("odds", || odds::run(&odds::Args::of(100_000_000)));
    steps.step("instructions", instructions::run);
    steps.step("real programs", || real_programs::run(&real_programs::Args::of(Size::Full)));
    steps.finish()
}
