/* ravelin.h: Ravelin's interface in C and C++.
 *
 *     #include <ravelin.h>
 *     char* name = rv_strdup("who");
 *     rv_free(name);
 *
 * Blocks of malloc, operator new and these functions are of one kind: any of the ways to free takes any of them.
 *
 * A misuse of memory (a second free, a pointer that is no live block, a dead heap, memory that was written to after it was freed)
 * ends the process with SIGABRT in the guilty call, after a line on stderr that says what it was. What a build checks, tells
 * rv_has_mitigation.
 *
 * All functions may be called by any thread at any time, but those of heaps where it says so. A call that finds no memory gives
 * NULL, sets errno to ENOMEM and leaves old blocks as they were. Sizes are in bytes.
 *
 * mimalloc.h declares the same functions as mimalloc has them.
 */
#ifndef RAVELIN_H
#define RAVELIN_H

/* The version of mimalloc whose functions these are: 2.1.7. */
#define RV_MIMALLOC_VERSION 217

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- What compilers like to know --------------------------------------------------------------------------------- */

#if defined(__cplusplus) && __cplusplus >= 201103L
#define rv_attr_noexcept noexcept
#elif defined(__cplusplus)
#define rv_attr_noexcept throw()
#else
#define rv_attr_noexcept
#endif

#if defined(__cplusplus) && __cplusplus >= 201703L
#define rv_decl_nodiscard [[nodiscard]]
#elif defined(__GNUC__)
#define rv_decl_nodiscard __attribute__((warn_unused_result))
#else
#define rv_decl_nodiscard
#endif

#if defined(__GNUC__)
#define rv_decl_export __attribute__((visibility("default")))
#define rv_attr_malloc __attribute__((malloc))
#define rv_attr_alloc_size(size) __attribute__((alloc_size(size)))
#define rv_attr_alloc_size2(count, size) __attribute__((alloc_size(count, size)))
#define rv_attr_alloc_align(align) __attribute__((alloc_align(align)))
#else
#define rv_decl_export
#define rv_attr_malloc
#define rv_attr_alloc_size(size)
#define rv_attr_alloc_size2(count, size)
#define rv_attr_alloc_align(align)
#endif
/* These two have a meaning on Windows only. */
#define rv_decl_restrict
#define rv_cdecl

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

