//! First-class heaps.
//!
//! A heap is named by a handle, which a program sees as a pointer. Null stands for the heap that could not be made: it has no memory, and
//! whatever else is asked of it is nothing. A dead heap's handle, or a foreign thread's where the heap's own is demanded, ends
//! the process.

use core::ffi::{c_char, c_void};
use core::ptr::null_mut;

use engine::raw::{self, Collect, HeapArea, HeapHandle, Visit, Visited};

use super::aligned::{NO_ALIGNMENT, missed_by};
use super::basic::{end_if_empty, with_an_end};
use super::offset::{heap_resize_at, heap_resize_zeroed_at};
use super::strings::{copy, resolve};
use crate::arch;
use crate::cxx;
use crate::errno::{not_aligned, or_failure, or_no_memory, too_many};

/// Gets a heap, a page of it, a block (null for the page itself), the size of its blocks, and what the program likes.
type BlockVisitFun = unsafe extern "C" fn(Option<HeapHandle>, *const HeapArea, *mut c_void, usize, *mut c_void) -> bool;

/// A block from the heap, if there is one.
#[inline(always)]
pub(super) fn from(heap: Option<HeapHandle>, work: impl FnOnce(HeapHandle) -> *mut u8) -> *mut u8 {
    heap.map_or(null_mut(), work)
}

/// `heap_malloc`, for the functions of this library.
#[inline(always)]
fn give(heap: Option<HeapHandle>, size: usize) -> *mut c_void {
    or_no_memory(from(heap, |heap| raw::heap_allocate(heap, size)), size)
}

/// `heap_zalloc`, for the functions of this library.
fn give_zeroed(heap: Option<HeapHandle>, size: usize) -> *mut c_void {
    or_no_memory(from(heap, |heap| raw::heap_allocate_zeroed(heap, size)), size)
}

/// `heap_realloc`, for the functions of this library.
///
/// # Safety
/// - `block` is null or a live block. Unless the answer is null, the old pointer is dead.
pub(super) unsafe fn resize(heap: Option<HeapHandle>, block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise, which the engine checks besides.
    let moved = from(heap, |heap| unsafe { raw::heap_reallocate(heap, block.cast(), with_an_end(size)) });
    // SAFETY: null or a block of that size, the caller's.
    unsafe { end_if_empty(moved, size) };
    or_no_memory(moved, size)
}

/// `heap_rezalloc`, for the functions of this library.
///
/// # Safety
/// - As for `resize`.
pub(super) unsafe fn resize_zeroed(heap: Option<HeapHandle>, block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise, which the engine checks besides.
    or_no_memory(from(heap, |heap| unsafe { raw::heap_reallocate_zeroed(heap, block.cast(), size) }), size)
}

/// `heap_realloc_aligned`, for the functions of this library.
///
/// # Safety
/// - As for `resize`.
unsafe fn resize_aligned(heap: Option<HeapHandle>, block: *mut c_void, size: usize, align: usize) -> *mut c_void {
    if align <= NO_ALIGNMENT {
        // SAFETY: the caller's promise.
        return unsafe { resize(heap, block, size) };
    }
    if !align.is_power_of_two() {
        return not_aligned();
    }
    // SAFETY: the caller's promise.
    unsafe { heap_resize_at(heap, block, size, align, missed_by(block, align)) }
}

/// `heap_rezalloc_aligned`, for the functions of this library.
///
/// # Safety
/// - As for `resize`.
unsafe fn resize_zeroed_aligned(
    heap: Option<HeapHandle>,
    block: *mut c_void,
    size: usize,
    align: usize,
) -> *mut c_void {
    if align <= NO_ALIGNMENT {
        // SAFETY: the caller's promise.
        return unsafe { resize_zeroed(heap, block, size) };
    }
    if !align.is_power_of_two() {
        return not_aligned();
    }
    // SAFETY: the caller's promise.
    unsafe { heap_resize_zeroed_at(heap, block, size, align, missed_by(block, align)) }
}

/// What `collect` is told.
fn how(force: bool) -> Collect {
    if force { Collect::Fully } else { Collect::Gently }
}

