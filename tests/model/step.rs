//! One step of a sequence.

use super::block::Request;
use ravelin::Collect;

/// Which thread takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The one that plays.
    Here,
    /// A helper, which the player waits for: so that what is a race elsewhere is a sequence here.
    Elsewhere,
}

/// What is done. `which` names one of the live blocks, modulo their number; without any, the step is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Allocate(Place, Request),
    Reallocate {
        place: Place,
        which: usize,
        size: usize,
        align: usize,
    },
    Free {
        place: Place,
        which: usize,
    },
    /// Checks a block, and writes it anew.
    Write {
        place: Place,
        which: usize,
    },
    CheckHeap(Place),
    Collect(Place, Collect),
    /// The helper ends, and leaves its pages to whoever wants them.
    EndHelper,
}