/* Size 0 gives a block of its own. Blocks are aligned to 16 bytes. */
rv_decl_nodiscard rv_decl_export void* rv_malloc(size_t size) rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size(1);
/* The whole block is zero, also what it has beyond the size that was asked for. */
rv_decl_nodiscard rv_decl_export void* rv_zalloc(size_t size) rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_calloc(size_t count, size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size2(1, 2);
rv_decl_nodiscard rv_decl_export void* rv_mallocn(size_t count, size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size2(1, 2);

/* For what will hold no pointer: text, pixels, what the network sends. In the paranoid build (and wherever rv_has_mitigation("partition"))
 * such blocks never lie where others have lain, so that a stale pointer to a struct with pointers never leads to bytes that somebody else
 * chooses; elsewhere they are blocks like any other. Resized and freed by the same functions as all blocks; they stay apart. */
rv_decl_nodiscard rv_decl_export void* rv_malloc_data(size_t size) rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_calloc_data(size_t count, size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size2(1, 2);

/* For sizes up to RV_SMALL_SIZE_MAX; larger ones work too. */
#define RV_SMALL_WSIZE_MAX 128
#define RV_SMALL_SIZE_MAX (RV_SMALL_WSIZE_MAX * sizeof(void*))
rv_decl_nodiscard rv_decl_export void* rv_malloc_small(size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_zalloc_small(size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(1);

/* The block itself if it has room for the new size, else NULL. */
rv_decl_export void* rv_expand(void* p, size_t newsize) rv_attr_noexcept rv_attr_alloc_size(2);
/* NULL is malloc; size 0 gives a block of its own. On failure p stays as it was, but rv_reallocf frees it. */
rv_decl_nodiscard rv_decl_export void* rv_realloc(void* p, size_t newsize) rv_attr_noexcept rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_reallocn(void* p, size_t count, size_t size) rv_attr_noexcept
    rv_attr_alloc_size2(2, 3);
rv_decl_nodiscard rv_decl_export void* rv_reallocf(void* p, size_t newsize) rv_attr_noexcept rv_attr_alloc_size(2);
/* For blocks that were zero when they were new: what is added is zero. */
rv_decl_nodiscard rv_decl_export void* rv_rezalloc(void* p, size_t newsize) rv_attr_noexcept rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_recalloc(void* p, size_t newcount, size_t size) rv_attr_noexcept
    rv_attr_alloc_size2(2, 3);

rv_decl_export void rv_free(void* p) rv_attr_noexcept;
/* Leaves pointers that are not this allocator's alone. */
rv_decl_export void rv_cfree(void* p) rv_attr_noexcept;
/* Size and alignment are hints that are not needed. */
rv_decl_export void rv_free_size(void* p, size_t size) rv_attr_noexcept;
rv_decl_export void rv_free_size_aligned(void* p, size_t size, size_t alignment) rv_attr_noexcept;
rv_decl_export void rv_free_aligned(void* p, size_t alignment) rv_attr_noexcept;

/* How much of a block may be used; 0 for NULL. */
rv_decl_nodiscard rv_decl_export size_t rv_usable_size(const void* p) rv_attr_noexcept;
/* How much a block of this size would really have. */
rv_decl_nodiscard rv_decl_export size_t rv_good_size(size_t size) rv_attr_noexcept;

/* ---- Strings ----------------------------------------------------------------------------------------------------- */

rv_decl_nodiscard rv_decl_export char* rv_strdup(const char* s) rv_attr_noexcept rv_attr_malloc;
rv_decl_nodiscard rv_decl_export char* rv_strndup(const char* s, size_t n) rv_attr_noexcept rv_attr_malloc;
rv_decl_nodiscard rv_decl_export char* rv_realpath(const char* fname, char* resolved_name) rv_attr_noexcept;

/* ---- Alignment --------------------------------------------------------------------------------------------------- */

/* The alignment is any power of two; others give NULL. With an offset, p + offset is aligned; then the alignment is at most
 * 16 MiB. When a block is resized, an alignment of 8 or less, even 0 or 3, means none; and one that the old block does not have
 * takes what the old block missed it by for an offset. */
rv_decl_nodiscard rv_decl_export void* rv_malloc_aligned(size_t size, size_t alignment) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(1) rv_attr_alloc_align(2);
rv_decl_nodiscard rv_decl_export void* rv_malloc_aligned_at(size_t size, size_t alignment, size_t offset) rv_attr_noexcept
    rv_attr_malloc rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_zalloc_aligned(size_t size, size_t alignment) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(1) rv_attr_alloc_align(2);
rv_decl_nodiscard rv_decl_export void* rv_zalloc_aligned_at(size_t size, size_t alignment, size_t offset) rv_attr_noexcept
    rv_attr_malloc rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_calloc_aligned(size_t count, size_t size, size_t alignment) rv_attr_noexcept
    rv_attr_malloc rv_attr_alloc_size2(1, 2) rv_attr_alloc_align(3);
rv_decl_nodiscard rv_decl_export void* rv_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset)
    rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size2(1, 2);
rv_decl_nodiscard rv_decl_export void* rv_realloc_aligned(void* p, size_t newsize, size_t alignment) rv_attr_noexcept
    rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_realloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset)
    rv_attr_noexcept rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_rezalloc_aligned(void* p, size_t newsize, size_t alignment) rv_attr_noexcept
    rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_rezalloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset)
    rv_attr_noexcept rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_recalloc_aligned(void* p, size_t newcount, size_t size, size_t alignment)
    rv_attr_noexcept rv_attr_alloc_size2(2, 3);
rv_decl_nodiscard rv_decl_export void* rv_recalloc_aligned_at(void* p, size_t newcount, size_t size, size_t alignment,
                                                              size_t offset) rv_attr_noexcept rv_attr_alloc_size2(2, 3);

/* ---- Functions of the program ------------------------------------------------------------------------------------ */

/* Called by slow paths of allocations, and by collections (then with force as they have it), where the program may free. */
typedef void(rv_cdecl rv_deferred_free_fun)(bool force, unsigned long long heartbeat, void* arg);
rv_decl_export void rv_register_deferred_free(rv_deferred_free_fun* deferred_free, void* arg) rv_attr_noexcept;

/* Gets all output in pieces, beginning with the first 32 KiB of what was written so far. NULL is stderr again. */
typedef void(rv_cdecl rv_output_fun)(const char* msg, void* arg);
rv_decl_export void rv_register_output(rv_output_fun* out, void* arg) rv_attr_noexcept;

/* Gets ENOMEM (no memory), EOVERFLOW (too large); and before the process ends, EAGAIN (second free), EINVAL (not a live block),
 * EFAULT (memory was overwritten). */
typedef void(rv_cdecl rv_error_fun)(int err, void* arg);
rv_decl_export void rv_register_error(rv_error_fun* fun, void* arg);

/* ---- The process ------------------------------------------------------------------------------------------------- */

rv_decl_export void rv_collect(bool force) rv_attr_noexcept;
rv_decl_export int rv_version(void) rv_attr_noexcept;
rv_decl_export void rv_stats_reset(void) rv_attr_noexcept;
rv_decl_export void rv_stats_merge(void) rv_attr_noexcept;
rv_decl_export void rv_stats_print(void* out) rv_attr_noexcept;
rv_decl_export void rv_stats_print_out(rv_output_fun* out, void* arg) rv_attr_noexcept;
rv_decl_export void rv_thread_stats_print_out(rv_output_fun* out, void* arg) rv_attr_noexcept;
/* Times in milliseconds, sizes in bytes; NULL leaves a figure out. */
rv_decl_export void rv_process_info(size_t* elapsed_msecs, size_t* user_msecs, size_t* system_msecs, size_t* current_rss,
                                    size_t* peak_rss, size_t* current_commit, size_t* peak_commit,
                                    size_t* page_faults) rv_attr_noexcept;

/* All of these happen by themselves. */
rv_decl_export void rv_process_init(void) rv_attr_noexcept;
rv_decl_export void rv_thread_init(void) rv_attr_noexcept;
rv_decl_export void rv_thread_done(void) rv_attr_noexcept;

/* ---- Heaps ------------------------------------------------------------------------------------------------------- */

/* A heap allocates for the thread that made it; any thread may free its blocks, with rv_free. The thread's first heap is its
 * backing heap, which always is. A heap that is gone, or allocation from another thread's heap, ends the process. */
struct rv_heap_s;
typedef struct rv_heap_s rv_heap_t;

rv_decl_nodiscard rv_decl_export rv_heap_t* rv_heap_new(void);
/* Its live blocks move to the backing heap. */
rv_decl_export void rv_heap_delete(rv_heap_t* heap);
/* All its blocks are freed. */
rv_decl_export void rv_heap_destroy(rv_heap_t* heap);
rv_decl_export rv_heap_t* rv_heap_set_default(rv_heap_t* heap);
rv_decl_export rv_heap_t* rv_heap_get_default(void);
rv_decl_export rv_heap_t* rv_heap_get_backing(void);
rv_decl_export void rv_heap_collect(rv_heap_t* heap, bool force) rv_attr_noexcept;

rv_decl_nodiscard rv_decl_export void* rv_heap_malloc(rv_heap_t* heap, size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_heap_zalloc(rv_heap_t* heap, size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_heap_calloc(rv_heap_t* heap, size_t count, size_t size) rv_attr_noexcept
    rv_attr_malloc rv_attr_alloc_size2(2, 3);
rv_decl_nodiscard rv_decl_export void* rv_heap_mallocn(rv_heap_t* heap, size_t count, size_t size) rv_attr_noexcept
    rv_attr_malloc rv_attr_alloc_size2(2, 3);
rv_decl_nodiscard rv_decl_export void* rv_heap_malloc_small(rv_heap_t* heap, size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(2);

rv_decl_nodiscard rv_decl_export void* rv_heap_realloc(rv_heap_t* heap, void* p, size_t newsize) rv_attr_noexcept
    rv_attr_alloc_size(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_reallocn(rv_heap_t* heap, void* p, size_t count, size_t size)
    rv_attr_noexcept rv_attr_alloc_size2(3, 4);
rv_decl_nodiscard rv_decl_export void* rv_heap_reallocf(rv_heap_t* heap, void* p, size_t newsize) rv_attr_noexcept
    rv_attr_alloc_size(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_rezalloc(rv_heap_t* heap, void* p, size_t newsize) rv_attr_noexcept
    rv_attr_alloc_size(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_recalloc(rv_heap_t* heap, void* p, size_t newcount, size_t size)
    rv_attr_noexcept rv_attr_alloc_size2(3, 4);

rv_decl_nodiscard rv_decl_export char* rv_heap_strdup(rv_heap_t* heap, const char* s) rv_attr_noexcept rv_attr_malloc;
rv_decl_nodiscard rv_decl_export char* rv_heap_strndup(rv_heap_t* heap, const char* s, size_t n) rv_attr_noexcept
    rv_attr_malloc;
rv_decl_nodiscard rv_decl_export char* rv_heap_realpath(rv_heap_t* heap, const char* fname, char* resolved_name)
    rv_attr_noexcept;

rv_decl_nodiscard rv_decl_export void* rv_heap_malloc_aligned(rv_heap_t* heap, size_t size, size_t alignment)
    rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size(2) rv_attr_alloc_align(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_malloc_aligned_at(rv_heap_t* heap, size_t size, size_t alignment,
                                                                 size_t offset) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_heap_zalloc_aligned(rv_heap_t* heap, size_t size, size_t alignment)
    rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size(2) rv_attr_alloc_align(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_zalloc_aligned_at(rv_heap_t* heap, size_t size, size_t alignment,
                                                                 size_t offset) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_heap_calloc_aligned(rv_heap_t* heap, size_t count, size_t size,
                                                              size_t alignment) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size2(2, 3) rv_attr_alloc_align(4);
rv_decl_nodiscard rv_decl_export void* rv_heap_calloc_aligned_at(rv_heap_t* heap, size_t count, size_t size,
                                                                 size_t alignment, size_t offset) rv_attr_noexcept
    rv_attr_malloc rv_attr_alloc_size2(2, 3);
rv_decl_nodiscard rv_decl_export void* rv_heap_realloc_aligned(rv_heap_t* heap, void* p, size_t newsize, size_t alignment)
    rv_attr_noexcept rv_attr_alloc_size(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_realloc_aligned_at(rv_heap_t* heap, void* p, size_t newsize,
                                                                  size_t alignment, size_t offset) rv_attr_noexcept
    rv_attr_alloc_size(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_rezalloc_aligned(rv_heap_t* heap, void* p, size_t newsize, size_t alignment)
    rv_attr_noexcept rv_attr_alloc_size(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_rezalloc_aligned_at(rv_heap_t* heap, void* p, size_t newsize,
                                                                   size_t alignment, size_t offset) rv_attr_noexcept
    rv_attr_alloc_size(3);
rv_decl_nodiscard rv_decl_export void* rv_heap_recalloc_aligned(rv_heap_t* heap, void* p, size_t newcount, size_t size,
                                                                size_t alignment) rv_attr_noexcept
    rv_attr_alloc_size2(3, 4);
rv_decl_nodiscard rv_decl_export void* rv_heap_recalloc_aligned_at(rv_heap_t* heap, void* p, size_t newcount, size_t size,
                                                                   size_t alignment, size_t offset) rv_attr_noexcept
    rv_attr_alloc_size2(3, 4);

/* ---- What lies where --------------------------------------------------------------------------------------------- */

/* Whether p is the start of a live block of the heap. Harmless for any pointer. */
rv_decl_export bool rv_heap_contains_block(rv_heap_t* heap, const void* p);
/* Whether p points into a page of the heap, to a live block or not. */
rv_decl_export bool rv_heap_check_owned(rv_heap_t* heap, const void* p);
rv_decl_export bool rv_check_owned(const void* p);
rv_decl_nodiscard rv_decl_export bool rv_is_in_heap_region(const void* p) rv_attr_noexcept;
rv_decl_nodiscard rv_decl_export bool rv_is_redirected(void) rv_attr_noexcept;

/* A page of a heap: used counts blocks, the others are bytes. */
typedef struct rv_heap_area_s {
    void* blocks;
    size_t reserved;
    size_t committed;
    size_t used;
    size_t block_size;
    size_t full_block_size;
} rv_heap_area_t;
/* Called with block NULL for each page, then (if all blocks are visited) for each live block in it. False stops. */
typedef bool(rv_cdecl rv_block_visit_fun)(const rv_heap_t* heap, const rv_heap_area_t* area, void* block,
                                          size_t block_size, void* arg);
rv_decl_export bool rv_heap_visit_blocks(const rv_heap_t* heap, bool visit_all_blocks, rv_block_visit_fun* visitor,
                                         void* arg);

/* ---- Arenas ------------------------------------------------------------------------------------------------------ */

/* An exclusive arena serves only heaps that were made in it. Memory that the caller brings stays where it is: it has no random
 * address, and no guards beyond its own ends. */
typedef int rv_arena_id_t;
rv_decl_export int rv_reserve_os_memory(size_t size, bool commit, bool allow_large) rv_attr_noexcept;
rv_decl_export int rv_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive,
                                           rv_arena_id_t* arena_id) rv_attr_noexcept;
rv_decl_export bool rv_manage_os_memory(void* start, size_t size, bool is_committed, bool is_large, bool is_zero,
                                        int numa_node) rv_attr_noexcept;
rv_decl_export bool rv_manage_os_memory_ex(void* start, size_t size, bool is_committed, bool is_large, bool is_zero,
                                           int numa_node, bool exclusive, rv_arena_id_t* arena_id) rv_attr_noexcept;
rv_decl_export int rv_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs) rv_attr_noexcept;
rv_decl_export int rv_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs, bool exclusive,
                                                  rv_arena_id_t* arena_id) rv_attr_noexcept;
rv_decl_export int rv_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs)
    rv_attr_noexcept;
/* Deprecated. */
rv_decl_export int rv_reserve_huge_os_pages(size_t pages, double max_secs, size_t* pages_reserved) rv_attr_noexcept;
rv_decl_export void* rv_arena_area(rv_arena_id_t arena_id, size_t* size);
rv_decl_nodiscard rv_decl_export rv_heap_t* rv_heap_new_in_arena(rv_arena_id_t arena_id);
rv_decl_export void rv_debug_show_arenas(bool show_inuse, bool show_abandoned, bool show_purge) rv_attr_noexcept;

/* ---- Options ----------------------------------------------------------------------------------------------------- */

typedef enum rv_option_e {
    rv_option_show_errors = 0,
    rv_option_show_stats = 1,
    rv_option_verbose = 2,
    rv_option_eager_commit = 3,              /* no meaning here */
    rv_option_arena_eager_commit = 4,        /* no meaning here */
    rv_option_purge_decommits = 5,           /* no meaning here */
    rv_option_allow_large_os_pages = 6,      /* no meaning here */
    rv_option_reserve_huge_os_pages = 7,     /* GiB, at the start */
    rv_option_reserve_huge_os_pages_at = 8,  /* -1 is any node */
    rv_option_reserve_os_memory = 9,         /* KiB, at the start */
    rv_option_deprecated_segment_cache = 10, /* no meaning here */
    rv_option_deprecated_page_reset = 11,    /* no meaning here */
    rv_option_abandoned_page_purge = 12,     /* no meaning here */
    rv_option_deprecated_segment_reset = 13, /* no meaning here */
    rv_option_eager_commit_delay = 14,       /* no meaning here */
    rv_option_purge_delay = 15,              /* ms; -1 is never */
    rv_option_use_numa_nodes = 16,           /* no meaning here */
    rv_option_disallow_os_alloc = 17,        /* no meaning here */
    rv_option_os_tag = 18,                   /* no meaning here */
    rv_option_max_errors = 19,
    rv_option_max_warnings = 20,
    rv_option_max_segment_reclaim = 21,     /* no meaning here */
    rv_option_destroy_on_exit = 22,         /* no meaning here: blocks that live are never unmapped */
    rv_option_arena_reserve = 23,           /* KiB */
    rv_option_arena_purge_mult = 24,        /* no meaning here */
    rv_option_purge_extend_delay = 25,      /* no meaning here */
    rv_option_abandoned_reclaim_on_free = 26, /* no meaning here */
    rv_option_disallow_arena_alloc = 27,    /* no meaning here */
    rv_option_retry_on_oom = 28,            /* ms; no meaning here */
    rv_option_last
} rv_option_t;

rv_decl_nodiscard rv_decl_export bool rv_option_is_enabled(rv_option_t option);
rv_decl_export void rv_option_enable(rv_option_t option);
rv_decl_export void rv_option_disable(rv_option_t option);
rv_decl_export void rv_option_set_enabled(rv_option_t option, bool enable);
/* A default gives way to what the environment or the program has said. */
rv_decl_export void rv_option_set_enabled_default(rv_option_t option, bool enable);
rv_decl_nodiscard rv_decl_export long rv_option_get(rv_option_t option);
rv_decl_nodiscard rv_decl_export long rv_option_get_clamp(rv_option_t option, long min, long max);
/* In bytes. */
rv_decl_nodiscard rv_decl_export size_t rv_option_get_size(rv_option_t option);
rv_decl_export void rv_option_set(rv_option_t option, long value);
rv_decl_export void rv_option_set_default(rv_option_t option, long value);

/* ---- Names of other systems -------------------------------------------------------------------------------------- */

rv_decl_nodiscard rv_decl_export size_t rv_malloc_size(const void* p) rv_attr_noexcept;
rv_decl_nodiscard rv_decl_export size_t rv_malloc_good_size(size_t size) rv_attr_noexcept;
rv_decl_nodiscard rv_decl_export size_t rv_malloc_usable_size(const void* p) rv_attr_noexcept;

rv_decl_export int rv_posix_memalign(void** p, size_t alignment, size_t size) rv_attr_noexcept;
rv_decl_nodiscard rv_decl_export void* rv_memalign(size_t alignment, size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(2) rv_attr_alloc_align(1);
rv_decl_nodiscard rv_decl_export void* rv_valloc(size_t size) rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_pvalloc(size_t size) rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_aligned_alloc(size_t alignment, size_t size) rv_attr_noexcept rv_attr_malloc
    rv_attr_alloc_size(2) rv_attr_alloc_align(1);
rv_decl_nodiscard rv_decl_export void* rv_reallocarray(void* p, size_t count, size_t size) rv_attr_noexcept
    rv_attr_alloc_size2(2, 3);
/* p is the address of a pointer to the block. */
rv_decl_nodiscard rv_decl_export int rv_reallocarr(void* p, size_t count, size_t size) rv_attr_noexcept;

rv_decl_export void* rv__expand(void* p, size_t newsize) rv_attr_noexcept rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_aligned_recalloc(void* p, size_t newcount, size_t size, size_t alignment)
    rv_attr_noexcept;
rv_decl_nodiscard rv_decl_export void* rv_aligned_offset_recalloc(void* p, size_t newcount, size_t size, size_t alignment,
                                                                  size_t offset) rv_attr_noexcept;
rv_decl_nodiscard rv_decl_export unsigned short* rv_wcsdup(const unsigned short* s) rv_attr_noexcept rv_attr_malloc;
rv_decl_nodiscard rv_decl_export unsigned char* rv_mbsdup(const unsigned char* s) rv_attr_noexcept rv_attr_malloc;
rv_decl_export int rv_dupenv_s(char** buf, size_t* size, const char* name) rv_attr_noexcept;
rv_decl_export int rv_wdupenv_s(unsigned short** buf, size_t* size, const unsigned short* name) rv_attr_noexcept;

/* ---- operator new ------------------------------------------------------------------------------------------------ */

/* When there is no memory, the new-handler is called as long as there is one; then std::bad_alloc is thrown. A program without
 * a C++ runtime is ended. */
rv_decl_nodiscard rv_decl_export void* rv_new(size_t size) rv_attr_malloc rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_new_aligned(size_t size, size_t alignment) rv_attr_malloc rv_attr_alloc_size(1)
    rv_attr_alloc_align(2);
rv_decl_nodiscard rv_decl_export void* rv_new_nothrow(size_t size) rv_attr_noexcept rv_attr_malloc rv_attr_alloc_size(1);
rv_decl_nodiscard rv_decl_export void* rv_new_aligned_nothrow(size_t size, size_t alignment) rv_attr_noexcept
    rv_attr_malloc rv_attr_alloc_size(1) rv_attr_alloc_align(2);
/* A product that overflows calls the new-handler once and gives NULL. */
rv_decl_nodiscard rv_decl_export void* rv_new_n(size_t count, size_t size) rv_attr_malloc rv_attr_alloc_size2(1, 2);
rv_decl_nodiscard rv_decl_export void* rv_new_realloc(void* p, size_t newsize) rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_new_reallocn(void* p, size_t newcount, size_t size) rv_attr_alloc_size2(2, 3);
rv_decl_nodiscard rv_decl_export void* rv_heap_alloc_new(rv_heap_t* heap, size_t size) rv_attr_malloc
    rv_attr_alloc_size(2);
rv_decl_nodiscard rv_decl_export void* rv_heap_alloc_new_n(rv_heap_t* heap, size_t count, size_t size) rv_attr_malloc
    rv_attr_alloc_size2(2, 3);

/* ---- What mimalloc does not have --------------------------------------------------------------------------------- */

/* The version of Ravelin, such as "0.1.0". */
rv_decl_nodiscard rv_decl_export const char* rv_version_string(void) rv_attr_noexcept;
/* "fast", "hardened", "paranoid", or "custom". */
rv_decl_nodiscard rv_decl_export const char* rv_build_name(void) rv_attr_noexcept;
/* Whether the build has a defence, by the name of its Cargo feature, such as "free-checks". */
rv_decl_nodiscard rv_decl_export bool rv_has_mitigation(const char* name) rv_attr_noexcept;

/* Whether p is the start of a live block. Harmless for any pointer. A build without free-checks only looks whether p lies in
 * the allocator's memory. */
rv_decl_nodiscard rv_decl_export bool rv_is_live(const void* p) rv_attr_noexcept;

/* What rv_check_heap has found. */
typedef struct rv_corruption_s {
    const void* address; /* of the block that is wrong, or of the page */
    size_t block_size;   /* of the page's blocks */
    const char* what;    /* "corrupted free list", "double free", .. */
} rv_corruption_t;
/* Checks every page of the calling thread and all pages of threads that have ended. Returns 0, or EFAULT and what was found first
 * (found may be NULL). Takes time in proportion to the blocks. */
rv_decl_export int rv_check_heap(rv_corruption_t* found) rv_attr_noexcept;

/* Why the process is about to end. */
typedef struct rv_report_s {
    const char* kind;      /* the words of the line on stderr, such as "double free" */
    const char* operation; /* the call, such as "free" */
    const void* address;   /* the pointer that the program gave, or the place of the damage */
    size_t block_size;     /* of the block, as far as it is known; else 0 */
    uint64_t thread;       /* the kernel's number of the thread */
    int error;             /* what the function of rv_register_error gets */
} rv_report_t;
/* Called once, on the guilty thread, after the line was written and before SIGABRT. It cannot prevent that. The report and its
 * strings live as long as the call. */
typedef void(rv_cdecl rv_report_fun)(const rv_report_t* report, void* arg);
rv_decl_export void rv_set_report_hook(rv_report_fun* hook, void* arg) rv_attr_noexcept;

/* Figures of the process: bytes where the name says bytes or memory, else counts. New ones come at the end. */
typedef struct rv_stats_s {
    uint64_t live_bytes;      /* that live blocks have room for */
    uint64_t peak_live_bytes; /* a lower bound */
    uint64_t live_blocks;
    uint64_t peak_live_blocks; /* a lower bound */
    uint64_t large_blocks;     /* live blocks with pages of their own */
    uint64_t large_bytes;
    uint64_t reserved;       /* bytes of address space for blocks */
    uint64_t committed;      /* bytes that the kernel may have memory behind */
    uint64_t peak_committed;
    uint64_t purged;      /* bytes given back to the kernel, in all */
    uint64_t quarantined; /* bytes of freed large blocks whose addresses wait to be used again */
    uint64_t metadata;    /* bytes of the allocator's own */
    uint64_t arenas;
    uint64_t segments;
    uint64_t pages;
    uint64_t full_pages;
    uint64_t abandoned_pages;    /* of threads that have ended */
    uint64_t cross_thread_frees; /* blocks freed by another thread than allocated them, in all */
    uint64_t posted_blocks;      /* of these, those that their thread has not taken back */
    uint64_t guards;             /* round large blocks */
    uint64_t guards_left_out;    /* that the kernel refused, or that would have cost too many maps */
    uint64_t guard_maps;         /* that guards cost */
    uint64_t forks;
    uint64_t threads;
    uint64_t left_open; /* freed large blocks that were not made inaccessible at once: RAVELIN_CLOSING_RATE */
} rv_stats_t;
/* Stores size bytes of the figures: sizeof(rv_stats_t). Returns how many bytes this library has; a newer one has more. */
rv_decl_export size_t rv_stats_get(rv_stats_t* stats, size_t size) rv_attr_noexcept;

/* Figures of one size class. */
typedef struct rv_class_stats_s {
    uint64_t block_size;
    uint64_t blocks;
    uint64_t bytes;
    uint64_t peak_blocks; /* a lower bound */
    uint64_t peak_bytes;
    uint64_t pages;
} rv_class_stats_t;
/* Stores the figures of up to count classes, smallest first. Returns how many classes there are. */
rv_decl_export size_t rv_stats_classes(rv_class_stats_t* classes, size_t count) rv_attr_noexcept;

/* The statistics as one object in JSON, or as a table, in pieces of text; NULL is where all output goes. */
rv_decl_export void rv_stats_json(rv_output_fun* out, void* arg) rv_attr_noexcept;
rv_decl_export void rv_stats_table(rv_output_fun* out, void* arg) rv_attr_noexcept;

#ifdef __cplusplus
}
#endif

/* ---- Blocks of a type -------------------------------------------------------------------------------------------- */

#define rv_malloc_tp(tp) ((tp*)rv_malloc(sizeof(tp)))
#define rv_zalloc_tp(tp) ((tp*)rv_zalloc(sizeof(tp)))
#define rv_calloc_tp(tp, n) ((tp*)rv_calloc(n, sizeof(tp)))
#define rv_mallocn_tp(tp, n) ((tp*)rv_mallocn(n, sizeof(tp)))
#define rv_reallocn_tp(p, tp, n) ((tp*)rv_reallocn(p, n, sizeof(tp)))
#define rv_recalloc_tp(p, tp, n) ((tp*)rv_recalloc(p, n, sizeof(tp)))

#define rv_heap_malloc_tp(hp, tp) ((tp*)rv_heap_malloc(hp, sizeof(tp)))
#define rv_heap_zalloc_tp(hp, tp) ((tp*)rv_heap_zalloc(hp, sizeof(tp)))
#define rv_heap_calloc_tp(hp, tp, n) ((tp*)rv_heap_calloc(hp, n, sizeof(tp)))
#define rv_heap_mallocn_tp(hp, tp, n) ((tp*)rv_heap_mallocn(hp, n, sizeof(tp)))
#define rv_heap_reallocn_tp(hp, p, tp, n) ((tp*)rv_heap_reallocn(hp, p, n, sizeof(tp)))
#define rv_heap_recalloc_tp(hp, p, tp, n) ((tp*)rv_heap_recalloc(hp, p, n, sizeof(tp)))

/* ---- Allocators for the containers of C++ ------------------------------------------------------------------------ */

#ifdef __cplusplus

#include <cstddef>
#include <new>
#if __cplusplus >= 201103L
#include <memory>
#include <type_traits>
#include <utility>
#endif

/* What all of them have in common. */
template <class T>
struct rv_stl_allocator_common_ {
    typedef T value_type;
    typedef std::size_t size_type;
    typedef std::ptrdiff_t difference_type;
    typedef value_type& reference;
    typedef value_type const& const_reference;
    typedef value_type* pointer;
    typedef value_type const* const_pointer;

#if __cplusplus >= 201103L
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    template <class U, class... Args>
    void construct(U* p, Args&&... args) {
        ::new (static_cast<void*>(p)) U(std::forward<Args>(args)...);
    }
    template <class U>
    void destroy(U* p) rv_attr_noexcept {
        p->~U();
    }
#else
    void construct(pointer p, value_type const& value) { ::new (static_cast<void*>(p)) value_type(value); }
    void destroy(pointer p) { p->~value_type(); }
#endif

    size_type max_size() const rv_attr_noexcept { return (static_cast<size_type>(-1) / 2) / sizeof(value_type); }
    pointer address(reference x) const { return &x; }
    const_pointer address(const_reference x) const { return &x; }
};

/* From the calling thread's default heap. */
template <class T>
struct rv_stl_allocator : public rv_stl_allocator_common_<T> {
    using typename rv_stl_allocator_common_<T>::size_type;
    using typename rv_stl_allocator_common_<T>::value_type;
    using typename rv_stl_allocator_common_<T>::pointer;
    template <class U>
    struct rebind {
        typedef rv_stl_allocator<U> other;
    };

    rv_stl_allocator() rv_attr_noexcept {}
    rv_stl_allocator(const rv_stl_allocator&) rv_attr_noexcept : rv_stl_allocator_common_<T>() {}
    template <class U>
    rv_stl_allocator(const rv_stl_allocator<U>&) rv_attr_noexcept {}
    rv_stl_allocator& operator=(const rv_stl_allocator&) rv_attr_noexcept { return *this; }
    rv_stl_allocator select_on_container_copy_construction() const { return *this; }

    rv_decl_nodiscard pointer allocate(size_type count, const void* = 0) {
        return static_cast<pointer>(rv_new_n(count, sizeof(value_type)));
    }
    void deallocate(pointer p, size_type) { rv_free(p); }

#if __cplusplus >= 201103L
    using is_always_equal = std::true_type;
#endif
};

template <class T1, class T2>
bool operator==(const rv_stl_allocator<T1>&, const rv_stl_allocator<T2>&) rv_attr_noexcept {
    return true;
}
template <class T1, class T2>
bool operator!=(const rv_stl_allocator<T1>&, const rv_stl_allocator<T2>&) rv_attr_noexcept {
    return false;
}

#if __cplusplus >= 201103L
#define RV_HAS_HEAP_STL_ALLOCATOR 1

/* From one heap: borrowed, or made by the allocator and ended with its last copy. */
template <class T, bool destroys>
struct rv_heap_stl_allocator_common_ : public rv_stl_allocator_common_<T> {
    using typename rv_stl_allocator_common_<T>::size_type;
    using typename rv_stl_allocator_common_<T>::value_type;
    using typename rv_stl_allocator_common_<T>::pointer;

    /* A heap that the caller ends, after the last container. */
    rv_heap_stl_allocator_common_(rv_heap_t* borrowed) : heap(borrowed, [](rv_heap_t*) {}) {}
    rv_heap_stl_allocator_common_(const rv_heap_stl_allocator_common_& other) rv_attr_noexcept
        : rv_stl_allocator_common_<T>(), heap(other.heap) {}
    template <class U>
    rv_heap_stl_allocator_common_(const rv_heap_stl_allocator_common_<U, destroys>& other) rv_attr_noexcept
        : heap(other.heap) {}
    rv_heap_stl_allocator_common_& operator=(const rv_heap_stl_allocator_common_& other) rv_attr_noexcept {
        heap = other.heap;
        return *this;
    }

    rv_decl_nodiscard pointer allocate(size_type count, const void* = nullptr) {
        return static_cast<pointer>(rv_heap_alloc_new_n(heap.get(), count, sizeof(value_type)));
    }
    /* What a heap that is destroyed holds is freed with it. */
    void deallocate(pointer p, size_type) {
        if (!destroys) rv_free(p);
    }

    using is_always_equal = std::false_type;
    void collect(bool force) { rv_heap_collect(heap.get(), force); }
    template <class U>
    bool is_equal(const rv_heap_stl_allocator_common_<U, destroys>& other) const {
        return heap == other.heap;
    }

   protected:
    template <class U, bool d>
    friend struct rv_heap_stl_allocator_common_;
    std::shared_ptr<rv_heap_t> heap;

    rv_heap_stl_allocator_common_() : heap(rv_heap_new(), destroys ? rv_heap_destroy : rv_heap_delete) {}
};

/* Blocks are freed one by one; those that live when the heap is deleted go on living. */
template <class T>
struct rv_heap_stl_allocator : public rv_heap_stl_allocator_common_<T, false> {
    using typename rv_heap_stl_allocator_common_<T, false>::size_type;
    rv_heap_stl_allocator() : rv_heap_stl_allocator_common_<T, false>() {}
    rv_heap_stl_allocator(rv_heap_t* heap) : rv_heap_stl_allocator_common_<T, false>(heap) {}
    rv_heap_stl_allocator(const rv_heap_stl_allocator&) = default;
    rv_heap_stl_allocator& operator=(const rv_heap_stl_allocator&) = default;
    template <class U>
    rv_heap_stl_allocator(const rv_heap_stl_allocator<U>& other) rv_attr_noexcept
        : rv_heap_stl_allocator_common_<T, false>(other) {}
    rv_heap_stl_allocator select_on_container_copy_construction() const { return *this; }
    template <class U>
    struct rebind {
        typedef rv_heap_stl_allocator<U> other;
    };
};

template <class T1, class T2>
bool operator==(const rv_heap_stl_allocator<T1>& x, const rv_heap_stl_allocator<T2>& y) rv_attr_noexcept {
    return x.is_equal(y);
}
template <class T1, class T2>
bool operator!=(const rv_heap_stl_allocator<T1>& x, const rv_heap_stl_allocator<T2>& y) rv_attr_noexcept {
    return !x.is_equal(y);
}

/* Blocks are not freed one by one, but all at once when the heap is destroyed. */
template <class T>
struct rv_heap_destroy_stl_allocator : public rv_heap_stl_allocator_common_<T, true> {
    using typename rv_heap_stl_allocator_common_<T, true>::size_type;
    rv_heap_destroy_stl_allocator() : rv_heap_stl_allocator_common_<T, true>() {}
    rv_heap_destroy_stl_allocator(rv_heap_t* heap) : rv_heap_stl_allocator_common_<T, true>(heap) {}
    rv_heap_destroy_stl_allocator(const rv_heap_destroy_stl_allocator&) = default;
    rv_heap_destroy_stl_allocator& operator=(const rv_heap_destroy_stl_allocator&) = default;
    template <class U>
    rv_heap_destroy_stl_allocator(const rv_heap_destroy_stl_allocator<U>& other) rv_attr_noexcept
        : rv_heap_stl_allocator_common_<T, true>(other) {}
    rv_heap_destroy_stl_allocator select_on_container_copy_construction() const { return *this; }
    template <class U>
    struct rebind {
        typedef rv_heap_destroy_stl_allocator<U> other;
    };
};

template <class T1, class T2>
bool operator==(const rv_heap_destroy_stl_allocator<T1>& x, const rv_heap_destroy_stl_allocator<T2>& y) rv_attr_noexcept {
    return x.is_equal(y);
}
template <class T1, class T2>
bool operator!=(const rv_heap_destroy_stl_allocator<T1>& x, const rv_heap_destroy_stl_allocator<T2>& y) rv_attr_noexcept {
    return !x.is_equal(y);
}

#if __cplusplus >= 201703L
#include <memory_resource>

/* A resource over a heap, for the containers of std::pmr. Like the heap, it allocates on one thread. */
class rv_heap_resource : public std::pmr::memory_resource {
   public:
    /* A heap of its own. Its blocks are freed with it. */
    rv_heap_resource() : heap_(rv_heap_new()), owns_(true) {
        if (heap_ == nullptr) throw std::bad_alloc();
    }
    /* A heap that the caller ends, after this. */
    explicit rv_heap_resource(rv_heap_t* borrowed) noexcept : heap_(borrowed), owns_(false) {}
    rv_heap_resource(const rv_heap_resource&) = delete;
    rv_heap_resource& operator=(const rv_heap_resource&) = delete;
    ~rv_heap_resource() override {
        if (owns_) rv_heap_destroy(heap_);
    }

    rv_heap_t* heap() const noexcept { return heap_; }

   private:
    void* do_allocate(std::size_t size, std::size_t alignment) override {
        void* p = rv_heap_malloc_aligned(heap_, size, alignment);
        if (p == nullptr) throw std::bad_alloc();
        return p;
    }
    void do_deallocate(void* p, std::size_t, std::size_t) override { rv_free(p); }
    bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

    rv_heap_t* heap_;
    bool owns_;
};
#define RV_HAS_HEAP_RESOURCE 1
#endif /* C++17 */

#endif /* C++11 */
#endif /* C++ */

#endif /* RAVELIN_H */
