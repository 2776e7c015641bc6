//! How much of a freed block is wiped, where an option says less than all.

use super::super::{Fill, Terms, allocate, allocate_aligned_on, free};
use super::*;
use crate::mitigations::MITIGATIONS;
use crate::testing::Child;

/// Above the least limit.
const SIZE: usize = 5000;

fn bytes(block: *mut u8, len: usize) -> Vec<u8> {
    // SAFETY: memory of a page of this test's thread, freed or not.
    (0..len).map(|offset| unsafe { block.wrapping_add(offset).read_volatile() }).collect()
}

fn fill(block: *mut u8, len: usize) {
    // SAFETY: a live block of that size.
    unsafe { block.write_bytes(0x41, len) };
}

#[test]
#[cfg_attr(any(miri, ravelin_mock, ravelin_loom), ignore = "starts a process")]
fn a_limit_leaves_the_rest_of_larger_blocks_unwiped_and_never_less_than_a_kibibyte() {
    if !MITIGATIONS.zero_on_free {
        return;
    }
    // The second is below what is possible, and taken for that.
    for limit in ["1024", "1", "128K"] {
        let name =
            "heap::tests::wiping::a_limit_leaves_the_rest_of_larger_blocks_unwiped_and_never_less_than_a_kibibyte";
        let corpse = Child::of(name).with("RAVELIN_WIPE_LIMIT", limit).run(|| {
            let is_limited = std::env::var("RAVELIN_WIPE_LIMIT").unwrap() != "128K";
            let block = allocate(SIZE);
            fill(block, SIZE);
            free(UserPtr::new(block));
            let freed = bytes(block, SIZE);
            assert!(freed[8..1024].iter().all(|&byte| byte == 0));
            assert_eq!(freed[1024..].contains(&0x41), is_limited);
            let small = allocate(1000);
            fill(small, 1000);
            free(UserPtr::new(small));
            assert!(bytes(small, 1000)[8..].iter().all(|&byte| byte == 0));
            for _ in 0..500 {
                let zeroed = allocate_aligned_on(SIZE, 16, Terms::of(Fill::Zero));
                assert!(bytes(zeroed, SIZE).iter().all(|&byte| byte == 0), "calloc gives zeros");
                fill(zeroed, SIZE);
                free(UserPtr::new(zeroed));
            }
            check_heap().expect("nothing was written");
            let block = allocate(SIZE);
            free(UserPtr::new(block));
            fill(block.wrapping_add(3000), 1);
            assert_eq!(check_heap().is_ok(), is_limited, "beyond the limit nobody looks");
            fill(block.wrapping_add(1023), 1);
            check_heap().expect_err("a write within the first KiB is found");
        });
        assert_eq!(corpse.code, Some(0), "{limit}: {corpse:?}");
    }
}
