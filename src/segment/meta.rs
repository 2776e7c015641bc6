//! Memory for metadata: mappings at random addresses, with guards on both sides, that are never given back.

use super::space::{Locked, dice};
use crate::mitigations::MITIGATIONS;
use crate::os::{self, Errno, Span};
use crate::sync::{AtomicPtr, AtomicUsize, Relaxed};
use core::ptr::{self, NonNull};

/// What may lie in metadata.
///
/// # Safety
/// - all bytes zero is a valid value, which may be shared between threads.
pub(crate) unsafe trait Zeroed: Sync + 'static {}

/// Small pieces share mappings of this size.
const SLAB: usize = 256 * 1024;

struct Slab {
    next: AtomicPtr<u8>,
    left: AtomicUsize,
}

static SLAB_NOW: Slab = Slab { next: AtomicPtr::new(ptr::null_mut()), left: AtomicUsize::new(0) };

static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes of accessible metadata.
pub(crate) fn bytes() -> usize {
    BYTES.load(Relaxed)
}

/// So many bytes more are accessible.
pub(super) fn add_bytes(bytes: usize, _locked: &Locked) {
    BYTES.store(self::bytes().wrapping_add(bytes), Relaxed);
}

/// A random address to wish for: anywhere in the lower three quarters of the user's half, so that it is rarely refused.
pub(crate) fn random_hint(align: usize, _locked: &Locked) -> usize {
    let low = 1_u64 << (os::ADDRESS_BITS - 6);
    let high = 3_u64 << (os::ADDRESS_BITS - 2);
    let address = low.wrapping_add(dice().next_u64() % (high - low));
    (address as usize) & !(align.wrapping_sub(1))
}

/// A mapping of `len` bytes of zeros between guards.
fn mapping(len: usize, locked: &Locked) -> Result<Span, Errno> {
    let page = os::page_size();
    let len = len.next_multiple_of(page);
    let whole = os::reserve(len.wrapping_add(page.wrapping_mul(2)), page, Some(random_hint(page, locked)))?;
    let Some(inner) = whole.part(page, len) else { return Err(Errno::NOMEM) };
    // SAFETY: just reserved, and nobody else's.
    match unsafe { os::open(inner) } {
        Ok(()) => {
            if MITIGATIONS.sealed {
                // SAFETY: with its guards the mapping stays as it is for ever.
                let _ = unsafe { os::seal(whole) }; // counted where it is refused
            }
            add_bytes(len, locked);
            Ok(inner)
        }
        Err(error) => {
            // SAFETY: as above; it is not used.
            unsafe { os::release(whole) };
            Err(error)
        }
    }
}

/// A `T` of zeros, in a mapping of its own if it is large.
pub(crate) fn allocate<T: Zeroed>(locked: &Locked) -> Result<&'static T, Errno> {
    let start = if size_of::<T>() >= SLAB / 4 { mapping(size_of::<T>(), locked)?.start() } else { carve::<T>(locked)? };
    // SAFETY: zeroed memory of the size and alignment of a T, never given back, and T says that zero is valid.
    Ok(unsafe { start.cast::<T>().as_ref() })
}

/// Cuts a piece off the slab.
fn carve<T>(locked: &Locked) -> Result<NonNull<u8>, Errno> {
    // Whole cache-line pairs, so that no two pieces share one.
    let size = size_of::<T>().next_multiple_of(128);
    if SLAB_NOW.left.load(Relaxed) < size {
        let slab = mapping(SLAB, locked)?;
        SLAB_NOW.next.store(slab.start().as_ptr(), Relaxed);
        SLAB_NOW.left.store(slab.len(), Relaxed);
    }
    let start = SLAB_NOW.next.load(Relaxed);
    SLAB_NOW.next.store(start.wrapping_add(size), Relaxed);
    SLAB_NOW.left.store(SLAB_NOW.left.load(Relaxed).wrapping_sub(size), Relaxed);
    NonNull::new(start).ok_or(Errno::NOMEM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy;
    use crate::os::testing::{Birth, Ending, in_child};
    use crate::segment::space::lock;
    use crate::segment::{SingleShape, allocate_single, map};

    #[repr(C, align(4096))]
    struct Large([crate::sync::AtomicU64; SLAB / 8]);

    // SAFETY: atomics, for which zero is valid.
    unsafe impl Zeroed for Large {}

    /// The attack: whoever can make system calls of his choice puts the page at `place` out of reach, or another in its place. How it ends,
    /// and how it must.
    fn taken_away(place: *mut u8) -> (Option<Ending>, Option<Ending>) {
        let page = |start: *mut u8| {
            let start = start.map_addr(|address| address & os::page_size().wrapping_neg());
            // SAFETY: one page, in a mapping of the allocator's.
            unsafe { Span::new(NonNull::new(start).unwrap(), os::page_size()) }
        };
        let probe = os::reserve(os::page_size(), os::page_size(), None).unwrap();
        // SAFETY: a page of this test's, which is never used.
        let can_seal = unsafe { os::seal(probe) }.is_ok();
        let ending = in_child(Birth::Fork, || {
            // SAFETY: the child does nothing else.
            i32::from(unsafe { os::close(page(place)) }.is_ok())
        });
        (ending, Some(Ending::Exit(i32::from(!(MITIGATIONS.sealed && can_seal)))))
    }

    #[test]
    #[cfg_attr(any(miri, ravelin_mock), ignore = "protections are bookkeeping")]
    fn metadata_the_secret_and_the_map_can_be_taken_away_unless_they_are_sealed() {
        let large = allocate::<Large>(&lock()).unwrap();
        let shape = SingleShape::of(1 << 20, 16).unwrap();
        let block = allocate_single(&shape, 1 << 20, None).unwrap();
        for place in [ptr::from_ref(large).cast_mut().cast(), entropy::place(), map::place_of(block.start.as_ptr())] {
            let (ending, must) = taken_away(place);
            assert_eq!(ending, must);
        }
    }
}
