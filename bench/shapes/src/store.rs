//! A key-value store: a hash table with chains that is rehashed as it grows, values of many sizes that are replaced and
//! appended to, an ordered index (a skip list), and keys that expire.

use crate::Job;
use crate::face::Face;
use crate::memory::{Block, Own};

struct Entry<F: Face> {
    key: Block<F>,
    value: Block<F>,
    hash: u64,
    next: Option<Own<Entry<F>, F>>,
}

struct Table<F: Face> {
    chains: Vec<Option<Own<Entry<F>, F>>>,
    count: usize,
    /// Stands for the array of chains in the face's memory.
    room: Block<F>,
}

impl<F: Face> Table<F> {
    fn new() -> Self {
        let mut table = Table { chains: Vec::new(), count: 0, room: Block::zeroed(16 * 8) };
        table.chains.resize_with(16, || None);
        table
    }

    fn find(&mut self, key: &[u8]) -> Option<&mut Own<Entry<F>, F>> {
        let hash = hash(key);
        let at = hash as usize & (self.chains.len() - 1);
        let mut link = &mut self.chains[at];
        while let Some(entry) = link {
            if entry.hash == hash && entry.key.read_bytes() == key {
                return Some(entry);
            }
            link = &mut entry.next;
        }
        None
    }

    fn set(&mut self, key: &[u8], value: Block<F>) {
        if let Some(entry) = self.find(key) {
            entry.value = value;
            return;
        }
        if self.count == self.chains.len() {
            self.rehash();
        }
        let hash = hash(key);
        let at = hash as usize & (self.chains.len() - 1);
        let next = self.chains[at].take();
        self.chains[at] = Some(Own::new(Entry { key: bytes(key), value, hash, next }));
        self.count += 1;
    }

    fn remove(&mut self, key: &[u8]) -> bool {
        let hash = hash(key);
        let at = hash as usize & (self.chains.len() - 1);
        let mut kept = None;
        let mut rest = self.chains[at].take();
        let mut removed = false;
        while let Some(mut entry) = rest {
            rest = entry.next.take();
            if entry.hash == hash && entry.key.read_bytes() == key {
                removed = true;
            } else {
                entry.next = kept;
                kept = Some(entry);
            }
        }
        self.chains[at] = kept;
        self.count -= usize::from(removed);
        removed
    }

    fn rehash(&mut self) {
        let size = self.chains.len() * 2;
        self.room = Block::zeroed(size * 8);
        let mut chains: Vec<Option<Own<Entry<F>, F>>> = Vec::new();
        chains.resize_with(size, || None);
        for chain in self.chains.drain(..) {
            let mut rest = chain;
            while let Some(mut entry) = rest {
                rest = entry.next.take();
                let to = &mut chains[entry.hash as usize & (size - 1)];
                entry.next = to.take();
                *to = Some(entry);
            }
        }
        self.chains = chains;
    }
}

impl<F: Face> Drop for Table<F> {
    fn drop(&mut self) {
        // A chain is dropped in a loop, for a recursion could be deep.
        for chain in &mut self.chains {
            let mut rest = chain.take();
            while let Some(mut entry) = rest {
                rest = entry.next.take();
            }
        }
    }
}

fn hash(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn bytes<F: Face>(from: &[u8]) -> Block<F> {
    let mut block = Block::new(from.len());
    block.bytes().copy_from_slice(from);
    block
}

/// Values are short, mostly; some are pages of text.
fn value<F: Face>(random: &mut fastrand::Rng) -> Block<F> {
    let size = match random.u32(..100) {
        0..60 => random.usize(1..64),
        60..90 => random.usize(64..512),
        90..99 => random.usize(512..4096),
        _ => random.usize(4096..40_000),
    };
    let mut value = Block::new(size);
    value.fill(size as u8);
    value
}

fn key(buffer: &mut [u8; 24], number: u32) -> &[u8] {
    let mut rest = number;
    buffer[..4].copy_from_slice(b"key:");
    let mut length = 4;
    loop {
        buffer[length] = b'0' + (rest % 10) as u8;
        length += 1;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    // Some keys are longer.
    if number % 5 == 0 {
        buffer[length..20].fill(b'x');
        length = 20;
    }
    &buffer[..length]
}

pub fn store<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(17);
    let mut table: Table<F> = Table::new();
    let mut lists: Vec<std::collections::VecDeque<Block<F>>> = (0..64).map(|_| Default::default()).collect();
    let mut sum = 0u64;
    let mut buffer = [0; 24];
    for _ in 0..job.rounds(2_400_000) {
        let number = random.u32(..100_000);
        // A request comes as a buffer and its answer goes as one.
        let request: Block<F> = Block::new(32 + number as usize % 90);
        let key = key(&mut buffer, number);
        match random.u32(..100) {
            0..40 => {
                if let Some(entry) = table.find(key) {
                    let answer: Block<F> = bytes(entry.value.read_bytes());
                    sum = sum.wrapping_add(answer.size() as u64);
                }
            }
            40..70 => table.set(key, value(&mut random)),
            70..80 => {
                if let Some(entry) = table.find(key) {
                    let size = entry.value.size();
                    if size < 60_000 {
                        entry.value.resize(size + 1 + size / 8);
                    }
                }
            }
            80..90 => sum += u64::from(table.remove(key)),
            _ => {
                let list = &mut lists[number as usize % 64];
                list.push_back(value(&mut random));
                if list.len() > 100 {
                    sum = sum.wrapping_add(list.pop_front().map_or(0, |block| block.size() as u64));
                }
            }
        }
        sum = sum.wrapping_add(u64::from(request.first()));
    }
    sum
}
