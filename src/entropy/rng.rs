//! The generator of a heap.

use super::chacha::ChaCha;
use super::{NoSecret, renew_if_cloned, secret, stop};
use crate::os;
use core::num::NonZeroU32;
use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64};
use rand_core::block::Generator;
use rand_core::{TryCryptoRng, TryRng};

/// A ChaCha20 stream.
///
/// All zeros is a generator not yet seeded, so one can lie in fresh memory: it seeds itself at first use, and again in every
/// child of a fork. Fields are relaxed atomics so that a shared reference will do; only one thread should draw at a time
/// (two at once may draw the same word, and do no other harm).
///
/// Words already drawn are not kept from one who can read this struct: what they decided can be read beside it.
#[derive(Default)]
pub(crate) struct Rng {
    key: [AtomicU32; 8],
    /// The next block's number.
    counter: AtomicU64,
    block: [AtomicU32; 16],
    /// How many words of the block are not drawn yet: they are drawn from the end.
    left: AtomicU32,
    /// The process's generation at the last seeding; 0 before the first.
    generation: AtomicU32,
}

impl Rng {
    /// A generator that is seeded at first use.
    pub(crate) const fn new() -> Rng {
        Rng {
            key: [const { AtomicU32::new(0) }; 8],
            counter: AtomicU64::new(0),
            block: [const { AtomicU32::new(0) }; 16],
            left: AtomicU32::new(0),
            generation: AtomicU32::new(0),
        }
    }

    /// Starts a new stream with a key from the kernel.
    ///
    /// # Errors
    /// [`NoSecret`]: the old stream, if any, is not used again in this case either.
    #[cold]
    pub(crate) fn seed(&self) -> Result<(), NoSecret> {
        self.generation.store(0, Relaxed);
        renew_if_cloned()?;
        // Read before the key is drawn: a fork in between makes the key stale, not wrongly current.
        let generation = secret::generation();
        let mut words = [[0; 4]; 8];
        os::random(words.as_flattened_mut()).map_err(|_| NoSecret::NoRandomness)?;
        for (place, word) in self.key.iter().zip(words) {
            place.store(u32::from_le_bytes(word), Relaxed);
        }
        self.counter.store(0, Relaxed);
        self.left.store(0, Relaxed);
        self.generation.store(generation, Relaxed);
        Ok(())
    }

    /// Whether nothing needs to be asked of the kernel to draw: for those who must not stop where they draw.
    #[inline]
    pub(crate) fn is_seeded(&self) -> bool {
        secret::is_current(self.generation.load(Relaxed))
    }

    /// 32 random bits. Stops the process when a seed is needed and there is none.
    #[inline]
    pub(crate) fn next_u32(&self) -> u32 {
        self.draw().unwrap_or_else(|_| stop())
    }

    /// 64 random bits; as [`next_u32`](Rng::next_u32).
    #[inline]
    pub(crate) fn next_u64(&self) -> u64 {
        (u64::from(self.next_u32()) << 32) | u64::from(self.next_u32())
    }

    /// A number below `n`, each equally likely (Lemire, "Fast random integer generation in an interval", 2019); 0 for `n` = 0.
    #[inline]
    pub(crate) fn below(&self, n: u32) -> u32 {
        scale(n, || self.next_u32())
    }

    #[inline]
    fn draw(&self) -> Result<u32, NoSecret> {
        if !self.is_seeded() {
            self.seed()?;
        }
        // At 0 the index wraps and is outside, like anything that a stray write may have left there.
        let last = self.left.load(Relaxed).wrapping_sub(1);
        match self.block.get(last as usize) {
            Some(word) => {
                self.left.store(last, Relaxed);
                Ok(word.load(Relaxed))
            }
            None => Ok(self.refill()),
        }
    }

    /// Makes a block, and draws its last word.
    #[cold]
    fn refill(&self) -> u32 {
        let mut key = [0; 8];
        for (word, place) in key.iter_mut().zip(&self.key) {
            *word = place.load(Relaxed);
        }
        let mut cipher = ChaCha { key, counter: self.counter.load(Relaxed) };
        let mut words = [0; 16];
        cipher.generate(&mut words);
        self.counter.store(cipher.counter, Relaxed);
        for (place, word) in self.block.iter().zip(words) {
            place.store(word, Relaxed);
        }
        self.left.store(15, Relaxed);
        let [.., last] = words;
        last
    }
}

