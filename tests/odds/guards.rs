//! How far a linear overflow or underflow gets before it meets memory that is inaccessible.

use super::{allocate, free, say, trials};
use ravelin::MITIGATIONS;

const SIZES: [usize; 8] = [16, 64, 1024, 4096, 16 << 10, 128 << 10, 1 << 20, 64 << 20];

/// Whether a byte there can be read: asked of the kernel, which answers with an error where the access itself would fault.
fn is_readable(address: usize) -> bool {
    let mut byte = 0_u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: core::ptr::with_exposed_provenance_mut(address), iov_len: 1 };
    // SAFETY: reads of this process, into one byte.
    let read = unsafe { libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0) };
    read == 1
}

/// D6 to D8: from the block's end upwards, page by page.
fn faults_within(end: usize, reach: usize) -> bool {
    (end.next_multiple_of(4096)..end + reach).step_by(4096).any(|page| !is_readable(page))
}

/// The same from the block's start downwards.
fn faults_within_before(start: usize, reach: usize) -> bool {
    let first = start.wrapping_sub(1) & !4095;
    (0..reach / 4096).any(|pages| !is_readable(first.wrapping_sub(pages * 4096)))
}

/// D7: what a large block has before it, and that 32 MiB always meet a guard.
#[test]
fn a_linear_underflow_meets_a_guard() {
    for size in SIZES {
        let of = trials(100, 2_000).min((1 << 31) / size).max(20);
        let live: Vec<*mut u8> = (0..of).map(|_| allocate(size)).collect();
        for reach in [1 << 20, 32 << 20] {
            let looked_at = if reach > 1 << 20 { 20 } else { of };
            let hits = live.iter().rev().take(looked_at);
            let hits = hits.filter(|block| faults_within_before(block.addr(), reach)).count();
            say(&format!("an underflow by {} MiB faults [{size}]", reach >> 20), hits, looked_at);
            if size > 128 << 10 || reach == 32 << 20 {
                assert_eq!(hits, looked_at, "{size} bytes, underflow by {reach}");
            }
        }
        // SAFETY: live, and not used again.
        live.into_iter().for_each(|block| unsafe { free(block) });
    }
}

#[test]
fn a_linear_overflow_meets_a_guard() {
    for size in SIZES {
        let of = trials(100, 2_000).min((1 << 31) / size).max(20);
        let live: Vec<*mut u8> = (0..of).map(|_| allocate(size)).collect();
        for reach in [4096, 64 << 10, 1 << 20, 32 << 20] {
            // Whoever looks at every page of 32 MiB needs few blocks.
            let looked_at = if reach > 1 << 20 { 20 } else { of };
            let hits = live.iter().rev().take(looked_at);
            let hits = hits.filter(|block| faults_within(block.addr() + size.next_multiple_of(4096), reach)).count();
            let reach_text =
                if reach >= 1 << 20 { format!("{} MiB", reach >> 20) } else { format!("{} KiB", reach >> 10) };
            say(&format!("an overflow by {reach_text} faults [{size}]"), hits, looked_at);
            // A trailer may take up a page of its own behind a block of whole pages: it is found later.
            let behind = reach > 4096 || !MITIGATIONS.canaries;
            if (size > 128 << 10 && behind) || reach == 32 << 20 {
                assert_eq!(hits, looked_at, "{size} bytes, overflow by {reach}");
            }
        }
        // SAFETY: live, and not used again.
        live.into_iter().for_each(|block| unsafe { free(block) });
    }
}
