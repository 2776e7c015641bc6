//! The link in a free block: the position of the next one, encoded so that a changed link is noticed.
//!
//! ```text
//! plaintext   | 0 (24 bits) | own position (20) | next position (20) |
//! in memory   = plaintext * FACTOR  ^  page key
//! ```
//!
//! The own position makes a link worthless in any other block. The zeros, and the multiplication, which carries every
//! changed bit upwards, make an overwritten bit, byte or half word fail: a change at bit 20 or above always disturbs the
//! 44 checked bits, and `FACTOR` was chosen so that none below it, over one or two whole bytes, leaves them as they were
//! (the test proves it over all of them, for it does not depend on the key). A link replaced as a whole passes with
//! 2^-44. Whoever knows the key can write a link that passes; DESIGN of what he gains: [`super::lists`].
//!
//! The key is SipHash of the page's address and generation under the process's secret.

use crate::geometry::GRANULE_SHIFT;
use crate::mitigations::MITIGATIONS;

/// Bits of a position.
const POSITION_BITS: u32 = 20;
/// Positions are below this.
pub(crate) const POSITIONS: u32 = 1 << POSITION_BITS;
/// Odd, so that it can be undone.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
/// FACTOR * INVERSE = 1 modulo 2^64.
const INVERSE: u64 = inverse(FACTOR);

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

/// A word read from memory that the program could write: no position yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wild(u64);

/// The link for the free block at `own`, to the one at `next` (0: none).
#[inline(always)]
pub(crate) const fn encode(key: u64, own: u32, next: u32) -> u64 {
    encode_at(key, (own as u64) << GRANULE_SHIFT, next)
}

/// The same, with the own position in bytes: shifted once instead of back and forth.
#[inline(always)]
pub(crate) const fn encode_at(key: u64, own_bytes: u64, next: u32) -> u64 {
    if !MITIGATIONS.encoded_links {
        return next as u64;
    }
    ((own_bytes << (POSITION_BITS - GRANULE_SHIFT)) | next as u64).wrapping_mul(FACTOR) ^ key
}

impl Wild {
    #[inline(always)]
    pub(crate) const fn new(word: u64) -> Self {
        Self(word)
    }

    /// The next position, and whether the link is one of the block at `own`. The position must still be checked
    /// against the page.
    #[inline(always)]
    pub(crate) const fn decode(self, key: u64, own: u32) -> (u32, bool) {
        if !MITIGATIONS.encoded_links {
            return (self.0 as u32, self.0 < POSITIONS as u64);
        }
        let plain = (self.0 ^ key).wrapping_mul(INVERSE);
        ((plain as u32) & (POSITIONS - 1), plain >> POSITION_BITS == own as u64)
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
        assert_eq!(link.decode(key, 77), (4242, true));
        assert!(!link.decode(key, 78).1);
        assert!(!link.decode(key ^ 1, 77).1);
    }

    /// XOR with a fixed pattern at a byte adds some difference d, |d| < 2^width, shifted there; after the inverse the
    /// plaintext changes by d * INVERSE << place. The check passes only if that changes nothing at bit 20 or above, so
    /// the difference, as a signed number, must lie within 2^20 of 0. So a proof over all d is one for all keys, links
    /// and patterns.
    #[test]
    fn no_change_of_one_or_two_bytes_passes_the_check() {
        for place in 0..7 {
            for d in 1_u64..1 << 16 {
                let change = d.wrapping_mul(INVERSE).wrapping_shl(place * 8);
                let distance = (change as i64).unsigned_abs();
                assert!(distance >= u64::from(POSITIONS), "difference {d} at byte {place}");
            }
        }
        for d in 1_u64..1 << 8 {
            let change = d.wrapping_mul(INVERSE) << 56;
            assert!((change as i64).unsigned_abs() >= u64::from(POSITIONS));
        }
    }
}
