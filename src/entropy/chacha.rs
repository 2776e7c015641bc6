//! The ChaCha20 block function (RFC 8439, 2.3).

use rand_core::block::Generator;

const ROUND_PAIRS: u32 = 10;

/// "expand 32-byte k", as four little-endian words.
const CONSTANTS: Row = Row([0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);

/// A key and a place in its stream. The counter is 64 bits wide, as in Bernstein's original: the RFC's counter followed by
/// the first word of its nonce. The two words behind it are 0: a key is used for one stream only.
pub(super) struct ChaCha {
    pub(super) key: [u32; 8],
    pub(super) counter: u64,
}

impl Generator for ChaCha {
    type Output = [u32; 16];

    fn generate(&mut self, output: &mut [u32; 16]) {
        let place = [self.counter as u32, (self.counter >> 32) as u32, 0, 0];
        *output = block(&self.key, place);
        self.counter = self.counter.wrapping_add(1);
    }
}

/// A row of the 4 by 4 state: the quarter rounds of four columns go side by side, which vectorises.
#[derive(Clone, Copy)]
struct Row([u32; 4]);

impl Row {
    #[inline(always)]
    fn add(self, other: Row) -> Row {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Row([a.wrapping_add(e), b.wrapping_add(f), c.wrapping_add(g), d.wrapping_add(h)])
    }

    #[inline(always)]
    fn xor_rotate(self, other: Row, left: u32) -> Row {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Row([
            (a ^ e).rotate_left(left),
            (b ^ f).rotate_left(left),
            (c ^ g).rotate_left(left),
            (d ^ h).rotate_left(left),
        ])
    }

    /// Brings diagonals under columns: the row turned left by one.
    #[inline(always)]
    fn turn(self) -> Row {
        let [a, b, c, d] = self.0;
        Row([b, c, d, a])
    }
}

/// One block: `place` is the counter and the nonce, words 12 to 15 of the state.
pub(super) fn block(key: &[u32; 8], place: [u32; 4]) -> [u32; 16] {
    let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
    let start = [CONSTANTS, Row([k0, k1, k2, k3]), Row([k4, k5, k6, k7]), Row(place)];
    let [mut a, mut b, mut c, mut d] = start;
    for _ in 0..ROUND_PAIRS {
        [a, b, c, d] = quarter_rounds(a, b, c, d);
        (b, c, d) = (b.turn(), c.turn().turn(), d.turn().turn().turn());
        [a, b, c, d] = quarter_rounds(a, b, c, d);
        (b, c, d) = (b.turn().turn().turn(), c.turn().turn(), d.turn());
    }
    let [e, f, g, h] = start;
    let mut output = [0; 16];
    for (words, row) in output.as_chunks_mut::<4>().0.iter_mut().zip([a.add(e), b.add(f), c.add(g), d.add(h)]) {
        *words = row.0;
    }
    output
}

#[inline(always)]
fn quarter_rounds(mut a: Row, mut b: Row, mut c: Row, mut d: Row) -> [Row; 4] {
    a = a.add(b);
    d = d.xor_rotate(a, 16);
    c = c.add(d);
    b = b.xor_rotate(c, 12);
    a = a.add(b);
    d = d.xor_rotate(a, 8);
    c = c.add(d);
    b = b.xor_rotate(c, 7);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::CHECKER;
    use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};

    /// Key 00 01 .. 1f.
    fn counting_key() -> [u32; 8] {
        core::array::from_fn(|i| 0x0302_0100 + 0x0404_0404 * i as u32)
    }

    #[test]
    fn the_block_is_the_rfc_s_vector() {
        // RFC 8439, 2.3.2.
        let expected = [
            0xe4e7_f110,
            0x1559_3bd1,
            0x1fdd_0f50,
            0xc471_20a3,
            0xc7f4_d1c7,
            0x0368_c033,
            0x9aaa_2204,
            0x4e6c_d4c3,
            0x4664_82d2,
            0x09aa_9f07,
            0x05d7_c214,
            0xa202_8bd9,
            0xd19c_12b5,
            0xb94e_16de,
            0xe883_d0cb,
            0x4e3c_50a2,
        ];
        assert_eq!(block(&counting_key(), [1, 0x0900_0000, 0x4a00_0000, 0]), expected);
    }

    #[test]
    fn blocks_are_the_stream_of_the_reference_cipher() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 32) as u32
        };
        for _ in 0..if CHECKER { 2 } else { 64 } {
            let key: [u32; 8] = core::array::from_fn(|_| next());
            let [counter, high, low] = core::array::from_fn(|_| next());
            let key_bytes: std::vec::Vec<u8> = key.iter().flat_map(|word| word.to_le_bytes()).collect();
            let nonce_bytes: std::vec::Vec<u8> = [high, low, 7].iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut oracle = chacha20::ChaCha20::new_from_slices(&key_bytes, &nonce_bytes).expect("32 and 12 bytes");
            oracle.seek(u64::from(counter) * 64);
            let mut stream = [0; 64];
            oracle.apply_keystream(&mut stream);
            let ours: std::vec::Vec<u8> =
                block(&key, [counter, high, low, 7]).iter().flat_map(|word| word.to_le_bytes()).collect();
            assert_eq!(ours, stream);
        }
    }

    #[test]
    fn the_counter_carries_into_its_upper_half() {
        let mut cipher = ChaCha { key: counting_key(), counter: u64::from(u32::MAX) };
        let mut output = [0; 16];
        cipher.generate(&mut output);
        assert_eq!(output, block(&counting_key(), [u32::MAX, 0, 0, 0]));
        cipher.generate(&mut output);
        assert_eq!(output, block(&counting_key(), [0, 1, 0, 0]));
    }
}
