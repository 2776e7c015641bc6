//! A block's memory, as far as the allocator touches it.

use crate::geometry::GRANULE;
use crate::sync::{AtomicU64, AtomicUsize, Relaxed};
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::Ordering::SeqCst;
use core::sync::atomic::compiler_fence;

/// What is wiped and looked at at a time.
const LINE: usize = 64;

/// How much of a freed block is wiped, and found wiped when it is handed out, if it has more than [`SURELY_WIPED`].
///
/// Only ever lowered: whoever is handed a block has seen what whoever wiped it had seen, so no more is looked at than is wiped.
static WIPE_LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// No limit is below this.
pub(crate) const SURELY_WIPED: usize = 1024;

/// Of freed blocks no more than so many bytes are wiped from now on, for as long as the process lives.
pub(crate) fn limit_wiping(most: usize) {
    let most = most.max(SURELY_WIPED) & !(GRANULE.wrapping_sub(1));
    if most < WIPE_LIMIT.load(Relaxed) {
        WIPE_LIMIT.fetch_min(most, Relaxed);
    }
}

/// How many bytes of a freed block of `size` are wiped.
#[inline(always)]
pub(super) fn wiped_part(size: usize) -> usize {
    if size <= SURELY_WIPED { size } else { size.min(WIPE_LIMIT.load(Relaxed)) }
}

/// The start of a block that was checked: it lies in a page, on a block's start, and nobody but the caller uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block(NonNull<u8>);

impl Block {
    /// Up to so many bytes a block is wiped in place, without a call.
    const WIPED_HERE: usize = 256;

    /// # Safety
    /// - `start` is the start of a block of a page that the caller owns, or of one that is being made;
    /// - the block is not live, or the caller is the one who hands it out or takes it back.
    #[inline(always)]
    pub(crate) const unsafe fn new(start: NonNull<u8>) -> Self {
        Self(start)
    }

    /// Its start.
    #[inline(always)]
    pub(crate) const fn start(self) -> NonNull<u8> {
        self.0
    }

    /// Its address.
    #[inline(always)]
    pub(crate) fn address(self) -> usize {
        self.0.addr().get()
    }

