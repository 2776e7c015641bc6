//! Text: records that are read, linked, printed and dropped; words that are cut, joined and counted.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use crate::Job;
use crate::face::Face;
use crate::memory::{Block, Own};

/// What a document parser makes: every string, list and object is a block.
enum Value<F: Face> {
    Number(f64),
    Text(Block<F>),
    List(Vec<Own<Value<F>, F>>),
    Object(Vec<(Block<F>, Own<Value<F>, F>)>),
}

fn text_of(random: &mut fastrand::Rng, into: &mut Vec<u8>, depth: u32) {
    match if depth == 0 { random.u32(..2) } else { random.u32(..4) } {
        0 => into.extend(random.u32(..100_000).to_string().bytes()),
        1 => {
            into.push(b'"');
            into.extend((0..random.usize(1..40)).map(|_| random.lowercase() as u8));
            into.push(b'"');
        }
        2 => {
            into.push(b'[');
            for _ in 0..random.u32(1..6) {
                text_of(random, into, depth - 1);
                into.push(b',');
            }
            into.push(b']');
        }
        _ => {
            into.push(b'{');
            for field in 0..random.u32(1..6) {
                into.extend(format!("\"field{field}\":").bytes());
                text_of(random, into, depth - 1);
                into.push(b',');
            }
            into.push(b'}');
        }
    }
}

/// Reads what `text_of` writes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn next(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn string<F: Face>(&mut self) -> Block<F> {
        let end = self.0.iter().position(|byte| *byte == b'"').unwrap_or(0);
        let mut text = Block::new(end + 1);
        text.bytes()[..end].copy_from_slice(&self.0[..end]);
        self.0 = &self.0[end + 1..];
        text
    }

    fn value<F: Face>(&mut self) -> Own<Value<F>, F> {
        Own::new(match self.next() {
            b'"' => Value::Text(self.string()),
            b'[' => {
                let mut list = Vec::new();
                while self.0.first() != Some(&b']') {
                    list.push(self.value());
                    self.next();
                }
                self.next();
                Value::List(list)
            }
            b'{' => {
                let mut fields = Vec::new();
                while self.next() != b'}' {
                    let name = self.string();
                    self.next();
                    fields.push((name, self.value()));
                    self.next();
                }
                Value::Object(fields)
            }
            digit => {
                let mut number = f64::from(digit - b'0');
                while let Some(byte) = self.0.first().filter(|byte| byte.is_ascii_digit()) {
                    number = number * 10.0 + f64::from(byte - b'0');
                    self.next();
                }
                Value::Number(number)
            }
        })
    }
}

fn print<F: Face>(value: &Value<F>, into: &mut Vec<u8>) {
    match value {
        Value::Number(number) => into.extend(number.to_string().bytes()),
        Value::Text(text) => into.extend_from_slice(text.read_bytes()),
        Value::List(list) => list.iter().for_each(|value| print(value, into)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            into.extend_from_slice(name.read_bytes());
            print(value, into);
        }),
    }
}

pub fn parse<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(19);
    let texts: Vec<Vec<u8>> = (0..200)
        .map(|_| {
            let mut text = Vec::new();
            while text.len() < 2000 {
                text.clear();
                text_of(&mut random, &mut text, 6);
            }
            text
        })
        .collect();
    let mut sum = 0;
    let mut kept: Vec<Option<Own<Value<F>, F>>> = Vec::new();
    kept.resize_with(64, || None);
    for round in 0..job.rounds(40_000) {
        let value = Reader(&texts[round % texts.len()]).value::<F>();
        if round % 4 == 0 {
            let mut printed = Vec::new();
            print(&value, &mut printed);
            sum += printed.len() as u64;
        }
        kept[random.usize(..64)] = Some(value);
    }
    sum
}

/// A string of the face's memory that grows by doubling.
struct Line<F: Face>(Block<F>, usize);

impl<F: Face> Line<F> {
    fn push(&mut self, bytes: &[u8]) {
        while self.0.size() < self.1 + bytes.len() {
            self.0.resize(self.0.size() * 2);
        }
        self.0.bytes()[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
        self.1 += bytes.len();
    }
}

/// A word as the key of a map.
struct Word<F: Face>(Block<F>);

impl<F: Face> PartialEq for Word<F> {
    fn eq(&self, other: &Self) -> bool {
        self.0.read_bytes() == other.0.read_bytes()
    }
}
impl<F: Face> Eq for Word<F> {}
impl<F: Face> Hash for Word<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.read_bytes().hash(state);
    }
}

pub fn words<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(23);
    let mut counts: HashMap<Word<F>, u32, BuildHasherDefault<DefaultHasher>> = HashMap::default();
    let mut sum = 0;
    for round in 0..job.rounds(700_000) {
        let mut line: Line<F> = Line(Block::new(16), 0);
        for _ in 0..12 {
            // Few words are common, most are rare.
            let rank = (1.0 / (random.f64() + 2e-5)) as u32;
            line.push(b"the-word".get(..2 + rank as usize % 7).unwrap_or(b"w"));
            line.push(rank.to_string().as_bytes());
            line.push(b" ");
        }
        for word in line.0.read_bytes()[..line.1].split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
            let mut block = Block::new(word.len());
            block.bytes().copy_from_slice(word);
            *counts.entry(Word(block)).or_default() += 1;
        }
        if round % 30_000 == 29_999 {
            sum += counts.len() as u64;
            counts.retain(|_, count| *count > 2);
        }
    }
    sum + u64::from(counts.values().copied().max().unwrap_or(0))
}
