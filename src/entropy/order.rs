//! The order of sixteen things, drawn with few instructions.
//!
//! Sixteen numbers of four bits lie in one word, and go through a network of switches: in each of its layers every place may
//! change with another at a certain distance.
//!
//! ```text
//! distance   8   4   2   1   2   4   8
//!            :...:...:.......:...:...:      within windows of 8: without the first and the last; of 4: the middle three
//! ```
//!
//! (Beneš, "Mathematical Theory of Connecting Networks and Telephone Traffic", 1965. Changing all places that change in a layer
//! at once: Warren, "Hacker's Delight", 7-1.)

/// Things in an order.
pub(crate) const PLACES: usize = 16;

/// The numbers of the places, four bits each.
const IN_ORDER: u64 = 0xfedc_ba98_7654_3210;

/// A layer of the network.
#[derive(Clone, Copy)]
struct Layer {
    /// How far apart those are that may change.
    distance: usize,
    /// The lower place of each pair.
    lower: u64,
    /// How far the random word is turned, so that its bits there are the switches. No two layers have a bit in common.
    turn: u32,
}

const LAYERS: [Layer; 7] = [
    Layer { distance: 8, lower: 0x0000_0000_1111_1111, turn: 0 },
    Layer { distance: 4, lower: 0x0000_1111_0000_1111, turn: 1 },
    Layer { distance: 2, lower: 0x0011_0011_0011_0011, turn: 2 },
    Layer { distance: 1, lower: 0x0101_0101_0101_0101, turn: 3 },
    Layer { distance: 2, lower: 0x0011_0011_0011_0011, turn: 2 + 8 },
    Layer { distance: 4, lower: 0x0000_1111_0000_1111, turn: 1 + 16 },
    Layer { distance: 8, lower: 0x0000_0000_1111_1111, turn: 32 },
];

/// An order, the next place lowest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order(u64);

impl Order {
    /// The order that these random bits choose. Each place stays within its `window` of so many, 4, 8 or 16. There it comes at any
    /// time as often as at any other, and every order is possible; but they are not all equally likely.
    #[inline(always)]
    pub(crate) fn of(bits: u64, window: usize) -> Order {
        let mut places = IN_ORDER;
        for layer in LAYERS {
            if layer.distance < window {
                let distance = (layer.distance as u32).wrapping_mul(4);
                let switches = (bits.rotate_right(layer.turn) & layer.lower).wrapping_mul(15);
                let change = (places ^ places.wrapping_shr(distance)) & switches;
                places ^= change | change.wrapping_shl(distance);
            }
        }
        Order(places)
    }

    /// What comes next. After sixteen it is 0.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> usize {
        let place = self.0 & 15;
        self.0 = self.0.wrapping_shr(4);
        place as usize
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rng;
    use super::*;
    use crate::sync::CHECKER;

    #[test]
    fn half_of_the_bits_are_the_switches_of_eight_places() {
        let places = |bits: u64| {
            let mut order = Order::of(bits, 8);
            [(); 8].map(|()| order.next())
        };
        let rng = Rng::new();
        for _ in 0..100 {
            let (bits, more) = (rng.next_u32(), rng.next_u32());
            assert_eq!(places(u64::from(bits)), places(u64::from(bits) | u64::from(more) << 32));
        }
    }

    fn drawn(rng: &Rng, window: usize) -> [usize; PLACES] {
        let mut order = Order::of(rng.next_u64(), window);
        core::array::from_fn(|_| order.next())
    }

    #[test]
    fn no_switch_sets_two_layers() {
        let mut taken = 0_u64;
        for layer in LAYERS {
            let bits = layer.lower.rotate_left(layer.turn);
            assert_eq!(taken & bits, 0, "{}", layer.distance);
            taken |= bits;
        }
    }

    #[test]
    fn every_place_comes_once_and_at_any_time_within_its_window() {
        let rng = Rng::new();
        for window in [4, 8, 16] {
            let rounds = if CHECKER { 8 } else { 40_000 };
            let mut counts = [[0_u32; PLACES]; PLACES];
            for _ in 0..rounds {
                let mut order = drawn(&rng, window);
                for (time, &place) in order.iter().enumerate() {
                    assert_eq!(time / window, place / window, "{order:?}");
                    counts[time][place] += 1;
                }
                order.sort_unstable();
                assert!(order.into_iter().eq(0..PLACES));
            }
            // Each is about rounds / window: off by a tenth of the rounds' root ten times once in a million times or less.
            let expected = f64::from(rounds) / window as f64;
            let chi: f64 = counts
                .iter()
                .enumerate()
                .flat_map(|(time, row)| row[time / window * window..][..window].iter())
                .map(|&n| (f64::from(n) - expected).powi(2) / expected)
                .sum();
            // As many degrees of freedom as windows have of them, 45 to 225: beyond 340 less than once in a million times.
            assert!(CHECKER || chi < 340.0, "{window}: {chi}");
        }
    }

    #[test]
    fn every_order_of_four_is_possible_and_none_twice_as_likely_as_by_chance() {
        let rng = Rng::new();
        let rounds = if CHECKER { 0 } else { 24_000 };
        let mut seen = std::collections::HashMap::new();
        for _ in 0..rounds {
            let [a, b, c, ..] = drawn(&rng, 4);
            *seen.entry([a, b, c]).or_insert(0_u32) += 1;
        }
        assert!(rounds == 0 || seen.len() == 24 && seen.values().all(|&n| n > 300 && n < 2000), "{seen:?}");
    }
}