    /// The first word. An atomic access: a program that still writes to a block it has freed races with this one, and
    /// the compiler must neither drop the store nor read twice.
    #[inline(always)]
    pub(crate) fn first_word(self) -> u64 {
        // SAFETY: a block is at least 16 bytes, aligned to 16, and accessible while its page exists.
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().cast()) }.load(Relaxed)
    }

    /// Writes the first word.
    #[inline(always)]
    pub(crate) fn set_first_word(self, word: u64) {
        // SAFETY: as in `first_word`.
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().cast()) }.store(word, Relaxed);
    }

    /// Wipes the block: `len` bytes, a multiple of 16.
    ///
    /// # Safety
    /// - `len` is the block's size, or less.
    #[inline(always)]
    pub(crate) unsafe fn wipe(self, len: usize) {
        let clear = |at: usize, count: usize| {
            // SAFETY: bytes of the block; nobody else uses it.
            unsafe { self.0.as_ptr().wrapping_add(at).write_bytes(0, count) };
            // What is about to be freed must not look like it to the compiler, nor a loop of this like a memset.
            compiler_fence(SeqCst);
        };
        if len > Self::WIPED_HERE {
            clear(0, len);
        } else if len < LINE {
            // One, two or three granules, without a question which.
            let last = len.wrapping_sub(GRANULE);
            clear(0, GRANULE);
            clear(last.min(GRANULE), GRANULE);
            clear(last, GRANULE);
        } else {
            // The last line overlaps the one before it.
            let last = len.wrapping_sub(LINE);
            let mut at = 0_usize;
            while at < last {
                clear(at, LINE);
                at = at.wrapping_add(LINE);
            }
            clear(last, LINE);
        }
    }

    /// Whether the block is still wiped: all of its `len` bytes, a multiple of 16, but for the first word, where a link lies.
    ///
    /// # Safety
    /// - `len` is the block's size, or less; that much was wiped, or its memory is new.
    #[inline(always)]
    pub(crate) unsafe fn is_wiped(self, len: usize) -> bool {
        let granule = |at: usize| {
            // SAFETY: a granule of the block.
            unsafe { self.0.as_ptr().wrapping_add(at).cast::<[u64; GRANULE / 8]>().read() }
        };
        let [_, second] = granule(0);
        if len < LINE {
            let last = len.wrapping_sub(GRANULE);
            if last == 0 {
                return second == 0;
            }
            let ([third, fourth], [fifth, sixth]) = (granule(GRANULE), granule(last));
            return second | third | fourth | fifth | sixth == 0;
        }
        // Sums side by side, for vectors.
        let mut sums = [0, second, 0, 0];
        let mut add = |at: usize| {
            // SAFETY: two granules of the block.
            let words = unsafe { self.0.as_ptr().wrapping_add(at).cast::<[u64; 4]>().read() };
            let ([first, second, third, fourth], [a, b, c, d]) = (sums, words);
            sums = [first | a, second | b, third | c, fourth | d];
        };
        add(GRANULE);
        add(LINE / 2);
        let mut at = LINE;
        while at < len & !(LINE - 1) {
            add(at);
            add(at.wrapping_add(LINE / 2));
            at = at.wrapping_add(LINE);
        }
        // What is left of a line is no more than three granules.
        add(len.wrapping_sub(LINE - GRANULE));
        add(len.wrapping_sub(LINE / 2));
        let [first, second, third, fourth] = sums;
        first | second | third | fourth == 0
    }

    /// Where in this range the first byte lies that is not wiped any more, whatever `is_wiped` has seen a moment ago.
    ///
    /// # Safety
    /// - the range lies in the block, which nobody uses.
    #[cold]
    pub(crate) unsafe fn first_unwiped(self, mut range: Range<usize>) -> Option<usize> {
        range.find(|&at| {
            // SAFETY: a byte of the block.
            let byte = unsafe { self.0.as_ptr().wrapping_add(at).read_volatile() };
            byte != 0
        })
    }

    /// Writes `word` again and again over what the [`Slack`] from byte `from` on covers.
    ///
    /// # Safety
    /// - `from` is at least a word below `size`, which is the block's.
    #[inline(always)]
    pub(crate) unsafe fn plant(self, from: usize, size: usize, word: u64) {
        let put = |at: usize, word: u64| {
            // SAFETY: a word within the block.
            unsafe { self.0.as_ptr().wrapping_add(at).cast::<u64>().write_unaligned(word) }
        };
        let put_pair = |at: usize, word: u64| {
            // SAFETY: two words within the block.
            unsafe { self.0.as_ptr().wrapping_add(at).cast::<[u64; 2]>().write_unaligned([word; 2]) }
        };
        let slack = Slack { from, end: size };
        let turned = slack.turned(word);
        put(from, word);
        if slack.is_short() {
            let (second, word) = slack.second(word, turned);
            put(second, word);
            put(slack.last(), turned);
        } else {
            slack.pairs().into_iter().for_each(|at| put_pair(at, turned));
        }
    }

    /// Whether everything is as `plant` has written it.
    ///
    /// # Safety
    /// - as for `plant`.
    #[inline(always)]
    pub(crate) unsafe fn is_planted(self, from: usize, size: usize, word: u64) -> bool {
        let found = |at: usize| {
            // SAFETY: a word within the block.
            unsafe { self.0.as_ptr().wrapping_add(at).cast::<u64>().read_unaligned() }
        };
        let found_pair = |at: usize| {
            // SAFETY: two words within the block.
            unsafe { self.0.as_ptr().wrapping_add(at).cast::<[u64; 2]>().read_unaligned() }
        };
        let slack = Slack { from, end: size };
        let turned = slack.turned(word);
        let difference = found(from) ^ word;
        if slack.is_short() {
            let (second, word) = slack.second(word, turned);
            return difference | (found(second) ^ word) | (found(slack.last()) ^ turned) == 0;
        }
        let [first, second] = slack.pairs().into_iter().map(found_pair).fold([difference, 0], |sum, pair| {
            let ([first, second], [a, b]) = (sum, pair);
            [first | (a ^ turned), second | (b ^ turned)]
        });
        first | second == 0
    }

    /// Where the first byte lies that is not as `plant` has written it.
    ///
    /// # Safety
    /// - as for `plant`.
    #[cold]
    pub(crate) unsafe fn first_unplanted(self, from: usize, size: usize, word: u64) -> Option<usize> {
        let slack = Slack { from, end: size };
        (from..size).filter(|&at| slack.covers(at)).find(|&at| {
            // SAFETY: a byte of the block.
            let found = unsafe { self.0.as_ptr().wrapping_add(at).read_volatile() };
            found != rotated(word, at.wrapping_sub(from)) as u8
        })
    }

    /// How many bytes are not as `plant` has written them.
    ///
    /// # Safety
    /// - as for `plant`.
    #[cold]
    pub(crate) unsafe fn count_unplanted(self, from: usize, size: usize, word: u64) -> usize {
        let slack = Slack { from, end: size };
        let is_wrong = |&at: &usize| {
            // SAFETY: a byte of the block.
            let found = unsafe { self.0.as_ptr().wrapping_add(at).read_volatile() };
            found != rotated(word, at.wrapping_sub(from)) as u8
        };
        (from..size).filter(|&at| slack.covers(at)).filter(is_wrong).count()
    }

    /// Fills `len` bytes from `from` on with zeros.
    ///
    /// # Safety
    /// - they lie in the block.
    #[inline]
    pub(crate) unsafe fn clear_part(self, from: usize, len: usize) {
        // SAFETY: the caller's promise; nobody else uses the block.
        unsafe { self.0.as_ptr().wrapping_add(from).write_bytes(0, len) };
    }

    /// Fills the first `len` bytes with zeros.
    ///
    /// # Safety
    /// - `len` is at most the block's size.
    #[inline]
    pub(crate) unsafe fn clear(self, len: usize) {
        // SAFETY: the caller's promise; nobody else uses the block.
        unsafe { self.0.as_ptr().write_bytes(0, len) };
    }
}

