//! The checker itself, on small sources that it must refuse and others that it must accept.

use super::check;

fn complaints(path: &str, text: &str) -> Vec<String> {
    check(&[(path.to_owned(), text.to_owned())])
}

#[track_caller]
fn refused(path: &str, text: &str, why: &str) {
    let complaints = complaints(path, text);
    assert!(complaints.iter().any(|complaint| complaint.contains(why)), "{text}: {complaints:?}");
}

#[track_caller]
fn accepted(path: &str, text: &str) {
    let complaints = complaints(path, text);
    assert!(complaints.is_empty(), "{text}: {complaints:?}");
}

#[test]
fn refuses_a_use_that_goes_up_however_it_is_written() {
    refused("page/mod.rs", "use crate::heap::Heap;", "src/page/mod.rs:1: `crate::heap::Heap`: floor `page`");
    refused("page/list.rs", "\nuse crate::{os::Span, heap::{self, Heap}};", "src/page/list.rs:2:");
    refused("page/mod.rs", "use super::heap;", "may not use `heap`");
    refused("page/a/b.rs", "use super::super::super::heap as h;", "may not use `heap`");
    refused("page/mod.rs", "pub(crate) use crate::stats::*;", "may not use `stats`");
    refused("page/mod.rs", "mod inner { use super::super::segment::X; }", "may not use `segment`");
    refused("page/mod.rs", "fn f() { use crate::segment; }", "may not use `segment`");
}

#[test]
fn refuses_a_path_that_goes_up_in_code_types_and_macros() {
    refused("os/mod.rs", "fn f() { crate::report::warn(&[]); }", "may not use `report`");
    refused("os/mod.rs", "struct S { x: Option<crate::heap::Heap> }", "may not use `heap`");
    refused("os/mod.rs", "impl crate::page::Trait for S {}", "may not use `page`");
    refused("os/mod.rs", "macro_rules! m { () => { $crate::heap::f() } }", "may not use `heap`");
    refused("os/mod.rs", "fn f() { g!(1, [crate::heap::f()]); }", "may not use `heap`");
    refused("os/mod.rs", "fn f() { crate::heap::m!(); }", "may not use `heap`");
    refused("os/mod.rs", "#[cfg(test)] mod tests { use crate::heap::Heap; }", "may not use `heap`");
}

#[test]
fn refuses_neighbours_of_the_same_row_and_the_crate_as_a_whole() {
    refused("report/mod.rs", "use crate::entropy::Rng;", "may not use `entropy`");
    refused("page/mod.rs", "use crate::*;", "what lib.rs declares");
    refused("page/mod.rs", "use crate as ravelin;", "what lib.rs declares");
    refused("page/mod.rs", "use crate::MITIGATIONS;", "what lib.rs declares");
    refused("page/mod.rs", "use super::*;", "what lib.rs declares");
    refused("novelty.rs", "", "`novelty` is on no floor");
}

#[test]
fn accepts_what_goes_down_stays_inside_or_leaves_the_crate() {
    accepted("heap/mod.rs", "use crate::{page::Page, sync::AtomicU8, mitigations::MITIGATIONS};");
    accepted("page/list.rs", "use super::Page; use self::inner::X; mod tests { use super::*; }");
    accepted("page/mod.rs", "pub(in crate::page) fn f() {} pub(crate) fn g(x: &u8) {} use core::heap::X;");
    accepted("page/mod.rs", "//! See [`crate::heap`].\n/// Of [`crate::heap::Heap`].\nfn f() {}");
    accepted("lib.rs", "mod heap; pub use heap::Heap; pub use crate::raw::f; use self::stats::Stats;");
    accepted("raw.rs", "use crate::{heap::Heap, Ravelin};");
}

