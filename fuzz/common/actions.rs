//! What a fuzzer's bytes mean as calls: steps of the shadow model.

use crate::model::block::{Face, Fill, Request};
use crate::model::player::Player;
use crate::model::step::{Place, Step};
use arbitrary::{Arbitrary, Result, Unstructured};
use ravelin::Collect;

/// A size that a few bytes can say. Of 64 one is huge and five come to slices: memory that must be cleared costs more time than all
/// else.
#[derive(Clone, Copy, Debug)]
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

impl<'a> Arbitrary<'a> for Size {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u8::arbitrary(bytes)? % 64 {
            0 => Size::Huge(bytes.arbitrary()?),
            1..6 => Size::Slices(bytes.arbitrary()?, bytes.arbitrary()?),
            6..22 => Size::Granules(bytes.arbitrary()?, bytes.arbitrary()?),
            22..42 => Size::Small(bytes.arbitrary()?),
            _ => Size::Tiny(bytes.arbitrary()?),
        })
    }

    fn size_hint(_depth: usize) -> (usize, Option<usize>) {
        (1, Some(4))
    }
}

/// Who acts: of eight times the helper once, for to wake a thread and to wait for it takes as long as a hundred steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By(Place);

impl<'a> Arbitrary<'a> for By {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(By(if u8::arbitrary(bytes)? % 8 == 0 { Place::Elsewhere } else { Place::Here }))
    }

    fn size_hint(_depth: usize) -> (usize, Option<usize>) {
        (1, Some(1))
    }
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
        by: By,
        size: Size,
        align: u8,
    },
    /// Many blocks of one size, so that pages fill.
    Fill {
        by: By,
        count: u8,
        size: u16,
    },
    Free {
        by: By,
        which: u16,
    },
    /// Frees every other block, so that pages empty.
    Thin {
        by: By,
    },
    Reallocate {
        by: By,
        which: u16,
        size: Size,
        align: u8,
    },
    Write {
        by: By,
        which: u16,
    },
    CheckHeap {
        by: By,
    },
    Collect {
        by: By,
        fully: bool,
    },
    EndHelper,
    NewHeap {
        by: By,
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

/// Mostly none, rarely wide.
fn align(bits: u8) -> usize {
    1 << if bits < 128 { 0 } else { u32::from(bits % 22) }
}

/// What actions come to: steps, each of which the model plays and checks.
pub(crate) fn play(player: &mut Player, action: Action) {
    let c = |size| Request { face: Face::C, size, align: 1, fill: Fill::Any };
    match action {
        Action::Allocate { rust, zeroed, by, size, align: bits } => {
            let face = if rust { Face::Rust } else { Face::C };
            let fill = if zeroed { Fill::Zero } else { Fill::Any };
            player.play(Step::Allocate(by.0, Request { face, size: size.bytes(), align: align(bits), fill }));
        }
        Action::Fill { by, count, size } => {
            player.play(Step::Fill(by.0, c(usize::from(size % 2048)), count.into()));
        }
        Action::Free { by, which } => player.play(Step::Free { place: by.0, which: which.into() }),
        Action::Thin { by } => player.play(Step::Thin(by.0, 256)),
        Action::Reallocate { by, which, size, align: bits } => {
            player.play(Step::Reallocate { place: by.0, which: which.into(), size: size.bytes(), align: align(bits) })
        }
        Action::Write { by, which } => player.play(Step::Write { place: by.0, which: which.into() }),
        Action::CheckHeap { by } => player.play(Step::CheckHeap(by.0)),
        Action::Collect { by, fully } => {
            player.play(Step::Collect(by.0, if fully { Collect::Fully } else { Collect::Gently }));
        }
        Action::EndHelper => player.play(Step::EndHelper),
        Action::NewHeap { by } => player.play(Step::NewHeap(by.0)),
        Action::AllocateInHeap { heap, zeroed, size, align: bits } => {
            let fill = if zeroed { Fill::Zero } else { Fill::Any };
            let request = Request { fill, align: align(bits), ..c(size.bytes()) };
            player.play(Step::AllocateInHeap { heap: heap.into(), request });
        }
        Action::FillHeap { heap, count, size } => {
            let request = c(usize::from(size % 2048));
            player.play(Step::FillHeap { heap: heap.into(), request, count: count.into() });
        }
        Action::VisitHeap { heap } => player.play(Step::VisitHeap(heap.into())),
        Action::DeleteHeap { heap } => player.play(Step::DeleteHeap(heap.into())),
        Action::DestroyHeap { heap } => player.play(Step::DestroyHeap(heap.into())),
    }
}
