//! The words with which Ravelin's reports begin, behind `ravelin: `. They do not change between versions.
//!
//! Wherever an expectation takes words, the beginning is enough: `invalid free` is all five of its kinds.

/// A block was freed that is free already.
pub const DOUBLE_FREE: &str = "double free";
/// A free of something that is no live block, whatever it is.
pub const INVALID_FREE: &str = "invalid free";
/// The inside of a live block.
pub const INTERIOR_POINTER: &str = "invalid free (interior pointer)";
/// Not a multiple of 16.
pub const MISALIGNED_POINTER: &str = "invalid free (misaligned pointer)";
/// The allocator's memory, where no block has been handed out.
pub const NEVER_ALLOCATED: &str = "invalid free (never allocated)";
/// Memory that is not the allocator's: a stack, a static, another allocator's.
pub const FOREIGN_POINTER: &str = "invalid free (foreign pointer)";
/// No address of a program at all.
pub const WILD_POINTER: &str = "invalid free (wild pointer)";
/// Something wrote into a freed block.
pub const CORRUPTED_FREE_LIST: &str = "corrupted free list";
/// A `Layout` that is not the block's.
pub const WRONG_LAYOUT: &str = "wrong layout";
/// A freed block was resized, its size was asked, or its bytes have changed.
pub const USE_AFTER_FREE: &str = "use after free";