#[test]
fn refuses_cfg_outside_of_its_place() {
    refused("page/mod.rs", "#[cfg(feature = \"canaries\")] fn f() {}", "`cfg` of `canaries`");
    refused("page/mod.rs", "fn f() -> bool { cfg!(feature = \"canaries\") }", "`cfg` of `canaries`");
    refused("page/mod.rs", "struct S { #[cfg(target_os = \"linux\")] x: u8 }", "`cfg` of `target_os`");
    refused("page/mod.rs", "fn f() { #[cfg(unix)] g(); }", "`cfg` of `unix`");
    refused("os/linux/map.rs", "#[cfg(target_arch = \"x86_64\")] const X: u8 = 0;", "`cfg` of `target_arch`");
    refused("os/mod.rs", "#[cfg(feature = \"canaries\")] mod x;", "`cfg` of `canaries`");
    refused("sync.rs", "#[cfg(target_os = \"linux\")] use x::y;", "`cfg` of `target_os`");
    refused("heap/mod.rs", "#[cfg(any(test, miri))] fn f() {}", "`cfg` of `miri`");
    refused("heap/mod.rs", "#[cfg(not(test))] fn f() {}", "`cfg` of `test`");
    refused("heap/mod.rs", "#[cfg(debug_assertions)] fn f() {}", "`cfg` of `debug_assertions`");
    refused("heap/mod.rs", "#[cfg_attr(miri, inline(never))] fn f() {}", "`cfg` of `miri`");
    refused("heap/mod.rs", "#[cfg_attr(miri, allow(dead_code))] fn f() {}", "`cfg` of `miri`");
    refused("heap/mod.rs", "#[cfg_attr(not(test), inline)] fn f() {}", "`cfg` of `test`");
    refused("heap/mod.rs", "macro_rules! m { () => { #[cfg(miri)] fn f() {} } }", "`cfg` of `miri`");
    refused("heap/mod.rs", "fn f() { g!(cfg!(miri)); }", "`cfg` of `miri`");
    refused("heap/mod.rs", "cfg_if::cfg_if! { if #[cfg(unix)] { fn f() {} } }", "may not stand here");
    refused("lib.rs", "#[cfg(unix)] pub fn f() {}", "`cfg` of `unix`");
    refused("stats/mod.rs", "#[cfg(feature = \"serde\")] impl S {}", "`cfg` of `serde`");
    refused("stats/mod.rs", "#[cfg_attr(feature = \"serde\", inline)] struct S;", "`cfg` of `serde`");
}

#[test]
fn accepts_cfg_in_its_place_and_in_tests() {
    accepted(
        "mitigations.rs",
        "const X: bool = cfg!(feature = \"canaries\"); #[cfg(feature = \"a\")] const Y: u8 = 0;",
    );
    accepted("os/mod.rs", "#[cfg(all(unix, not(miri)))] mod linux;");
    accepted("sync.rs", "#[cfg(not(ravelin_loom))] use core::sync::atomic::AtomicU8;");
    accepted("lib.rs", "#[cfg(any(test, ravelin_mock))] extern crate std; #[cfg(feature = \"serde\")] mod stats;");
    accepted("stats/mod.rs", "#[cfg_attr(feature = \"serde\", derive(serde::Serialize))] struct S;");
    accepted("heap/mod.rs", "#[cfg(test)] mod tests { #[cfg_attr(miri, ignore)] #[test] fn f() { if cfg!(miri) {} } }");
    accepted("heap/mod.rs", "#[cfg(all(test, ravelin_loom))] mod model {}");
    accepted("os/mod.rs", "#[cfg_attr(not(test), allow(dead_code))] fn f() {}");
    let helper = ("lib.rs".to_owned(), "#[cfg(test)] mod testing;".to_owned());
    let user = ("os/mod.rs".to_owned(), "#[cfg(test)] mod tests { use crate::testing::f; }".to_owned());
    let itself = ("testing.rs".to_owned(), "use crate::os::abort; #[cfg(miri)] fn f() {}".to_owned());
    assert_eq!(check(&[helper.clone(), user, itself]), [""; 0]);
    let outside = ("os/mod.rs".to_owned(), "use crate::testing::f;".to_owned());
    assert_eq!(check(&[helper, outside]).len(), 1);
    let declared = ("heap/mod.rs".to_owned(), "#[cfg(test)] mod tests;".to_owned());
    let tests = ("heap/tests.rs".to_owned(), "#[cfg_attr(miri, ignore)] #[test] fn f() {}".to_owned());
    assert_eq!(check(&[declared, tests.clone()]), [""; 0]);
    let renamed = ("heap/list.rs".to_owned(), "#[cfg(test)] #[path = \"tests.rs\"] mod t;".to_owned());
    assert_eq!(check(&[renamed, tests.clone()]), [""; 0]);
    let not_a_test = ("heap/mod.rs".to_owned(), "mod tests;".to_owned());
    assert_eq!(check(&[not_a_test, tests]).len(), 1);
}