/// The bytes of a block behind what was requested, a word at least, and how they are covered without a loop: where there are many, four
/// granules and what lies before the first.
///
/// ```text
///  from                                                  end
///   |word|             |             |      |             |       short: up to three words, which may overlap
///   |word | granule    | granule     |  ..  |granule|granule|     else: the same bytes, so the same word in all whole ones
/// ```
#[derive(Clone, Copy)]
struct Slack {
    /// Where they begin.
    from: usize,
    /// Where they end: the block's size.
    end: usize,
}

impl Slack {
    /// Whether three words cover them: so in small classes.
    #[inline(always)]
    const fn is_short(self) -> bool {
        self.end.wrapping_sub(self.from) <= 24
    }

    /// Where the last word lies.
    #[inline(always)]
    const fn last(self) -> usize {
        self.end.wrapping_sub(8)
    }

    /// What is written at whole words, if `word` is at the first byte.
    #[inline(always)]
    const fn turned(self, word: u64) -> u64 {
        rotated(word, self.last().wrapping_sub(self.from))
    }

    /// Where the second of three words lies, and what it is: that behind the first one, or else the last.
    #[inline(always)]
    fn second(self, word: u64, turned: u64) -> (usize, u64) {
        let second = self.from.wrapping_add(8);
        if second < self.last() { (second, word) } else { (self.last(), turned) }
    }

    /// Where the first whole word lies.
    #[inline(always)]
    const fn first(self) -> usize {
        self.from.wrapping_add(7) & !7
    }

    /// Where the pairs of words lie that cover what is not short: two at its start and two at its end, which may overlap.
    #[inline(always)]
    fn pairs(self) -> [usize; 4] {
        let (first, last) = (self.first(), self.end.wrapping_sub(GRANULE));
        [first, first.wrapping_add(GRANULE).min(last), last.wrapping_sub(GRANULE).max(first), last]
    }

    /// Whether this byte is covered.
    fn covers(self, at: usize) -> bool {
        self.is_short() || at < self.first().wrapping_add(2 * GRANULE) || at >= self.end.wrapping_sub(2 * GRANULE)
    }
}

/// What of a word that is written again and again is found `distance` bytes from where it was written first.
#[inline(always)]
const fn rotated(word: u64, distance: usize) -> u64 {
    word.rotate_right((distance as u32 & 7).wrapping_mul(8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::CHECKER;

    #[test]
    fn no_changed_byte_passes_that_a_trailer_covers_and_it_covers_both_ends() {
        let word = 0x8877_6655_4433_2200_u64;
        let mut memory = [0_u128; 40];
        let start = NonNull::from(&mut memory).cast();
        // SAFETY: nobody else uses the memory.
        let block = unsafe { Block::new(start) };
        let (sizes, step): (&[usize], usize) =
            if CHECKER { (&[16, 112], 11) } else { (&[16, 32, 48, 64, 80, 112, 160, 640], 1) };
        for &size in sizes {
            for from in (0..=size - 8).step_by(step) {
                let byte = |at: usize| start.as_ptr().wrapping_add(at);
                // SAFETY: the memory has room for the largest size.
                unsafe { block.clear(640) };
                // SAFETY: so it has, and at least a word lies behind `from`.
                unsafe { block.plant(from, size, word) };
                let covered =
                    |at: usize| (from..size).contains(&at) && (at < (from + 32) || at >= size - 32.min(size - from));
                for at in (0..640).filter(|&at| covered(at) || !(from..size).contains(&at)) {
                    let wanted = if covered(at) { word.to_le_bytes()[(at - from) % 8] } else { 0 };
                    // SAFETY: a byte of the memory.
                    assert_eq!(unsafe { byte(at).read() }, wanted, "{size} {from} {at}");
                }
                for at in (0..size).step_by(step) {
                    // SAFETY: a byte of the memory.
                    unsafe { *byte(at) ^= 1 };
                    // SAFETY: as for `plant`.
                    let (passes, found) = (unsafe { block.is_planted(from, size, word) }, unsafe {
                        block.first_unplanted(from, size, word)
                    });
                    assert_eq!(found, (!passes).then_some(at), "{size} {from} {at}");
                    assert!(!(passes && covered(at)) && (passes || at >= from), "{size} {from} {at}");
                    // SAFETY: a byte of the memory.
                    unsafe { *byte(at) ^= 1 };
                }
            }
        }
    }
}
