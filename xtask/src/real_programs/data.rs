//! Generated inputs: the same bytes on every machine, so that outputs can be compared and times repeated.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Size;

/// Numbers that look random and are not (splitmix64).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A word of a vocabulary in which some words are much more common than others, as in a language.
    pub fn word(&mut self) -> String {
        const SYLLABLES: [&str; 16] =
            ["ra", "ve", "lin", "to", "mar", "es", "qui", "don", "pa", "lu", "ster", "oth", "ni", "ka", "wen", "glo"];
        let rank = self.below(20_000) * self.below(20_000) / 20_000;
        let mut spelled = Numbers::new(rank);
        (0..1 + spelled.below(4)).map(|_| SYLLABLES[usize::try_from(spelled.below(16)).unwrap_or_default()]).collect()
    }
}

/// Makes the inputs that more than one program reads:
/// - `lines.txt`: `number word word ..`, one record a line.
pub fn generate(directory: &Path, size: Size) -> Result<PathBuf> {
    let directory = directory.join(size.pick("quick", "full"));
    fs::create_dir_all(&directory)?;
    let mut lines = BufWriter::new(File::create(directory.join("lines.txt"))?);
    let mut numbers = Numbers::new(1);
    for _ in 0..size.pick(150_000, 1_500_000) {
        write!(lines, "{}", numbers.below(1_000_000_000))?;
        for _ in 0..1 + numbers.below(8) {
            write!(lines, " {}", numbers.word())?;
        }
        writeln!(lines)?;
    }
    lines.flush()?;
    Ok(directory)
}
