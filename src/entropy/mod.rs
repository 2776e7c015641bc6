//! What an attacker must not guess, and when it is drawn anew.
//!
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | secret | 128 random bits of the process, in a guarded page that core dumps leave out |
//! | canary secret | another 128 bits, of a generation; a child keeps its ancestors', for the blocks that it has inherited |
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
//! Without an answer from the kernel nothing is drawn at all: every entry returns [`NoSecret`], before any lock is taken.
//!
//! Read `secret`, then `chacha`, then `rng`, then `order`.

mod chacha;
mod order;
mod rng;
mod secret;

pub(crate) use order::{Order, PLACES};
pub(crate) use rng::Rng;
#[cfg(test)]
pub(crate) use secret::place;
pub(crate) use secret::{Renewed, canary_keys, generation, init, page_key, renew, renew_if_cloned, seal};

use core::fmt;

/// Why there is no secret to draw from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSecret {
    /// The kernel gave no random bytes. The process has to stop.
    NoRandomness,
    /// The kernel gave no page to keep the secret in. Nothing is drawn yet; a later call tries again.
    NoMemory,
}

impl fmt::Display for NoSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoSecret::NoRandomness => "no source of randomness",
            NoSecret::NoMemory => "no memory for the secret",
        })
    }
}

impl core::error::Error for NoSecret {}

/// The end for those who cannot hand [`NoSecret`] up: they draw when there is a secret, so that only randomness can be
/// wanting.
#[cold]
fn stop() -> ! {
    crate::os::write_error(b"ravelin: no source of randomness\n");
    crate::os::abort()
}