export! {
    /// A new heap of the calling thread; null without memory.
    fn heap_new() -> Option<HeapHandle> {
        raw::heap_new()
    }

    /// Ends a heap. Its live blocks move to the thread's backing heap.
    fn heap_delete(heap: Option<HeapHandle>) {
        if let Some(heap) = heap {
            raw::heap_delete(heap);
        }
    }

    /// Ends a heap and frees all its blocks.
    ///
    /// # Safety
    /// - Nobody uses its blocks any more.
    unsafe fn heap_destroy(heap: Option<HeapHandle>) {
        if let Some(heap) = heap {
            // SAFETY: the caller's promise.
            unsafe { raw::heap_destroy(heap) };
        }
    }

    /// Makes a heap the one that plain calls of this thread take. Returns the one before; null changes nothing.
    fn heap_set_default(heap: Option<HeapHandle>) -> Option<HeapHandle> {
        heap.map(raw::heap_set_default)
    }

    /// The heap that plain calls of this thread take.
    fn heap_get_default() -> Option<HeapHandle> {
        raw::heap_default()
    }

    /// The thread's first heap, which stays.
    fn heap_get_backing() -> Option<HeapHandle> {
        raw::heap_backing()
    }

    /// Gives back what the heap can give back.
    fn heap_collect(heap: Option<HeapHandle>, force: bool) {
        if let Some(heap) = heap {
            raw::heap_collect(heap, how(force));
        }
    }

    /// Whether a live block of the heap starts there. Harmless for any pointer.
    fn heap_contains_block(heap: Option<HeapHandle>, pointer: *const c_void) -> bool {
        heap.is_some_and(|heap| raw::heap_contains(heap, pointer.cast()))
    }

    /// Whether the pointer lies in a page of the heap. Harmless for any pointer.
    fn heap_check_owned(heap: Option<HeapHandle>, pointer: *const c_void) -> bool {
        heap.is_some_and(|heap| raw::heap_check_owned(heap, pointer.cast()))
    }

    /// The same for the thread's default heap.
    fn check_owned(pointer: *const c_void) -> bool {
        raw::heap_default().is_some_and(|heap| raw::heap_check_owned(heap, pointer.cast()))
    }

    /// Shows each page of a heap to `visitor`, and with `blocks` each live block in it. False if the visitor stopped, or if there
    /// was no page. The visitor may free blocks, and allocate.
    ///
    /// # Safety
    /// - `visitor` may be called with that argument.
    unsafe fn heap_visit_blocks(
        heap: Option<HeapHandle>,
        blocks: bool,
        visitor: Option<BlockVisitFun>,
        argument: *mut c_void,
    ) -> bool {
        let (Some(named), Some(visitor)) = (heap, visitor) else { return false };
        let what = if blocks { Visit::Blocks } else { Visit::Areas };
        raw::heap_visit(named, what, &mut |shown| {
            let (area, block, size) = match shown {
                Visited::Area(area) => (area, null_mut(), area.block_size),
                Visited::Block(area, block, size) => (area, block.as_ptr().cast(), size),
            };
            // SAFETY: a function of the program's, which the caller gave with this argument; the area lives as long as the call.
            unsafe { visitor(heap, &raw const *area, block, size, argument) }
        })
    }

    /// `malloc`, from a heap.
    fn heap_malloc(heap: Option<HeapHandle>, size: usize) -> *mut c_void {
        give(heap, size)
    }

    /// `malloc_small`, from a heap.
    fn heap_malloc_small(heap: Option<HeapHandle>, size: usize) -> *mut c_void {
        give(heap, size)
    }

    /// `zalloc`, from a heap.
    fn heap_zalloc(heap: Option<HeapHandle>, size: usize) -> *mut c_void {
        give_zeroed(heap, size)
    }

    /// `calloc`, from a heap.
    fn heap_calloc(heap: Option<HeapHandle>, count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            Some(bytes) => give_zeroed(heap, bytes),
            None => too_many(),
        }
    }

    /// `mallocn`, from a heap.
    fn heap_mallocn(heap: Option<HeapHandle>, count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            Some(bytes) => give(heap, bytes),
            None => too_many(),
        }
    }

    /// `realloc`, into a heap. The old block may be of any heap.
    ///
    /// # Safety
    /// - `block` is null or a live block. Unless the answer is null, the old pointer is dead.
    unsafe fn heap_realloc(heap: Option<HeapHandle>, block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize(heap, block, size) }
    }

    /// `reallocn`, into a heap.
    ///
    /// # Safety
    /// - As for `heap_realloc`.
    unsafe fn heap_reallocn(heap: Option<HeapHandle>, block: *mut c_void, count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize(heap, block, bytes) },
            None => too_many(),
        }
    }

    /// `reallocf`, into a heap.
    ///
    /// # Safety
    /// - `block` is null or a live block. It is dead afterwards, unless it is the answer.
    unsafe fn heap_reallocf(heap: Option<HeapHandle>, block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        let moved = unsafe { resize(heap, block, size) };
        if moved.is_null() {
            // SAFETY: a failed resize leaves the block as it was (null or live), and the caller gave it up.
            unsafe { raw::free(block.cast()) };
        }
        moved
    }

    /// `rezalloc`, into a heap.
    ///
    /// # Safety
    /// - As for `heap_realloc`.
    unsafe fn heap_rezalloc(heap: Option<HeapHandle>, block: *mut c_void, size: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize_zeroed(heap, block, size) }
    }

    /// `recalloc`, into a heap.
    ///
    /// # Safety
    /// - As for `heap_realloc`.
    unsafe fn heap_recalloc(heap: Option<HeapHandle>, block: *mut c_void, count: usize, size: usize) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize_zeroed(heap, block, bytes) },
            None => too_many(),
        }
    }

    /// `strdup`, into a heap.
    ///
    /// # Safety
    /// - `text` is null or a C string.
    unsafe fn heap_strdup(heap: Option<HeapHandle>, text: *const c_char) -> *mut c_char {
        // SAFETY: the caller's promise.
        unsafe { copy(text, usize::MAX, |size| give(heap, size)) }
    }

    /// `strndup`, into a heap.
    ///
    /// # Safety
    /// - `text` is null, a C string, or `most` bytes.
    unsafe fn heap_strndup(heap: Option<HeapHandle>, text: *const c_char, most: usize) -> *mut c_char {
        // SAFETY: the caller's promise.
        unsafe { copy(text, most, |size| give(heap, size)) }
    }

    /// `realpath`, into a heap.
    ///
    /// # Safety
    /// - `path` is null or a C string; `place` is null or has room for PATH_MAX bytes.
    unsafe fn heap_realpath(heap: Option<HeapHandle>, path: *const c_char, place: *mut c_char) -> *mut c_char {
        // SAFETY: the caller's promise.
        unsafe { resolve(path, place, |size| give(heap, size)) }
    }

    /// `malloc_aligned`, from a heap.
    fn heap_malloc_aligned(heap: Option<HeapHandle>, size: usize, align: usize) -> *mut c_void {
        or_failure(from(heap, |heap| raw::heap_allocate_aligned(heap, size, align)), size, align)
    }

    /// `zalloc_aligned`, from a heap.
    fn heap_zalloc_aligned(heap: Option<HeapHandle>, size: usize, align: usize) -> *mut c_void {
        or_failure(from(heap, |heap| raw::heap_allocate_aligned_zeroed(heap, size, align)), size, align)
    }

    /// `calloc_aligned`, from a heap.
    fn heap_calloc_aligned(heap: Option<HeapHandle>, count: usize, size: usize, align: usize) -> *mut c_void {
        match count.checked_mul(size) {
            Some(bytes) => or_failure(from(heap, |heap| raw::heap_allocate_aligned_zeroed(heap, bytes, align)), bytes, align),
            None => too_many(),
        }
    }

    /// `realloc_aligned`, into a heap.
    ///
    /// # Safety
    /// - As for `heap_realloc`.
    unsafe fn heap_realloc_aligned(
        heap: Option<HeapHandle>,
        block: *mut c_void,
        size: usize,
        align: usize,
    ) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize_aligned(heap, block, size, align) }
    }

    /// `rezalloc_aligned`, into a heap.
    ///
    /// # Safety
    /// - As for `heap_realloc`.
    unsafe fn heap_rezalloc_aligned(
        heap: Option<HeapHandle>,
        block: *mut c_void,
        size: usize,
        align: usize,
    ) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { resize_zeroed_aligned(heap, block, size, align) }
    }

    /// `recalloc_aligned`, into a heap.
    ///
    /// # Safety
    /// - As for `heap_realloc`.
    unsafe fn heap_recalloc_aligned(
        heap: Option<HeapHandle>,
        block: *mut c_void,
        count: usize,
        size: usize,
        align: usize,
    ) -> *mut c_void {
        match count.checked_mul(size) {
            // SAFETY: the caller's promise.
            Some(bytes) => unsafe { resize_zeroed_aligned(heap, block, bytes, align) },
            None => too_many(),
        }
    }

    /// `new`, from a heap: the new-handler is asked, and `std::bad_alloc` thrown.
    fn heap_alloc_new(heap: Option<HeapHandle>, size: usize) -> *mut c_void {
        let block = from(heap, |heap| raw::heap_allocate(heap, size));
        if block.is_null() {
            // SAFETY: the last act of this function, and `again` takes these arguments.
            return unsafe { arch::failed(size, 0, word(heap), retry(heap)) };
        }
        block.cast()
    }

    /// `new_n`, from a heap.
    fn heap_alloc_new_n(heap: Option<HeapHandle>, count: usize, size: usize) -> *mut c_void {
        let Some(bytes) = count.checked_mul(size) else {
            // SAFETY: the last act of this function.
            return unsafe { arch::too_many() };
        };
        let block = from(heap, |heap| raw::heap_allocate(heap, bytes));
        if block.is_null() {
            // SAFETY: the last act of this function, and `again` takes these arguments.
            return unsafe { arch::failed(bytes, 0, word(heap), retry(heap)) };
        }
        block.cast()
    }
}