/// Takes 32-bit words from `next` until one falls into no remainder.
#[inline]
fn scale(n: u32, mut next: impl FnMut() -> u32) -> u32 {
    let Some(divisor) = NonZeroU32::new(n) else { return 0 };
    let mut product = u64::from(next()).wrapping_mul(u64::from(n));
    if (product as u32) < n {
        // 2^32 mod n: so many low parts are one too often.
        let surplus = n.wrapping_neg() % divisor;
        while (product as u32) < surplus {
            product = u64::from(next()).wrapping_mul(u64::from(n));
        }
    }
    (product >> 32) as u32
}

impl TryRng for &Rng {
    type Error = NoSecret;

    fn try_next_u32(&mut self) -> Result<u32, NoSecret> {
        self.draw()
    }

    fn try_next_u64(&mut self) -> Result<u64, NoSecret> {
        Ok((u64::from(self.draw()?) << 32) | u64::from(self.draw()?))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), NoSecret> {
        for chunk in bytes.chunks_mut(4) {
            for (byte, random) in chunk.iter_mut().zip(self.draw()?.to_le_bytes()) {
                *byte = random;
            }
        }
        Ok(())
    }
}

impl TryCryptoRng for &Rng {}

#[cfg(test)]
mod tests {
    use super::super::chacha::block;
    use super::*;
    use crate::os::testing::{Birth, Ending, in_child};
    use crate::sync::CHECKER;

    #[test]
    fn every_word_of_the_stream_is_drawn_once() {
        let rng = Rng::new();
        rng.seed().expect("the machine has randomness");
        let key = rng.key.each_ref().map(|word| word.load(Relaxed));
        for number in 0..5 {
            let expected = block(&key, [number, 0, 0, 0]);
            for word in expected.iter().rev() {
                assert_eq!(rng.next_u32(), *word);
            }
        }
    }

    #[test]
    fn zeros_are_a_generator_that_seeds_itself() {
        // SAFETY: every field is an atomic, for which zeros are valid.
        let (first, second): (Rng, Rng) = unsafe { core::mem::zeroed() };
        assert_ne!(first.next_u64(), second.next_u64());
        assert_eq!(first.generation.load(Relaxed), secret::generation());
    }

    #[test]
    fn a_stream_of_another_generation_is_not_continued() {
        let rng = Rng::new();
        rng.seed().expect("the machine has randomness");
        let key = rng.key.each_ref().map(|word| word.load(Relaxed));
        rng.next_u32();
        rng.generation.store(u32::MAX, Relaxed);
        rng.next_u32();
        assert_ne!(key, rng.key.each_ref().map(|word| word.load(Relaxed)));
    }

    #[test]
    fn below_is_below_and_reaches_every_number() {
        let rng = Rng::new();
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        for n in [2, 3, 7, 16].into_iter().take(if CHECKER { 2 } else { 4 }) {
            let mut seen = std::collections::HashSet::new();
            for _ in 0..n * 30 {
                let number = rng.below(n);
                assert!(number < n);
                seen.insert(number);
            }
            assert_eq!(seen.len(), n as usize);
        }
    }

    #[test]
    fn below_throws_away_exactly_the_surplus() {
        // For n = 3 the one word too many is 0 (2^32 mod 3 = 1, and 0 * 3 has the low part 0).
        let mut words = [0, 0, 0x5555_5556].into_iter();
        assert_eq!(scale(3, || words.next().expect("three words")), 1);
        assert_eq!(words.next(), None);
        // For a power of two there is none.
        assert_eq!(scale(4, || 0), 0);
        assert_eq!(scale(u32::MAX, || u32::MAX), u32::MAX - 1);
    }

    #[test]
    fn bytes_are_filled_to_the_last() {
        let rng = Rng::new();
        let mut bytes = [0; 203];
        (&rng).try_fill_bytes(&mut bytes).expect("the machine has randomness");
        assert!(bytes.iter().filter(|byte| **byte == 0).count() < 20);
    }

    #[test]
    fn children_do_not_continue_their_parent_s_stream() {
        let rng = Rng::new();
        rng.seed().expect("the machine has randomness");
        rng.next_u32();
        let [.., expected, _] = rng.block.each_ref().map(|word| word.load(Relaxed));
        for birth in [Birth::Fork, Birth::RawClone] {
            // A fork handler calls `renew`; a raw clone is noticed by itself, where the kernel wipes.
            let ending = in_child(birth, || {
                let told = birth == Birth::RawClone || super::super::renew().is_ok();
                i32::from(!told || rng.next_u32() == expected)
            });
            if birth == Birth::Fork {
                assert!(matches!(ending, None | Some(Ending::Exit(0))), "{ending:?}");
            } else if super::super::secret::tests::kernel_wipes() {
                assert_eq!(ending, Some(Ending::Exit(0)));
            }
        }
        assert_eq!(rng.next_u32(), expected);
    }
}
