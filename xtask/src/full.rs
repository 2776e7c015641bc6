//! Everything at full size: all that CI runs, and then what takes too long for it.

use anyhow::Result;

use crate::builds::Build;
use crate::real_programs::{self, Size};
use crate::steps::Steps;
use crate::{aarch64, ci, deb, features, fuzz, memcheck, miri, odds, rust_programs, soak};

pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    for (name, work) in ci::STEPS {
        steps.step(name, work);
    }
    for build in Build::all()? {
        steps.step(&format!("tests, {}, release, full size", build.name()), || ci::tests_at_full_size(build));
    }
    // One by one: together they could hide that one of them is not answered well.
    for refuse in ["guards", "mseal", "getrandom", "guards,mseal,getrandom"] {
        // To the standard library EINVAL is no answer of getrandom's: the tests' own program panics.
        let errnos: &[&str] =
            if refuse.contains("getrandom") { &["eperm", "enosys"] } else { &["eperm", "enosys", "einval"] };
        for errno in errnos {
            steps.step(&format!("tests, {refuse} answers {errno}"), || ci::tests_refusing(refuse, errno));
        }
    }
    steps.step("features, depth 2", || features::run(&features::Args { depth: 2, quick: false }));
    steps.step("miri, all", || miri::run(&miri::Args { full: true, filters: vec![] }));
    steps.step("aarch64", || aarch64::run(&aarch64::Args { check: false }));
    steps.step("memcheck, all", || memcheck::run(&memcheck::Args { all: true }));
    steps.step("deb", deb::run);
    steps.step("rust programs", rust_programs::run);
    steps.step("odds", || odds::run(&odds::Args::of(100_000_000)));
    steps.step("fuzz, 10 minutes each", || fuzz::run(&fuzz::Args::of(10.0, Build::all()?)));
    for build in Build::all()? {
        steps.step(&format!("soak, {}", build.name()), || soak::run(&soak::Args { minutes: 10.0, build }));
    }
    steps.step("real programs, full size", || real_programs::run(&real_programs::Args::of(Size::Full)));
    steps.finish()
}
