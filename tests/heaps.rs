//! Heaps as safe values: collections that live in them, and the example that gives each request one.

use allocator_api2::vec::Vec as In;
use proptest::prelude::*;
use ravelin::{Heap, Region};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

#[global_allocator]
static GLOBAL: ravelin::Ravelin = ravelin::Ravelin;

/// For tests that allocate much, one of which looks at what the process holds.
static TURN: Mutex<()> = Mutex::new(());

/// What a program may do next. Heaps and vectors are chosen among those that there are.
#[derive(Clone, Debug)]
enum Step {
    NewHeap,
    /// Another share of a heap.
    Share(usize),
    DropHeap(usize),
    /// A vector in a heap, with so many numbers.
    NewVector(usize, u16),
    Push(usize, u16),
    Truncate(usize, u16),
    Shrink(usize),
    DropVector(usize),
    /// A copy of a vector, in the same heap.
    Copy(usize),
    /// Plain allocations from a heap.
    Within(usize, u16),
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<usize>;
    let count = || prop_oneof![4 => 0_u16..50, 1 => 0_u16..30_000];
    prop_oneof![
        1 => Just(Step::NewHeap),
        1 => which().prop_map(Step::Share),
        1 => which().prop_map(Step::DropHeap),
        4 => (which(), count()).prop_map(|(heap, count)| Step::NewVector(heap, count)),
        8 => (which(), count()).prop_map(|(vector, count)| Step::Push(vector, count)),
        2 => (which(), count()).prop_map(|(vector, left)| Step::Truncate(vector, left)),
        2 => which().prop_map(Step::Shrink),
        2 => which().prop_map(Step::DropVector),
        1 => which().prop_map(Step::Copy),
        1 => (which(), count()).prop_map(|(heap, count)| Step::Within(heap, count)),
    ]
}

/// One of those there are.
fn of<T>(all: &[T], which: usize) -> Option<usize> {
    (!all.is_empty()).then(|| which % all.len())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn vectors_in_heaps_hold_what_vectors_hold(steps in proptest::collection::vec(step(), 1..80)) {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let mut heaps = vec![Heap::new().unwrap()];
        let mut vectors: Vec<(In<u64, Heap>, Vec<u64>)> = Vec::new();
        let mut plain: Vec<Vec<u64>> = Vec::new();
        let mut next = 0_u64;
        let mut numbers = |count: u16| {
            next += u64::from(count);
            next - u64::from(count)..next
        };
        for step in steps {
            match step {
                Step::NewHeap => heaps.push(Heap::new().unwrap()),
                Step::Share(which) => heaps.extend(of(&heaps, which).map(|index| heaps[index].clone())),
                Step::DropHeap(which) => drop(of(&heaps, which).map(|index| heaps.swap_remove(index))),
                Step::NewVector(which, count) => {
                    let Some(index) = of(&heaps, which) else { continue };
                    let new = numbers(count);
                    let mut vector = In::new_in(heaps[index].clone());
                    vector.extend(new.clone());
                    prop_assert!(count == 0 || heaps[index].contains(vector.as_ptr().cast()));
                    vectors.push((vector, new.collect()));
                }
                Step::Push(which, count) => {
                    let Some(index) = of(&vectors, which) else { continue };
                    let new = numbers(count);
                    vectors[index].0.extend(new.clone());
                    vectors[index].1.extend(new);
                }
                Step::Truncate(which, left) => {
                    let Some(index) = of(&vectors, which) else { continue };
                    vectors[index].0.truncate(left.into());
                    vectors[index].1.truncate(left.into());
                }
                Step::Shrink(which) => {
                    if let Some(index) = of(&vectors, which) {
                        vectors[index].0.shrink_to_fit();
                    }
                }
                Step::DropVector(which) => drop(of(&vectors, which).map(|index| vectors.swap_remove(index))),
                Step::Copy(which) => vectors.extend(of(&vectors, which).map(|index| vectors[index].clone())),
                Step::Within(which, count) => {
                    let Some(index) = of(&heaps, which) else { continue };
                    let vector: Vec<u64> = heaps[index].within(|| numbers(count).collect());
                    prop_assert!(count == 0 || heaps[index].contains(vector.as_ptr().cast()));
                    plain.push(vector);
                }
            }
            for (vector, shadow) in &vectors {
                prop_assert_eq!(vector.as_slice(), shadow.as_slice());
            }
        }
        prop_assert!(ravelin::check_heap().is_ok());
        drop(heaps);
        prop_assert!(plain.iter().all(|vector| vector.windows(2).all(|pair| pair[1] == pair[0] + 1)));
    }
}

#[test]
fn a_region_gives_back_what_was_forgotten_in_it() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let before = ravelin::stats();
    for _ in 0..20 {
        let region = Region::new().unwrap();
        for size in [10, 1000, 100_000, 1 << 20] {
            let mut vector = In::new_in(&region);
            vector.resize(size, 1_u8);
            core::mem::forget(vector);
        }
    }
    let after = ravelin::stats();
    // One of the twenty at least would show.
    assert!(after.live_bytes < before.live_bytes + (1 << 20), "{} {}", before.live_bytes, after.live_bytes);
}

/// Built by `cargo test --features allocator-api2` together with the tests; `cargo test --test heaps` alone does not build it.
#[test]
fn the_example_gives_each_request_a_heap_and_keeps_nothing() {
    let test = std::env::current_exe().expect("the test has a file");
    let deps = test.parent().and_then(|deps| deps.parent()).expect("it lies in target/PROFILE/deps");
    let program: PathBuf = deps.join("examples/requests");
    assert!(
        program.is_file(),
        "{} is missing: cargo build --features allocator-api2 --example requests",
        program.display()
    );
    let run = Command::new(&program)
        .args(["--requests", "50", "--words", "300"])
        .stdin(Stdio::null())
        .output()
        .expect("the example starts");
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && err.is_empty(), "{run:?}");
    assert!(out.contains("block by block") && out.contains("region by region"), "{out}");
}
