//! What a request does: the most frequent words of a text, in memory of any allocator.

use core::fmt::Write;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use hashbrown::{DefaultHashBuilder, HashMap};

/// Ranks in an answer.
const RANKS: usize = 5;

/// Everything that a request has made.
pub(crate) struct Statistics<A: Allocator> {
    counts: HashMap<Box<str, A>, u32, DefaultHashBuilder, A>,
    ranking: Vec<(u32, Box<str, A>), A>,
}

impl<A: Allocator + Copy> Statistics<A> {
    /// Reads a text.
    pub(crate) fn of(text: &str, memory: A) -> Statistics<A> {
        let own = |word: &str| {
            let mut bytes = Vec::new_in(memory);
            bytes.extend_from_slice(word.as_bytes());
            // What was a string is one.
            into_str(bytes.into_boxed_slice())
        };
        let mut counts = HashMap::with_hasher_in(DefaultHashBuilder::default(), memory);
        for word in text.split_ascii_whitespace() {
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(own(word), 1);
                }
            }
        }
        let mut ranking = Vec::with_capacity_in(counts.len(), memory);
        for (word, count) in &counts {
            ranking.push((*count, own(word)));
        }
        ranking.sort_unstable_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.cmp(other)));
        Statistics { counts, ranking }
    }

    /// The answer to the request, one line.
    pub(crate) fn answer(&self) -> String {
        let mut answer = String::new();
        for (count, word) in self.ranking.iter().take(RANKS) {
            let _ = write!(answer, "{word} {count}, ");
        }
        let _ = writeln!(answer, "of {}", self.counts.len());
        answer
    }
}

fn into_str<A: Allocator>(bytes: Box<[u8], A>) -> Box<str, A> {
    assert!(core::str::from_utf8(&bytes).is_ok());
    let (start, memory) = Box::into_raw_with_allocator(bytes);
    // SAFETY: the block was just taken from this allocator's box, and its bytes are a string's.
    unsafe { Box::from_raw_in(start as *mut str, memory) }
}
