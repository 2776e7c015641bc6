//! Statistics: what the program holds, and what that costs.
//!
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | live | in the program's hands: given by malloc, not freed by any thread |
//! | committed | memory that the kernel may have behind our addresses: touched by us or the program, not given back since |
//! | reserved | address space |
//! | metadata | the allocator's own memory, apart from what it hands out |
//!
//! # Where the figures come from
//!
//! ```text
//!   pages of all segments --- walked, while other threads go on ---> live blocks and bytes, pages, segments, guards
//!   counters of slow paths (page born, memory given back, fork) ---> committed, purged, forks, system calls
//!   samples of the walk, when committed memory has grown by a sixteenth -> peaks of what is live
//! ```
//!
//! The paths of malloc and free count nothing: the number of used blocks that each page's owner keeps is all there is.
//! Nobody is stopped or locked out for a snapshot, so its figures are from slightly different moments.
//!
//! Read `figures` for what there is and how stale it may be, `gather` for how it is found, `table`, `json` and `likeness` for the
//! forms in which it is shown, `show` for who shows it when.

mod figures;
mod gather;
mod json;
mod likeness;
mod process;
mod show;
mod table;

pub use figures::{ClassStats, LargeStats, SampledStats, Stats, SystemCalls};
pub(crate) use gather::{forget_peaks, stats};
pub use process::Process;
pub(crate) use process::{note_start, process};
pub use show::Form;
pub(crate) use show::{print, show_at_exit, write};
