//! A shadow of the heap: what each block must hold, where it may lie, and how it must be aligned.
//!
//! ```text
//!   steps ---> Player ---> Block: start, size, alignment, seed  ---> the allocator under test
//!     |          |           contents: every byte follows from the seed
//!   (a test,     +-------> Territory: who has which addresses, over all threads
//!    or a fuzzer)
//! ```
//!
//! The shadow never asks the allocator what it should be; it knows by itself, and panics where the two differ. Its own
//! data lies in the system's allocator, so that a bug in the one under test cannot falsify the shadow.
//!
//! The fuzz targets include this folder by its path.
//!
//! Reading order: [`contents`], [`territory`], [`heap`], [`block`], [`step`], [`helper`], [`player`].

#![allow(dead_code, reason = "each of the tests that include this uses a part of it")]

pub(crate) mod block;
pub(crate) mod contents;
pub(crate) mod heap;
pub(crate) mod helper;
pub(crate) mod player;
pub(crate) mod step;
pub(crate) mod territory;
