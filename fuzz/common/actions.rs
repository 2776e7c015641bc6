//! What a fuzzer's bytes mean as calls: steps of the shadow model.

use crate::model::block::{Face, Fill, Request};
use crate::model::player::Player;
use crate::model::step::{Place, Step};
use arbitrary::Arbitrary;
use ravelin::Collect;

/// A size that a few bytes can say, with the small ones likelier.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Size {
    Tiny(u8),
    Small(u16),
    /// Of a class, or nearly: this many granules and bytes.
    Granules(u8, u8),
    /// Up to about 4 MiB, in slices and bytes.
    Slices(u8, u16),
    /// Up to 64 MiB.
    Huge(u8),
}

impl Size {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Size::Tiny(bytes) => bytes.into(),
            Size::Small(bytes) => bytes.into(),
            Size::Granules(granules, bytes) => usize::from(granules) * 16 + usize::from(bytes % 3),
            Size::Slices(slices, bytes) => usize::from(slices % 64) * 65_536 + usize::from(bytes),
            Size::Huge(mebibytes) => usize::from(mebibytes % 64 + 1) << 20,
        }
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Action {
    Allocate {
        rust: bool,
        zeroed: bool,
        elsewhere: bool,
        size: Size,
        align: u8,
    },
    /// Many blocks of one size, so that pages fill.
    Fill {
        elsewhere: bool,
        count: u8,
        size: u16,
    },
    Free {
        elsewhere: bool,
        which: u16,
    },
    /// Frees every other block, so that pages empty.
    Thin {
        elsewhere: bool,
    },
    Reallocate {
        elsewhere: bool,
        which: u16,
        size: Size,
        align: u8,
    },
    Write {
        elsewhere: bool,
        which: u16,
    },
    CheckHeap {
        elsewhere: bool,
    },
    Collect {
        elsewhere: bool,
        fully: bool,
    },
    EndHelper,
    NewHeap {
        elsewhere: bool,
    },
    AllocateInHeap {
        heap: u8,
        zeroed: bool,
        size: Size,
        align: u8,
    },
    /// Many blocks of one size in a heap.
    FillHeap {
        heap: u8,
        count: u8,
        size: u16,
    },
    VisitHeap {
        heap: u8,
    },
    DeleteHeap {
        heap: u8,
    },
    DestroyHeap {
        heap: u8,
    },
}

fn place(elsewhere: bool) -> Place {
    if elsewhere { Place::Elsewhere } else { Place::Here }
}

/// Mostly none, rarely wide.
fn align(bits: u8) -> usize {
    1 << if bits < 128 { 0 } else { u32::from(bits % 22) }
}

/// What actions come to: steps, each of which the model plays and checks.
pub(crate) fn play(player: &mut Player, action: Action) {
    let c = |size| Request { face: Face::C, size, align: 1, fill: Fill::Any };
    match action {
        Action::Allocate { rust, zeroed, elsewhere, size, align: bits } => {
            let face = if rust { Face::Rust } else { Face::C };
            let fill = if zeroed { Fill::Zero } else { Fill::Any };
            player
                .play(Step::Allocate(place(elsewhere), Request { face, size: size.bytes(), align: align(bits), fill }));
        }
        Action::Fill { elsewhere, count, size } => {
            (0..count).for_each(|_| player.play(Step::Allocate(place(elsewhere), c(usize::from(size % 2048)))));
        }
        Action::Free { elsewhere, which } => player.play(Step::Free { place: place(elsewhere), which: which.into() }),
        Action::Thin { elsewhere } => {
            (0..128).for_each(|turn| player.play(Step::Free { place: place(elsewhere), which: turn * 2 }));
        }
        Action::Reallocate { elsewhere, which, size, align: bits } => player.play(Step::Reallocate {
            place: place(elsewhere),
            which: which.into(),
            size: size.bytes(),
            align: align(bits),
        }),
        Action::Write { elsewhere, which } => player.play(Step::Write { place: place(elsewhere), which: which.into() }),
        Action::CheckHeap { elsewhere } => player.play(Step::CheckHeap(place(elsewhere))),
        Action::Collect { elsewhere, fully } => {
            player.play(Step::Collect(place(elsewhere), if fully { Collect::Fully } else { Collect::Gently }));
        }
        Action::EndHelper => player.play(Step::EndHelper),
        Action::NewHeap { elsewhere } => player.play(Step::NewHeap(place(elsewhere))),
        Action::AllocateInHeap { heap, zeroed, size, align: bits } => {
            let fill = if zeroed { Fill::Zero } else { Fill::Any };
            let request = Request { fill, align: align(bits), ..c(size.bytes()) };
            player.play(Step::AllocateInHeap { heap: heap.into(), request });
        }
        Action::FillHeap { heap, count, size } => {
            let request = c(usize::from(size % 2048));
            (0..count).for_each(|_| player.play(Step::AllocateInHeap { heap: heap.into(), request }));
        }
        Action::VisitHeap { heap } => player.play(Step::VisitHeap(heap.into())),
        Action::DeleteHeap { heap } => player.play(Step::DeleteHeap(heap.into())),
        Action::DestroyHeap { heap } => player.play(Step::DestroyHeap(heap.into())),
    }
}
