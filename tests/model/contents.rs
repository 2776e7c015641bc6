//! What blocks hold: bytes that follow from a seed and their place, so that nothing need be stored to check them.
//!
//! Blocks up to [`WHOLE`] are written and checked in full. Larger ones are written at both ends and in stamps between,
//! so that memory costs no more than the test is worth.

use core::ops::Range;

/// Up to this many bytes are written in full.
const WHOLE: usize = 4096;
/// Of larger blocks this much at either end.
const END: usize = 512;
/// A stamp between the ends.
const STAMP: usize = 16;
/// At most about so many stamps.
const STAMPS: usize = 64;
/// Up to this many bytes are checked for zeros in full.
const WHOLE_ZERO: usize = 1 << 20;

/// The eight bytes at `offset`, a multiple of eight.
fn word(seed: u64, offset: usize) -> u64 {
    // The finisher of SplitMix64: neighbouring offsets and seeds share nothing that shows.
    let mut x = seed.wrapping_add((offset as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The parts of a block of `len` bytes that are written. Each starts at a multiple of eight.
fn parts(len: usize) -> impl Iterator<Item = Range<usize>> {
    let (first, middle, last) =
        if len <= WHOLE { (0..len, len..len, len..len) } else { (0..END, END..len - END, (len - END) & !7..len) };
    let step = (middle.len() / STAMPS).max(4096).next_multiple_of(8);
    let stamps = middle.clone().step_by(step).map(move |start| start..(start + STAMP).min(middle.end));
    [first].into_iter().chain(stamps).chain([last])
}

/// Writes a block of `len` bytes.
///
/// # Safety
/// - `start` is aligned to 8, and the `len` bytes from there on are the caller's.
pub(crate) unsafe fn fill(start: *mut u8, len: usize, seed: u64) {
    for part in parts(len) {
        for offset in part.clone().step_by(8) {
            let count = (part.end - offset).min(8);
            // SAFETY: `offset + count` is at most `len`.
            let place = unsafe { start.add(offset) };
            // SAFETY: as above, and a local array is elsewhere.
            unsafe { place.copy_from_nonoverlapping(word(seed, offset).to_le_bytes().as_ptr(), count) };
        }
    }
}

/// Checks the first `upto` bytes of a block that was written with `len` bytes.
///
/// # Panics
/// If a byte is another than was written.
///
/// # Safety
/// - as [`fill`], for `upto` bytes.
pub(crate) unsafe fn check(start: *const u8, len: usize, upto: usize, seed: u64) {
    // What differs is summed up, without a question for each word: a fuzzer counts questions.
    let difference = |offset: usize, end: usize| {
        let count = (end - offset).min(8);
        let mut found = [0; 8];
        // SAFETY: `offset + count` is at most `upto`.
        let place = unsafe { start.add(offset) };
        // SAFETY: as above, and a local array is elsewhere.
        unsafe { place.copy_to_nonoverlapping(found.as_mut_ptr(), count) };
        (u64::from_le_bytes(found) ^ word(seed, offset)) & (u64::MAX >> (64 - 8 * count))
    };
    for part in parts(len) {
        let end = part.end.min(upto);
        let words = (part.start..end).step_by(8);
        if words.clone().fold(0, |sum, offset| sum | difference(offset, end)) != 0 {
            let first = words.clone().find(|&offset| difference(offset, end) != 0);
            panic!("{start:?}: another byte in the word at offset {first:?} of {len}");
        }
    }
}

/// Checks that a block of `len` bytes holds zeros.
///
/// # Panics
/// If it does not.
///
/// # Safety
/// - as [`fill`].
pub(crate) unsafe fn check_zero(start: *const u8, len: usize) {
    let step = if len <= WHOLE_ZERO { 64 } else { 4096 };
    for offset in (0..len).step_by(step) {
        // SAFETY: the offset is below `len`.
        let place = unsafe { start.add(offset) };
        // SAFETY: the slice ends within the block.
        let bytes = unsafe { core::slice::from_raw_parts(place, (len - offset).min(64)) };
        // Blocks are aligned to 16, and so are the slices: there is no head.
        // SAFETY: any bytes are a valid number.
        let (head, words, tail) = unsafe { bytes.align_to::<u128>() };
        let zero = words.iter().all(|word| *word == 0) && head.iter().chain(tail).all(|byte| *byte == 0);
        assert!(zero, "{start:?}: not zero near offset {offset} of {len}");
    }
}
