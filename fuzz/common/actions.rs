//! What a fuzzer's bytes mean as calls: steps of the shadow model.

use crate::model::block::{Face, Fill, Request, Told};
use crate::model::heap::Kind;
use crate::model::player::Player;
use crate::model::step::{Place, Step};
use arbitrary::{Arbitrary, Result, Unstructured};
use ravelin::Collect;
use ravelin::raw::Operator;

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
        face: u8,
        zeroed: bool,
        by: By,
        size: Size,
        align: u8,
    },
    /// Many blocks of one size, so that pages fill.
    Fill {
        face: u8,
        by: By,
        count: u8,
        size: u16,
    },
    Free {
        told: u8,
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
        kind: u8,
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
    CollectHeap {
        heap: u8,
        fully: bool,
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

/// C's and Rust's most often.
fn face(bits: u8) -> Face {
    match bits % 8 {
        0..3 => Face::C,
        3 | 4 => Face::Rust,
        5 => Face::Data,
        6 => Face::Operator(Operator::One),
        _ => Face::Operator(Operator::Many),
    }
}

fn told(bits: u8) -> Told {
    match bits % 4 {
        0 => Told::Nothing,
        1 => Told::Size,
        2 => Told::SizeAndAlign,
        _ => Told::Object,
    }
}

fn kind(bits: u8) -> Kind {
    match bits % 4 {
        0 | 1 => Kind::Raw,
        2 => Kind::Region,
        _ => Kind::Shared,
    }
}

fn how(fully: bool) -> Collect {
    if fully { Collect::Fully } else { Collect::Gently }
}

/// What actions come to: steps, each of which the model plays and checks.
pub(crate) fn play(player: &mut Player, action: Action) {
    let c = |size| Request { face: Face::C, size, align: 1, fill: Fill::Any };
    match action {
        Action::Allocate { face: of, zeroed, by, size, align: bits } => {
            let fill = if zeroed { Fill::Zero } else { Fill::Any };
            let request = Request { face: face(of), size: size.bytes(), align: align(bits), fill };
            player.play(Step::Allocate(by.0, request));
        }
        Action::Fill { face: of, by, count, size } => {
            let request = Request { face: face(of), ..c(usize::from(size % 2048)) };
            player.play(Step::Fill(by.0, request, count.into()));
        }
        Action::Free { told: what, by, which } => {
            player.play(Step::Free { place: by.0, which: which.into(), told: told(what) });
        }
        Action::Thin { by } => player.play(Step::Thin(by.0, 256)),
        Action::Reallocate { by, which, size, align: bits } => {
            player.play(Step::Reallocate { place: by.0, which: which.into(), size: size.bytes(), align: align(bits) })
        }
        Action::Write { by, which } => player.play(Step::Write { place: by.0, which: which.into() }),
        Action::CheckHeap { by } => player.play(Step::CheckHeap(by.0)),
        Action::Collect { by, fully } => player.play(Step::Collect(by.0, how(fully))),
        Action::EndHelper => player.play(Step::EndHelper),
        Action::NewHeap { kind: of, by } => player.play(Step::NewHeap(by.0, kind(of))),
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
        Action::CollectHeap { heap, fully } => player.play(Step::CollectHeap(heap.into(), how(fully))),
        Action::DeleteHeap { heap } => player.play(Step::DeleteHeap(heap.into())),
        Action::DestroyHeap { heap } => player.play(Step::DestroyHeap(heap.into())),
    }
}
