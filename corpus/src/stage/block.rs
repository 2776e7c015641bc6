//! The props: blocks, by their address alone, so that they can be misused.

use crate::allocator::{current, has};
use core::alloc::Layout;
use core::hint::black_box;
use core::ptr;

/// The sizes of the corpus.
pub const SIZES: [usize; 14] =
    [1, 8, 16, 24, 64, 100, 512, 1024, 4096, 16 << 10, 64 << 10, 128 << 10, 1 << 20, 64 << 20];

/// Whether blocks of this size share a page.
pub fn is_class(size: usize) -> bool {
    // Behind what is requested a canary must find its place.
    let trailer = if has("canaries") { 8 } else { 0 };
    size + trailer <= 128 << 10
}

/// Whether a block of this size has a page of its own in a shared segment.
pub fn is_large(size: usize) -> bool {
    !is_class(size) && !is_huge(size)
}

/// Whether a block of this size has a mapping of its own.
pub fn is_huge(size: usize) -> bool {
    size > 16 << 20
}

/// A pointer that came from the allocator, or that a misuse invents. Nothing is promised of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub *mut u8);

// SAFETY: an address; who may use it is the play's affair.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// A new block.
    pub fn new(size: usize) -> Block {
        super::say::remember(size);
        let block = black_box((current().allocate)(black_box(size)));
        assert!(!block.is_null(), "no memory for {size} bytes");
        Block(block)
    }

    /// A new block, aligned to `align`.
    pub fn aligned(size: usize, align: usize) -> Block {
        let block = black_box((current().allocate_aligned)(black_box(size), align));
        assert!(!block.is_null(), "no memory for {size} bytes");
        Block(block)
    }

    /// A new block of exactly this Layout, from the global allocator.
    pub fn of_layout(layout: Layout) -> Block {
        assert_ne!(layout.size(), 0);
        // SAFETY: the size is not 0.
        let block = black_box(unsafe { std::alloc::alloc(black_box(layout)) });
        assert!(!block.is_null(), "no memory for {layout:?}");
        Block(block)
    }

    /// A pointer out of the blue.
    pub fn at(address: usize) -> Block {
        Block(ptr::without_provenance_mut(address))
    }

    pub fn address(self) -> usize {
        self.0.addr()
    }

    /// So many bytes further on.
    pub fn plus(self, bytes: usize) -> Block {
        Block(self.0.wrapping_add(bytes))
    }

    /// So many bytes before.
    pub fn minus(self, bytes: usize) -> Block {
        Block(self.0.wrapping_sub(bytes))
    }

    /// Frees it, live or not.
    pub fn free(self) {
        // SAFETY: none: a play frees what must not be freed, and the call must not return then.
        unsafe { (current().free)(black_box(self.0)) };
    }

    /// Frees it, which must not return.
    pub fn free_guilty(self) {
        super::guilty(self.address(), || self.free());
    }

    /// C's realloc.
    pub fn realloc(self, size: usize) -> *mut u8 {
        // SAFETY: as for `free`.
        black_box(unsafe { (current().reallocate)(black_box(self.0), black_box(size)) })
    }

    pub fn usable_size(self) -> usize {
        // SAFETY: as for `free`.
        black_box(unsafe { (current().usable_size)(black_box(self.0)) })
    }

    pub fn write(self, offset: usize, word: u64) {
        // SAFETY: none: a play writes to what it has freed. Where that is not mapped the process dies, as the case may expect.
        unsafe { self.0.wrapping_add(offset).cast::<u64>().write_volatile(word) };
    }

    pub fn read(self, offset: usize) -> u64 {
        // SAFETY: as for `write`.
        unsafe { self.0.wrapping_add(offset).cast::<u64>().read_volatile() }
    }

    pub fn write_byte(self, offset: usize, byte: u8) {
        // SAFETY: as for `write`.
        unsafe { self.0.wrapping_add(offset).write_volatile(byte) };
    }

    /// Writes so many bytes, one by one and upwards.
    pub fn write_bytes(self, offset: usize, byte: u8, count: usize) {
        (offset..offset + count).for_each(|offset| self.write_byte(offset, byte));
    }

    pub fn read_byte(self, offset: usize) -> u8 {
        // SAFETY: as for `write`.
        unsafe { self.0.wrapping_add(offset).read_volatile() }
    }

    /// Reads a byte, and forgets it.
    pub fn touch(self, offset: usize) {
        black_box(self.read_byte(offset));
    }

    /// Overwrites the first bytes.
    pub fn soil(self, size: usize) {
        // SAFETY: the play's own block, of that size.
        unsafe { self.0.write_bytes(0xff, size) };
        black_box(self);
    }

    /// Whether the first bytes are zero: the first is, and each is like the one before.
    pub fn is_zero(self, size: usize) -> bool {
        let (start, next) = (self.0.cast_const(), self.0.wrapping_add(1).cast_const());
        // SAFETY: the play's own block, of that size, which is not 0.
        size == 0 || self.read_byte(0) == 0 && unsafe { libc::memcmp(start.cast(), next.cast(), size - 1) } == 0
    }

    /// Fills the block with a pattern of its own.
    pub fn fill(self, size: usize) {
        for offset in 0..size {
            self.write_byte(offset, self.pattern(offset));
        }
    }

    /// Whether the block still holds that pattern.
    pub fn is_filled(self, size: usize) -> bool {
        (0..size).all(|offset| self.read_byte(offset) == self.pattern(offset))
    }

    pub fn pattern(self, offset: usize) -> u8 {
        ((self.address() >> 4) + offset * 7 + 1) as u8
    }
}

const MANY: usize = 200;

/// Two live blocks side by side, the lower first, and the bytes from one to the other. None where they do not lie so.
pub fn neighbours(size: usize) -> Option<(Block, Block, usize)> {
    among(&mut crowded(size), size)
}

/// The same, and so much of their page is free that its blocks are handed out again.
pub fn neighbours_in_a_page_with_room(size: usize) -> Option<(Block, Block, usize)> {
    let mut blocks = crowded(size);
    let (lower, upper, apart) = among(&mut blocks, size)?;
    let others = blocks.iter().filter(|block| **block != lower && **block != upper && !block.0.is_null());
    others.filter(|block| block.address() >> 16 == upper.address() >> 16).for_each(|block| block.free());
    Some((lower, upper, apart))
}

/// Many live blocks of a size, or null where that would be too much.
fn crowded(size: usize) -> [Block; MANY] {
    let many = MANY.min((1 << 28) / size.max(1)).max(2);
    let mut blocks = [Block(ptr::null_mut()); MANY];
    blocks.iter_mut().take(many).for_each(|block| *block = Block::new(size));
    blocks
}

fn among(blocks: &mut [Block], size: usize) -> Option<(Block, Block, usize)> {
    blocks.sort_unstable();
    let live = blocks.iter().position(|block| !block.0.is_null())?;
    let pairs = blocks[live..].windows(2).map(|pair| (pair[0], pair[1], pair[1].address() - pair[0].address()));
    pairs.min_by_key(|(_, _, apart)| *apart).filter(|(_, _, apart)| *apart <= size + size / 2 + 128)
}

/// Live blocks of a size, held so that their page stays when others of it are freed.
#[derive(Clone, Copy, Debug)]
pub struct Company([Block; 6]);

impl Company {
    pub fn of(size: usize) -> Company {
        Company([(); 6].map(|()| Block::new(size)))
    }

    pub fn leave(self) {
        self.0.into_iter().for_each(Block::free);
    }
}