/// `heap_alloc_new`, or null for whatever that throws, as the last argument says. mimalloc exports it undeclared, and so is it here.
#[unsafe(no_mangle)]
extern "C" fn mi_heap_try_new(heap: Option<HeapHandle>, size: usize, nothrow: bool) -> *mut c_void {
    let block = from(heap, |heap| raw::heap_allocate(heap, size));
    if !block.is_null() {
        return block.cast();
    }
    if nothrow {
        return cxx::caught_in(new_in as *mut c_void, size, word(heap).addr());
    }
    // SAFETY: the last act of this function, and `again` takes these arguments.
    unsafe { arch::failed(size, 0, word(heap), retry(heap)) }
}

/// `heap_alloc_new` for one that calls it under a `catch`.
extern "C" fn new_in(size: usize, heap: usize) -> *mut c_void {
    let heap = core::ptr::without_provenance_mut::<c_void>(heap);
    // SAFETY: the last act of this function, and `again` takes these arguments.
    unsafe { arch::failed(size, 0, heap, retry(handle(heap))) }
}

/// A heap that could not be made cannot be helped by a handler.
fn retry(heap: Option<HeapHandle>) -> Option<cxx::Retry> {
    heap.map(|_| again as cxx::Retry)
}

/// Every try but the first.
extern "C" fn again(size: usize, _: usize, heap: *mut c_void) -> *mut c_void {
    from(handle(heap), |heap| raw::heap_allocate(heap, size)).cast()
}

/// A handle as a word that goes through assembly.
fn word(heap: Option<HeapHandle>) -> *mut c_void {
    // SAFETY: a handle is a pointer that is not null, in a transparent wrapper; none is null.
    unsafe { core::mem::transmute::<Option<HeapHandle>, *mut c_void>(heap) }
}

/// The handle that was made a word.
fn handle(word: *mut c_void) -> Option<HeapHandle> {
    // SAFETY: as in `word`. The engine looks a handle up before it believes it.
    unsafe { core::mem::transmute::<*mut c_void, Option<HeapHandle>>(word) }
}
