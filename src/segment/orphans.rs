//! In the child of a fork: slices in the hands of threads that are not in this process.
//!
//! ```text
//!   free --- claim ---> in hand ---- birth ----> a page of blocks
//!     ^     (locked)                                   |
//!     '----- release ----- in hand <---- given up -----'
//!           (locked)
//! ```
//!
//! Between claim and birth, and between the end of a page and its release, slices are in use and belong to no page: only the thread
//! that has them in hand knows of them. fork holds the lock, so in the child every such run is in hand, or is not in use. A page
//! that was born, though its thread did not come to put it down, has an owner, and is abandoned like that thread's others.
//!
//! A run in the forking thread's own hand stays there: it may have been interrupted by the signal whose handler forks.

use super::Role;
use super::space::{self, Run};
use crate::page::Contents;
use crate::remote::Owner;

/// Gives the slices of pages that were never born, or never quite given up, back.
pub(crate) fn free_slices() {
    for segment in space::segments().filter(|segment| segment.role() == Role::Shared) {
        for page in segment.pages.iter().filter(|page| page.face.are_blocks_in_anothers_hand()) {
            if page.face.owner.load() == Owner::Nobody {
                let (first, count) = (page.face.first_slice(), page.face.slices());
                space::release(&Run { segment, first, count, contents: Contents::Unknown });
            }
            page.face.put_down();
        }
    }
}
