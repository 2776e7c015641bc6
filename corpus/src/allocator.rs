//! The allocator under test: what a case may ask of it.
//!
//! The cases know no allocator. Whoever plays them says at its start which one it is: the tests of the columns say Ravelin, and the program `corpus`
//! says whatever `malloc` its process has, its own C library's or a preloaded one's.

use crate::operators::{OF_THE_PROCESS, Operators};
use std::sync::OnceLock;

/// How thoroughly memory is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collect {
    /// What other threads have freed.
    Gently,
    /// All that is free.
    Fully,
}

/// What is wrong with a heap.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    /// Where, as the allocator says. Words would take memory from the heap that is damaged.
    pub address: usize,
}

/// The functions of an allocator.
#[derive(Clone, Copy, Debug)]
pub struct Allocator {
    /// Bytes, aligned to 16.
    pub allocate: fn(usize) -> *mut u8,
    /// The same, zeroed.
    pub allocate_zeroed: fn(usize) -> *mut u8,
    /// Size and alignment; null if that is none.
    pub allocate_aligned: fn(usize, usize) -> *mut u8,
    /// Frees.
    pub free: unsafe fn(*mut u8),
    /// C's realloc.
    pub reallocate: unsafe fn(*mut u8, usize) -> *mut u8,
    /// Bytes that there is room for.
    pub usable_size: unsafe fn(*mut u8) -> usize,
    /// Bytes from one block of a size to its neighbour.
    pub step: fn(usize) -> usize,
    /// Gives memory back.
    pub collect: fn(Collect),
    /// Whether a live block starts there, if it can tell without harm.
    pub owns: Option<fn(*const u8) -> bool>,
    /// Verifies the heap, if it can.
    pub check: Option<fn() -> Result<(), Damage>>,
    /// C++'s.
    pub operators: Operators,
    /// Whether it has the defence of this name. Takes no memory.
    pub has: fn(&str) -> bool,
}

static CURRENT: OnceLock<Allocator> = OnceLock::new();

/// Says what is under test, before anything else. The first to say so is believed.
pub fn choose(allocator: Allocator) {
    CURRENT.get_or_init(|| allocator);
}

/// What is under test.
///
/// # Panics
/// If nobody has said.
pub fn current() -> &'static Allocator {
    CURRENT.get().expect("main has chosen one")
}

/// Bytes from one block of a size to its neighbour.
pub fn step(size: usize) -> usize {
    (current().step)(size)
}

/// Gives memory back.
pub fn collect(how: Collect) {
    (current().collect)(how);
}

/// Whether a live block starts there; true where that cannot be told.
pub fn owns(pointer: *const u8) -> bool {
    current().owns.is_none_or(|owns| owns(pointer))
}

/// Verifies the heap; sound where that cannot be told.
///
/// # Errors
/// What is wrong with it.
pub fn check() -> Result<(), Damage> {
    current().check.map_or(Ok(()), |check| check())
}

/// Whether this build has a defence.
pub fn has(mitigation: &str) -> bool {
    (current().has)(mitigation)
}

/// The `malloc` that this process has.
#[must_use]
pub fn of_the_process() -> Allocator {
    // SAFETY: any size will do.
    fn allocate(size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { libc::malloc(size) }.cast()
    }
    fn allocate_zeroed(size: usize) -> *mut u8 {
        // SAFETY: any size will do.
        unsafe { libc::calloc(1, size) }.cast()
    }
    fn allocate_aligned(size: usize, align: usize) -> *mut u8 {
        let mut block = core::ptr::null_mut();
        // SAFETY: writes to the pointer that it is given.
        let failed = unsafe { libc::posix_memalign(&raw mut block, align.max(size_of::<usize>()), size) };
        if failed == 0 { block.cast() } else { core::ptr::null_mut() }
    }
    unsafe fn free(block: *mut u8) {
        // SAFETY: the caller's affair.
        unsafe { libc::free(block.cast()) };
    }
    unsafe fn reallocate(block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller's affair.
        unsafe { libc::realloc(block.cast(), size) }.cast()
    }
    unsafe fn usable_size(block: *mut u8) -> usize {
        // SAFETY: the caller's affair.
        unsafe { libc::malloc_usable_size(block.cast()) }
    }
    fn step(size: usize) -> usize {
        let block = allocate(size);
        // SAFETY: a live block.
        let usable = unsafe { usable_size(block) };
        // SAFETY: as above.
        unsafe { free(block) };
        usable.next_multiple_of(16)
    }
    fn collect(how: Collect) {
        if how == Collect::Fully {
            // SAFETY: gives memory back.
            unsafe { libc::malloc_trim(0) };
        }
    }
    Allocator {
        allocate,
        allocate_zeroed,
        allocate_aligned,
        free,
        reallocate,
        usable_size,
        step,
        collect,
        owns: None,
        check: None,
        operators: OF_THE_PROCESS,
        has: |_| false,
    }
}
