//! Big-number factoring: each intermediate result is a block of its own of 4 to 48 bytes.

use crate::Job;
use crate::face::Face;
use crate::memory::Block;

/// A natural number, least word first, without leading zeros (but for zero itself).
struct Number<F: Face>(Block<F>);

impl<F: Face> Number<F> {
    fn from(value: u64) -> Self {
        let mut number = Number::room(2);
        number.0.words().copy_from_slice(&[value as u32, (value >> 32) as u32]);
        number.trimmed()
    }

    fn room(words: usize) -> Self {
        Number(Block::new(words * 4))
    }

    fn words(&self) -> &[u32] {
        self.0.read_words()
    }

    fn trimmed(self) -> Self {
        let used = self.words().iter().rposition(|word| *word != 0).map_or(1, |last| last + 1);
        if used == self.words().len() {
            return self;
        }
        let mut short = Number::room(used);
        short.0.words().copy_from_slice(&self.words()[..used]);
        short
    }

    fn copy(&self) -> Self {
        let mut copy = Number::room(self.words().len());
        copy.0.words().copy_from_slice(self.words());
        copy
    }

    fn add(&self, small: u32) -> Self {
        let mut sum = Number::room(self.words().len() + 1);
        let mut carry = u64::from(small);
        let to = sum.0.words();
        for (to, from) in to.iter_mut().zip(self.words().iter().chain([&0])) {
            carry += u64::from(*from);
            *to = carry as u32;
            carry >>= 32;
        }
        sum.trimmed()
    }

    fn times(&self, other: &Self) -> Self {
        let mut product = Number(Block::zeroed((self.words().len() + other.words().len()) * 4));
        let to = product.0.words();
        for (i, a) in self.words().iter().enumerate() {
            let mut carry = 0u64;
            for (j, b) in other.words().iter().enumerate() {
                carry += u64::from(to[i + j]) + u64::from(*a) * u64::from(*b);
                to[i + j] = carry as u32;
                carry >>= 32;
            }
            to[i + other.words().len()] = carry as u32;
        }
        product.trimmed()
    }

    fn less(&self, other: &Self) -> bool {
        let (a, b) = (self.words(), other.words());
        a.len() < b.len() || a.len() == b.len() && a.iter().rev().lt(b.iter().rev())
    }

    fn minus(&self, other: &Self) -> Self {
        let mut rest = self.copy();
        let mut borrow = 0i64;
        for (i, to) in rest.0.words().iter_mut().enumerate() {
            let digit = i64::from(*to) - i64::from(other.words().get(i).copied().unwrap_or(0)) + borrow;
            *to = digit as u32;
            borrow = digit >> 32;
        }
        rest.trimmed()
    }

    /// What is left after dividing, a digit at a time with an estimate that is never too large.
    fn modulo(self, by: &Self) -> Self {
        let mut rest = self;
        let top = u64::from(*by.words().last().unwrap_or(&1)) + 1;
        while !rest.less(by) {
            let shift = rest.words().len() - by.words().len();
            let high = u64::from(rest.words()[rest.words().len() - 1]);
            let next = if rest.words().len() > 1 { u64::from(rest.words()[rest.words().len() - 2]) } else { 0 };
            let (estimate, shift) = if high >= top {
                (high / top, shift)
            } else if shift > 0 {
                (((high << 32) | next) / top, shift - 1)
            } else {
                (1, 0)
            };
            let mut digit = Number(Block::zeroed((shift + 1) * 4));
            digit.0.words()[shift] = estimate.min(u64::from(u32::MAX)) as u32;
            rest = rest.minus(&by.times(&digit));
        }
        rest
    }

    fn difference(&self, other: &Self) -> Self {
        if self.less(other) { other.minus(self) } else { self.minus(other) }
    }

    fn is_zero(&self) -> bool {
        self.words() == [0]
    }
}

fn common<F: Face>(mut a: Number<F>, mut b: Number<F>) -> Number<F> {
    while !b.is_zero() {
        let rest = a.modulo(&b);
        a = b;
        b = rest;
    }
    a
}

/// Pollard's rho (1975) on products of two primes.
pub fn factor<F: Face>(job: &Job) -> u64 {
    let primes: [u64; 4] = [4_294_967_291, 2_147_483_647, 1_000_000_007, 998_244_353];
    let mut found = 0;
    // A few long-lived numbers lie between the short-lived ones, as a table of small primes would.
    let table: Vec<Number<F>> = (0..2000).map(|n| Number::from(n * 65_537 + 3)).collect();
    let mut steps = job.rounds(700_000);
    let mut pick = 0;
    while steps > 0 {
        let (p, q) = (primes[pick % 4], primes[(pick + 1 + pick / 4) % 4]);
        let n = Number::<F>::from(p).times(&Number::from(q)).times(&Number::from(0xffff_fffb));
        pick += 1;
        let start = table[pick % table.len()].copy();
        let (mut slow, mut fast) = (start.copy(), start);
        for _ in 0..2000 {
            if steps == 0 {
                break;
            }
            steps -= 1;
            slow = slow.times(&slow).add(1).modulo(&n);
            fast = fast.times(&fast).add(1).modulo(&n);
            fast = fast.times(&fast).add(1).modulo(&n);
            if steps % 50 == 0 {
                let gap = slow.difference(&fast);
                if !gap.is_zero() {
                    let shared = common(n.copy(), gap);
                    found += u64::from(shared.words()[0]);
                }
            }
        }
    }
    found
}
