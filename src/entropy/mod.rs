//! What an attacker must not guess, and when it is drawn anew.
//!
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | secret | 192 random bits of the process, in a guarded page that core dumps leave out |
//! | page key | what encodes the links of one page: a hash of the secret, the page's address and its generation |
//! | generation | of a page: how often it was born; of the process: 1, and one more in every child of a fork |
//! | generator | a ChaCha20 stream for each heap, seeded from the kernel |
//!
//! # The picture
//!
//! ```text
//!   one reservation   | no access | secret, generation | no access | mark | no access |
//!                                  \ not in core dumps             \ zero in the child of any fork
//! ```
//!
//! # The invariant
//!
//! No two processes draw from the same secret or the same stream. The mark is READY only where the secret is this process's
//! own: the kernel itself zeroes it in a child, even in one that was made by the bare system call and ran no fork handlers.
//! A generator remembers the generation it was seeded in and starts afresh when that is over.
//!
//! Without an answer from the kernel nothing is drawn at all: every entry returns [`NoRandomness`], before any lock is taken.
//!
//! Read `secret`, then `chacha`, then `rng`.

mod chacha;
mod rng;
mod secret;

pub(crate) use rng::Rng;
pub(crate) use secret::{Renewed, cookie, generation, init, page_key, renew, renew_if_cloned};

use core::fmt;

/// The kernel gave no random bytes, or no page to keep a secret in. The process has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRandomness;

impl fmt::Display for NoRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no source of randomness")
    }
}

impl core::error::Error for NoRandomness {}

/// The end for those who cannot hand [`NoRandomness`] up.
#[cold]
fn stop() -> ! {
    crate::os::write_error(b"ravelin: no source of randomness\n");
    crate::os::abort()
}
