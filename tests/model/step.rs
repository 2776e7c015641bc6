//! One step of a sequence.

use super::block::{Request, Told};
use super::heap::Kind;
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
    /// So many blocks at once, so that pages fill.
    Fill(Place, Request, usize),
    Reallocate {
        place: Place,
        which: usize,
        size: usize,
        align: usize,
    },
    Free {
        place: Place,
        which: usize,
        told: Told,
    },
    /// Of so many blocks every other one is freed, so that pages empty; of each another thing is told.
    Thin(Place, usize),
    /// Checks a block, and writes it anew.
    Write {
        place: Place,
        which: usize,
    },
    CheckHeap(Place),
    /// A new heap of that thread. The steps below name one of them as blocks are named, and their own thread takes them.
    NewHeap(Place, Kind),
    /// Allocates in a heap; the face of the request does not count.
    AllocateInHeap {
        heap: usize,
        request: Request,
    },
    FillHeap {
        heap: usize,
        request: Request,
        count: usize,
    },
    /// The heap's blocks are compared with those that it knows of.
    VisitHeap(usize),
    CollectHeap(usize, Collect),
    /// Its blocks stay, unless it is of those whose blocks end.
    DeleteHeap(usize),
    /// Its blocks end, unless it is of those whose blocks stay.
    DestroyHeap(usize),
    Collect(Place, Collect),
    /// The helper ends with its heaps, and leaves its pages to whoever wants them.
    EndHelper,
}
