//! The link in a free block: the position of the next one, encoded so that a changed link is noticed.
//!
//! ```text
//! plaintext   | 0 (32 bits) | own number (16) | next number (16) |
//! in memory   = plaintext * FACTOR  ^  page key
//! ```
//!
//! What is left of the plaintext after the own number was taken off is the next one, if the page has so many blocks: one
//! comparison judges all 64 bits. The own number makes a link worthless in any other block. The zeros, and the
//! multiplication, which carries every changed bit upwards, make an overwritten bit, byte or half word fail: `INVERSE` was
//! chosen so that no change over one or two whole bytes leaves a number within the page (the test proves it over all of
//! them, for it does not depend on the key). A link replaced as a whole passes with 2^-51 at most. Whoever knows the key
//! can write a link that passes; DESIGN of what he gains: [`super::lists`].
//!
//! The key is SipHash of the page's address and generation under the process's secret.

use crate::geometry::{GRANULE, SLICE};
use crate::mitigations::MITIGATIONS;

/// Bits of a number.
const NUMBER_BITS: u32 = 16;
/// The most blocks that a page has: granules of a slice. Pages of several slices have large blocks, and few.
pub(crate) const BLOCKS_MAX: u32 = (SLICE / GRANULE) as u32;
const _: () = assert!(BLOCKS_MAX < 1 << NUMBER_BITS);
/// What undoes the multiplication: odd, so that there is a factor, and 1 modulo 2^16, which leaves the next number as it is, but
/// for the key. It fits an instruction of its own, and so is the number that was chosen.
const INVERSE: u64 = 0x6a09_0001;
const _: () = assert!(INVERSE % (1 << NUMBER_BITS) == 1 && INVERSE <= i32::MAX as u64);
/// FACTOR * INVERSE = 1 modulo 2^64.
const FACTOR: u64 = inverse(INVERSE);

/// Newton's iteration doubles the right bits each time: 3, 6, 12, 24, 48, 96.
const fn inverse(odd: u64) -> u64 {
    let mut x = odd;
    let mut round = 0;
    while round < 5 {
        x = x.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(x)));
        round += 1;
    }
    x
}

/// A word read from memory that the program could write: no name yet.
///
/// What malloc returns next waits for the link of what it returns now, and a multiplication takes longer than all else on
/// that way. So the next number is read off the low bits, and [`Wild::decode`], which asks all bits, is nobody's delay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wild(u64);

/// The link for the free block with number `own`, to the one with number `next` (0: none).
#[inline(always)]
pub(crate) const fn encode(key: u64, own: u32, next: u32) -> u64 {
    if !MITIGATIONS.encoded_links {
        return next as u64;
    }
    ((own as u64) << NUMBER_BITS).wrapping_add(next as u64).wrapping_mul(FACTOR) ^ key
}

impl Wild {
    #[inline(always)]
    pub(crate) const fn new(word: u64) -> Self {
        Self(word)
    }

    /// The number of the next block, if this is a link of the block with number `own` of a page with that many blocks.
    /// Else, whatever was written there, a number that is larger.
    #[inline(always)]
    pub(crate) const fn decode(self, key: u64, own: u32) -> u64 {
        if !MITIGATIONS.encoded_links {
            return self.0;
        }
        (self.0 ^ key).wrapping_mul(INVERSE).wrapping_sub((own as u64) << NUMBER_BITS)
    }

    /// What [`decode`](Wild::decode) gives if the link is sound; else any number.
    #[inline(always)]
    pub(crate) const fn guess(self, key: u64) -> u32 {
        if !MITIGATIONS.encoded_links {
            return self.0 as u32;
        }
        (self.0 ^ key) as u16 as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_the_factor() {
        assert_eq!(FACTOR.wrapping_mul(INVERSE), 1);
    }

    #[test]
    fn a_link_is_read_back_by_its_own_block_only() {
        if !MITIGATIONS.encoded_links {
            return;
        }
        let key = 0x1234_5678_9abc_def0;
        let link = Wild::new(encode(key, 77, 4242));
        assert_eq!((link.decode(key, 77), link.guess(key)), (4242, 4242));
        assert!(link.decode(key, 76) > u64::from(BLOCKS_MAX));
        assert!(link.decode(key, 78) > u64::from(BLOCKS_MAX));
        assert!(link.decode(key ^ 1, 77) > u64::from(BLOCKS_MAX));
    }

    /// XOR with a fixed pattern at a byte adds some difference d, |d| < 2^width, shifted there; after the inverse the
    /// plaintext changes by d * INVERSE << place. The check passes only if the changed number is again one of a block, so
    /// the difference, as a signed number, must lie within `BLOCKS_MAX` of 0. So a proof over all d is one for all keys,
    /// links and patterns.
    #[test]
    fn no_change_of_one_or_two_bytes_passes_the_check() {
        for place in 0..7 {
            for d in 1_u64..1 << 16 {
                let change = d.wrapping_mul(INVERSE).wrapping_shl(place * 8);
                let distance = (change as i64).unsigned_abs();
                assert!(distance > u64::from(BLOCKS_MAX), "difference {d} at byte {place}");
            }
        }
        for d in 1_u64..1 << 8 {
            let change = d.wrapping_mul(INVERSE) << 56;
            assert!((change as i64).unsigned_abs() > u64::from(BLOCKS_MAX));
        }
    }
}
