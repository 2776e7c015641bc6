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
/// The bytes behind what was requested of a block have changed; where guards are watched, they were read or written.
pub const BUFFER_OVERFLOW: &str = "buffer overflow";
/// The bytes before a block have changed; where guards are watched, they were read or written.
pub const BUFFER_UNDERFLOW: &str = "buffer underflow";
/// The bytes of a freed block have changed.
pub const WRITE_AFTER_FREE: &str = "write after free";
/// A `Layout` that is not the block's.
pub const WRONG_LAYOUT: &str = "wrong layout";
/// A sized `delete` or `free_sized` with another size than was requested.
pub const WRONG_SIZE: &str = "wrong size";
/// `new` met `delete[]`, or `new[]` met `delete`.
pub const MISMATCHED_DEALLOCATION: &str = "mismatched deallocation";
/// A freed block was resized, or its size was asked; where guards are watched, it was read or written.
pub const USE_AFTER_FREE: &str = "use after free";
/// A handle of a heap that is no more.
pub const DEAD_HEAP: &str = "dead heap";
/// A heap was used by another thread than its own.
pub const FOREIGN_HEAP: &str = "foreign heap";
/// The system gave no random bytes.
pub const NO_RANDOMNESS: &str = "no source of randomness";
/// The allocator's own records do not agree.
pub const INTERNAL_ERROR: &str = "internal error";
