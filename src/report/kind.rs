//! What went wrong, and in which call. The words are stable: scripts may look for them.

use core::fmt;

/// What a report says went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A block was freed that is free already.
    DoubleFree,
    /// The pointer lies inside a live block, not at its start.
    InteriorPointer,
    /// The pointer is not a multiple of 16, so no block can start there.
    Misaligned,
    /// The pointer lies in this allocator's memory, where no block has been handed out yet.
    NeverAllocated,
    /// The pointer lies in memory that is not this allocator's: a stack, a static, another allocator, a mapping.
    Foreign,
    /// The pointer cannot be an address of a program at all: the null page, the kernel's half, a tagged pointer.
    Wild,
    /// A link in a free block is not the one that was written there: something wrote into freed memory.
    CorruptedFreeList,
    /// More was written to a block than was requested: its canary has changed.
    BufferOverflow,
    /// A freed block was written to: it was wiped then, and is not found wiped now.
    WriteAfterFree,
    /// The `Layout` given for a block is not the one that it was allocated with.
    WrongLayout,
    /// The size given for a block is not the one that was requested.
    WrongSize,
    /// A block came from one of C++'s operators, and went back to another's: `new` and `delete[]`, or `new[]` and `delete`.
    MismatchedDeallocation,
    /// A freed block was used: its size was asked, or it was to be resized; or, where it stood alone between guards, it was read or
    /// written.
    UseAfterFree,
    /// A block was read or written before its start, or what lies there has changed.
    BufferUnderflow,
    /// A handle names no living heap: it was deleted or destroyed, its thread has ended, or it never was one.
    DeadHeap,
    /// A heap was used by another thread than its own.
    ForeignHeap,
    /// The operating system gave no random bytes: without a secret there is no going on.
    NoRandomness,
    /// An invariant of the allocator does not hold: its own records were overwritten, or it has a bug.
    Internal,
}

impl Kind {
    /// The words of a report, such as `double free`. They do not change between versions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::DoubleFree => "double free",
            Kind::InteriorPointer => "invalid free (interior pointer)",
            Kind::Misaligned => "invalid free (misaligned pointer)",
            Kind::NeverAllocated => "invalid free (never allocated)",
            Kind::Foreign => "invalid free (foreign pointer)",
            Kind::Wild => "invalid free (wild pointer)",
            Kind::CorruptedFreeList => "corrupted free list",
            Kind::BufferOverflow => "buffer overflow",
            Kind::WriteAfterFree => "write after free",
            Kind::WrongLayout => "wrong layout",
            Kind::WrongSize => "wrong size",
            Kind::MismatchedDeallocation => "mismatched deallocation",
            Kind::UseAfterFree => "use after free",
            Kind::BufferUnderflow => "buffer underflow",
            Kind::DeadHeap => "dead heap",
            Kind::ForeignHeap => "foreign heap",
            Kind::NoRandomness => "no source of randomness",
            Kind::Internal => "internal error",
        }
    }

    /// Whether the words already say that it was a free.
    pub(crate) const fn names_a_free(self) -> bool {
        match self {
            Kind::DoubleFree
            | Kind::InteriorPointer
            | Kind::Misaligned
            | Kind::NeverAllocated
            | Kind::Foreign
            | Kind::Wild
            | Kind::MismatchedDeallocation => true,
            Kind::CorruptedFreeList
            | Kind::BufferOverflow
            | Kind::WriteAfterFree
            | Kind::WrongLayout
            | Kind::WrongSize
            | Kind::UseAfterFree
            | Kind::BufferUnderflow
            | Kind::DeadHeap
            | Kind::ForeignHeap
            | Kind::NoRandomness
            | Kind::Internal => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The call in which it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `free`, `delete` and their kin: a block comes back without a `Layout`.
    Free,
    /// `realloc` in any form.
    Realloc,
    /// A question about a block's size, or `expand`.
    UsableSize,
    /// `GlobalAlloc::dealloc`: a block comes back with its `Layout`.
    Dealloc,
    /// An allocation.
    Malloc,
    /// Memory was being collected.
    Collect,
    /// The heap was being verified.
    CheckHeap,
    /// The process was about to exit, and the heap being verified.
    Exit,
    /// The program itself read memory.
    Read,
    /// The program itself wrote to memory.
    Write,
    /// The program itself did one or the other: the processor does not say which.
    Access,
    /// A heap was to become the thread's default.
    SetDefault,
    /// A heap was to end, and its blocks to go to another.
    HeapDelete,
    /// A heap was to end with all its blocks.
    HeapDestroy,
    /// A heap was asked about its blocks.
    HeapVisit,
}

impl Operation {
    /// The name of the operation, as a report writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Operation::Free => "free",
            Operation::Realloc => "realloc",
            Operation::UsableSize => "usable_size",
            Operation::Dealloc => "dealloc",
            Operation::Malloc => "malloc",
            Operation::Collect => "collect",
            Operation::CheckHeap => "check_heap",
            Operation::Exit => "exit",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Access => "access",
            Operation::SetDefault => "heap_set_default",
            Operation::HeapDelete => "heap_delete",
            Operation::HeapDestroy => "heap_destroy",
            Operation::HeapVisit => "heap_visit",
        }
    }

    /// Whether it is no call, but what the program does with its memory.
    pub(crate) const fn is_an_access(self) -> bool {
        matches!(self, Operation::Read | Operation::Write | Operation::Access)
    }

    /// Whether it gives a block back.
    pub(crate) const fn is_a_free(self) -> bool {
        matches!(self, Operation::Free | Operation::Dealloc)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
