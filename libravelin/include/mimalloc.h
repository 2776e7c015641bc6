/* mimalloc.h: the interface of mimalloc 2.1.7, served by Ravelin.
 *
 * A program that was written for mimalloc compiles with this header and links with libravelin unchanged. What differs:
 *
 * - A misuse (a second free, a pointer that is no live block, a dead heap) ends the process with a line on stderr, after the
 *   function of mi_register_error was told. It does not return.
 * - A call that finds no memory sets errno to ENOMEM.
 * - Options that mean nothing here keep the values that they are given.
 * - mi_stats_print does not look at its argument.
 *
 * ravelin.h declares the same functions as rv_*, and what mimalloc does not have.
 */
#ifndef MIMALLOC_H
#define MIMALLOC_H

#define MI_MALLOC_VERSION 217

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- What compilers like to know --------------------------------------------------------------------------------- */

#if defined(__cplusplus) && __cplusplus >= 201103L
#define mi_attr_noexcept noexcept
#elif defined(__cplusplus)
#define mi_attr_noexcept throw()
#else
#define mi_attr_noexcept
#endif

#if defined(__cplusplus) && __cplusplus >= 201703L
#define mi_decl_nodiscard [[nodiscard]]
#elif defined(__GNUC__)
#define mi_decl_nodiscard __attribute__((warn_unused_result))
#else
#define mi_decl_nodiscard
#endif

#if defined(__GNUC__)
#define mi_decl_export __attribute__((visibility("default")))
#define mi_attr_malloc __attribute__((malloc))
#define mi_attr_alloc_size(size) __attribute__((alloc_size(size)))
#define mi_attr_alloc_size2(count, size) __attribute__((alloc_size(count, size)))
#define mi_attr_alloc_align(align) __attribute__((alloc_align(align)))
#else
#define mi_decl_export
#define mi_attr_malloc
#define mi_attr_alloc_size(size)
#define mi_attr_alloc_size2(count, size)
#define mi_attr_alloc_align(align)
#endif
/* These two have a meaning on Windows only. */
#define mi_decl_restrict
#define mi_cdecl

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Blocks ------------------------------------------------------------------------------------------------------ */

/* Size 0 gives a block of its own. Blocks are aligned to 16 bytes. */
mi_decl_nodiscard mi_decl_export void* mi_malloc(size_t size) mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);
/* The whole block is zero, also what it has beyond the size that was asked for. */
mi_decl_nodiscard mi_decl_export void* mi_zalloc(size_t size) mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);
mi_decl_nodiscard mi_decl_export void* mi_calloc(size_t count, size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size2(1, 2);
mi_decl_nodiscard mi_decl_export void* mi_mallocn(size_t count, size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size2(1, 2);

/* For sizes up to MI_SMALL_SIZE_MAX; larger ones work too. */
#define MI_SMALL_WSIZE_MAX 128
#define MI_SMALL_SIZE_MAX (MI_SMALL_WSIZE_MAX * sizeof(void*))
mi_decl_nodiscard mi_decl_export void* mi_malloc_small(size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(1);
mi_decl_nodiscard mi_decl_export void* mi_zalloc_small(size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(1);

/* The block itself if it has room for the new size, else NULL. */
mi_decl_export void* mi_expand(void* p, size_t newsize) mi_attr_noexcept mi_attr_alloc_size(2);
/* NULL is malloc; size 0 gives a block of its own. On failure p stays as it was, but mi_reallocf frees it. */
mi_decl_nodiscard mi_decl_export void* mi_realloc(void* p, size_t newsize) mi_attr_noexcept mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_reallocn(void* p, size_t count, size_t size) mi_attr_noexcept
    mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export void* mi_reallocf(void* p, size_t newsize) mi_attr_noexcept mi_attr_alloc_size(2);
/* For blocks that were zero when they were new: what is added is zero. */
mi_decl_nodiscard mi_decl_export void* mi_rezalloc(void* p, size_t newsize) mi_attr_noexcept mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_recalloc(void* p, size_t newcount, size_t size) mi_attr_noexcept
    mi_attr_alloc_size2(2, 3);

mi_decl_export void mi_free(void* p) mi_attr_noexcept;
/* Leaves pointers that are not this allocator's alone. */
mi_decl_export void mi_cfree(void* p) mi_attr_noexcept;
/* Size and alignment are hints that are not needed. */
mi_decl_export void mi_free_size(void* p, size_t size) mi_attr_noexcept;
mi_decl_export void mi_free_size_aligned(void* p, size_t size, size_t alignment) mi_attr_noexcept;
mi_decl_export void mi_free_aligned(void* p, size_t alignment) mi_attr_noexcept;

/* How much of a block may be used; 0 for NULL. */
mi_decl_nodiscard mi_decl_export size_t mi_usable_size(const void* p) mi_attr_noexcept;
/* How much a block of this size would really have. */
mi_decl_nodiscard mi_decl_export size_t mi_good_size(size_t size) mi_attr_noexcept;

/* ---- Strings ----------------------------------------------------------------------------------------------------- */

mi_decl_nodiscard mi_decl_export char* mi_strdup(const char* s) mi_attr_noexcept mi_attr_malloc;
mi_decl_nodiscard mi_decl_export char* mi_strndup(const char* s, size_t n) mi_attr_noexcept mi_attr_malloc;
mi_decl_nodiscard mi_decl_export char* mi_realpath(const char* fname, char* resolved_name) mi_attr_noexcept;

/* ---- Alignment --------------------------------------------------------------------------------------------------- */

/* The alignment is any power of two; others give NULL. With an offset, p + offset is aligned; then the alignment is at most
 * 16 MiB. When a block is resized, an alignment of 8 or less, even 0 or 3, means none; and one that the old block does not have
 * takes what the old block missed it by for an offset. */
mi_decl_nodiscard mi_decl_export void* mi_malloc_aligned(size_t size, size_t alignment) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(1) mi_attr_alloc_align(2);
mi_decl_nodiscard mi_decl_export void* mi_malloc_aligned_at(size_t size, size_t alignment, size_t offset) mi_attr_noexcept
    mi_attr_malloc mi_attr_alloc_size(1);
mi_decl_nodiscard mi_decl_export void* mi_zalloc_aligned(size_t size, size_t alignment) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(1) mi_attr_alloc_align(2);
mi_decl_nodiscard mi_decl_export void* mi_zalloc_aligned_at(size_t size, size_t alignment, size_t offset) mi_attr_noexcept
    mi_attr_malloc mi_attr_alloc_size(1);
mi_decl_nodiscard mi_decl_export void* mi_calloc_aligned(size_t count, size_t size, size_t alignment) mi_attr_noexcept
    mi_attr_malloc mi_attr_alloc_size2(1, 2) mi_attr_alloc_align(3);
mi_decl_nodiscard mi_decl_export void* mi_calloc_aligned_at(size_t count, size_t size, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size2(1, 2);
mi_decl_nodiscard mi_decl_export void* mi_realloc_aligned(void* p, size_t newsize, size_t alignment) mi_attr_noexcept
    mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_realloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_rezalloc_aligned(void* p, size_t newsize, size_t alignment) mi_attr_noexcept
    mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_rezalloc_aligned_at(void* p, size_t newsize, size_t alignment, size_t offset)
    mi_attr_noexcept mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_recalloc_aligned(void* p, size_t newcount, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export void* mi_recalloc_aligned_at(void* p, size_t newcount, size_t size, size_t alignment,
                                                              size_t offset) mi_attr_noexcept mi_attr_alloc_size2(2, 3);

/* ---- Functions of the program ------------------------------------------------------------------------------------ */

/* Called by slow paths of allocations, and by collections (then with force as they have it), where the program may free. */
typedef void(mi_cdecl mi_deferred_free_fun)(bool force, unsigned long long heartbeat, void* arg);
mi_decl_export void mi_register_deferred_free(mi_deferred_free_fun* deferred_free, void* arg) mi_attr_noexcept;

/* Gets all output in pieces, beginning with the first 32 KiB of what was written so far. NULL is stderr again. */
typedef void(mi_cdecl mi_output_fun)(const char* msg, void* arg);
mi_decl_export void mi_register_output(mi_output_fun* out, void* arg) mi_attr_noexcept;

/* Gets ENOMEM (no memory), EOVERFLOW (too large); and before the process ends, EAGAIN (second free), EINVAL (not a live block),
 * EFAULT (memory was overwritten). */
typedef void(mi_cdecl mi_error_fun)(int err, void* arg);
mi_decl_export void mi_register_error(mi_error_fun* fun, void* arg);

/* ---- The process ------------------------------------------------------------------------------------------------- */

mi_decl_export void mi_collect(bool force) mi_attr_noexcept;
mi_decl_export int mi_version(void) mi_attr_noexcept;
mi_decl_export void mi_stats_reset(void) mi_attr_noexcept;
mi_decl_export void mi_stats_merge(void) mi_attr_noexcept;
mi_decl_export void mi_stats_print(void* out) mi_attr_noexcept;
mi_decl_export void mi_stats_print_out(mi_output_fun* out, void* arg) mi_attr_noexcept;
mi_decl_export void mi_thread_stats_print_out(mi_output_fun* out, void* arg) mi_attr_noexcept;
/* Times in milliseconds, sizes in bytes; NULL leaves a figure out. */
mi_decl_export void mi_process_info(size_t* elapsed_msecs, size_t* user_msecs, size_t* system_msecs, size_t* current_rss,
                                    size_t* peak_rss, size_t* current_commit, size_t* peak_commit,
                                    size_t* page_faults) mi_attr_noexcept;

/* All of these happen by themselves. */
mi_decl_export void mi_process_init(void) mi_attr_noexcept;
mi_decl_export void mi_thread_init(void) mi_attr_noexcept;
mi_decl_export void mi_thread_done(void) mi_attr_noexcept;

/* ---- Heaps ------------------------------------------------------------------------------------------------------- */

/* A heap allocates for the thread that made it; any thread may free its blocks, with mi_free. The thread's first heap is its
 * backing heap, which always is. A heap that is gone, or allocation from another thread's heap, ends the process. */
struct mi_heap_s;
typedef struct mi_heap_s mi_heap_t;

mi_decl_nodiscard mi_decl_export mi_heap_t* mi_heap_new(void);
/* Its live blocks move to the backing heap. */
mi_decl_export void mi_heap_delete(mi_heap_t* heap);
/* All its blocks are freed. */
mi_decl_export void mi_heap_destroy(mi_heap_t* heap);
mi_decl_export mi_heap_t* mi_heap_set_default(mi_heap_t* heap);
mi_decl_export mi_heap_t* mi_heap_get_default(void);
mi_decl_export mi_heap_t* mi_heap_get_backing(void);
mi_decl_export void mi_heap_collect(mi_heap_t* heap, bool force) mi_attr_noexcept;

mi_decl_nodiscard mi_decl_export void* mi_heap_malloc(mi_heap_t* heap, size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_heap_zalloc(mi_heap_t* heap, size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_heap_calloc(mi_heap_t* heap, size_t count, size_t size) mi_attr_noexcept
    mi_attr_malloc mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export void* mi_heap_mallocn(mi_heap_t* heap, size_t count, size_t size) mi_attr_noexcept
    mi_attr_malloc mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export void* mi_heap_malloc_small(mi_heap_t* heap, size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(2);

mi_decl_nodiscard mi_decl_export void* mi_heap_realloc(mi_heap_t* heap, void* p, size_t newsize) mi_attr_noexcept
    mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_reallocn(mi_heap_t* heap, void* p, size_t count, size_t size)
    mi_attr_noexcept mi_attr_alloc_size2(3, 4);
mi_decl_nodiscard mi_decl_export void* mi_heap_reallocf(mi_heap_t* heap, void* p, size_t newsize) mi_attr_noexcept
    mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_rezalloc(mi_heap_t* heap, void* p, size_t newsize) mi_attr_noexcept
    mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_recalloc(mi_heap_t* heap, void* p, size_t newcount, size_t size)
    mi_attr_noexcept mi_attr_alloc_size2(3, 4);

mi_decl_nodiscard mi_decl_export char* mi_heap_strdup(mi_heap_t* heap, const char* s) mi_attr_noexcept mi_attr_malloc;
mi_decl_nodiscard mi_decl_export char* mi_heap_strndup(mi_heap_t* heap, const char* s, size_t n) mi_attr_noexcept
    mi_attr_malloc;
mi_decl_nodiscard mi_decl_export char* mi_heap_realpath(mi_heap_t* heap, const char* fname, char* resolved_name)
    mi_attr_noexcept;

mi_decl_nodiscard mi_decl_export void* mi_heap_malloc_aligned(mi_heap_t* heap, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2) mi_attr_alloc_align(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_malloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment,
                                                                 size_t offset) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_heap_zalloc_aligned(mi_heap_t* heap, size_t size, size_t alignment)
    mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(2) mi_attr_alloc_align(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_zalloc_aligned_at(mi_heap_t* heap, size_t size, size_t alignment,
                                                                 size_t offset) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_heap_calloc_aligned(mi_heap_t* heap, size_t count, size_t size,
                                                              size_t alignment) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size2(2, 3) mi_attr_alloc_align(4);
mi_decl_nodiscard mi_decl_export void* mi_heap_calloc_aligned_at(mi_heap_t* heap, size_t count, size_t size,
                                                                 size_t alignment, size_t offset) mi_attr_noexcept
    mi_attr_malloc mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export void* mi_heap_realloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_realloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize,
                                                                  size_t alignment, size_t offset) mi_attr_noexcept
    mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_rezalloc_aligned(mi_heap_t* heap, void* p, size_t newsize, size_t alignment)
    mi_attr_noexcept mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_rezalloc_aligned_at(mi_heap_t* heap, void* p, size_t newsize,
                                                                   size_t alignment, size_t offset) mi_attr_noexcept
    mi_attr_alloc_size(3);
mi_decl_nodiscard mi_decl_export void* mi_heap_recalloc_aligned(mi_heap_t* heap, void* p, size_t newcount, size_t size,
                                                                size_t alignment) mi_attr_noexcept
    mi_attr_alloc_size2(3, 4);
mi_decl_nodiscard mi_decl_export void* mi_heap_recalloc_aligned_at(mi_heap_t* heap, void* p, size_t newcount, size_t size,
                                                                   size_t alignment, size_t offset) mi_attr_noexcept
    mi_attr_alloc_size2(3, 4);

/* ---- What lies where --------------------------------------------------------------------------------------------- */

/* Whether p is the start of a live block of the heap. Harmless for any pointer. */
mi_decl_export bool mi_heap_contains_block(mi_heap_t* heap, const void* p);
/* Whether p points into a page of the heap, to a live block or not. */
mi_decl_export bool mi_heap_check_owned(mi_heap_t* heap, const void* p);
mi_decl_export bool mi_check_owned(const void* p);
mi_decl_nodiscard mi_decl_export bool mi_is_in_heap_region(const void* p) mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export bool mi_is_redirected(void) mi_attr_noexcept;

/* A page of a heap: used counts blocks, the others are bytes. */
typedef struct mi_heap_area_s {
    void* blocks;
    size_t reserved;
    size_t committed;
    size_t used;
    size_t block_size;
    size_t full_block_size;
} mi_heap_area_t;
/* Called with block NULL for each page, then (if all blocks are visited) for each live block in it. False stops. */
typedef bool(mi_cdecl mi_block_visit_fun)(const mi_heap_t* heap, const mi_heap_area_t* area, void* block,
                                          size_t block_size, void* arg);
mi_decl_export bool mi_heap_visit_blocks(const mi_heap_t* heap, bool visit_all_blocks, mi_block_visit_fun* visitor,
                                         void* arg);

/* ---- Arenas ------------------------------------------------------------------------------------------------------ */

/* An exclusive arena serves only heaps that were made in it. Memory that the caller brings stays where it is: it has no random
 * address, and no guards beyond its own ends. */
typedef int mi_arena_id_t;
mi_decl_export int mi_reserve_os_memory(size_t size, bool commit, bool allow_large) mi_attr_noexcept;
mi_decl_export int mi_reserve_os_memory_ex(size_t size, bool commit, bool allow_large, bool exclusive,
                                           mi_arena_id_t* arena_id) mi_attr_noexcept;
mi_decl_export bool mi_manage_os_memory(void* start, size_t size, bool is_committed, bool is_large, bool is_zero,
                                        int numa_node) mi_attr_noexcept;
mi_decl_export bool mi_manage_os_memory_ex(void* start, size_t size, bool is_committed, bool is_large, bool is_zero,
                                           int numa_node, bool exclusive, mi_arena_id_t* arena_id) mi_attr_noexcept;
mi_decl_export int mi_reserve_huge_os_pages_at(size_t pages, int numa_node, size_t timeout_msecs) mi_attr_noexcept;
mi_decl_export int mi_reserve_huge_os_pages_at_ex(size_t pages, int numa_node, size_t timeout_msecs, bool exclusive,
                                                  mi_arena_id_t* arena_id) mi_attr_noexcept;
mi_decl_export int mi_reserve_huge_os_pages_interleave(size_t pages, size_t numa_nodes, size_t timeout_msecs)
    mi_attr_noexcept;
/* Deprecated. */
mi_decl_export int mi_reserve_huge_os_pages(size_t pages, double max_secs, size_t* pages_reserved) mi_attr_noexcept;
mi_decl_export void* mi_arena_area(mi_arena_id_t arena_id, size_t* size);
mi_decl_nodiscard mi_decl_export mi_heap_t* mi_heap_new_in_arena(mi_arena_id_t arena_id);
mi_decl_export void mi_debug_show_arenas(bool show_inuse, bool show_abandoned, bool show_purge) mi_attr_noexcept;

/* ---- Options ----------------------------------------------------------------------------------------------------- */

typedef enum mi_option_e {
    mi_option_show_errors = 0,
    mi_option_show_stats = 1,
    mi_option_verbose = 2,
    mi_option_eager_commit = 3,              /* no meaning here */
    mi_option_arena_eager_commit = 4,        /* no meaning here */
    mi_option_purge_decommits = 5,           /* no meaning here */
    mi_option_allow_large_os_pages = 6,      /* no meaning here */
    mi_option_reserve_huge_os_pages = 7,     /* GiB, at the start */
    mi_option_reserve_huge_os_pages_at = 8,  /* -1 is any node */
    mi_option_reserve_os_memory = 9,         /* KiB, at the start */
    mi_option_deprecated_segment_cache = 10, /* no meaning here */
    mi_option_deprecated_page_reset = 11,    /* no meaning here */
    mi_option_abandoned_page_purge = 12,     /* no meaning here */
    mi_option_deprecated_segment_reset = 13, /* no meaning here */
    mi_option_eager_commit_delay = 14,       /* no meaning here */
    mi_option_purge_delay = 15,              /* ms; -1 is never */
    mi_option_use_numa_nodes = 16,           /* no meaning here */
    mi_option_disallow_os_alloc = 17,        /* no meaning here */
    mi_option_os_tag = 18,                   /* no meaning here */
    mi_option_max_errors = 19,
    mi_option_max_warnings = 20,
    mi_option_max_segment_reclaim = 21,     /* no meaning here */
    mi_option_destroy_on_exit = 22,         /* no meaning here: blocks that live are never unmapped */
    mi_option_arena_reserve = 23,           /* KiB */
    mi_option_arena_purge_mult = 24,        /* no meaning here */
    mi_option_purge_extend_delay = 25,      /* no meaning here */
    mi_option_abandoned_reclaim_on_free = 26, /* no meaning here */
    mi_option_disallow_arena_alloc = 27,    /* no meaning here */
    mi_option_retry_on_oom = 28,            /* ms; no meaning here */
    _mi_option_last,
    /* Older names. */
    mi_option_large_os_pages = mi_option_allow_large_os_pages,
    mi_option_eager_region_commit = mi_option_arena_eager_commit,
    mi_option_reset_decommits = mi_option_purge_decommits,
    mi_option_reset_delay = mi_option_purge_delay,
    mi_option_abandoned_page_reset = mi_option_abandoned_page_purge,
    mi_option_limit_os_alloc = mi_option_disallow_os_alloc
} mi_option_t;

mi_decl_nodiscard mi_decl_export bool mi_option_is_enabled(mi_option_t option);
mi_decl_export void mi_option_enable(mi_option_t option);
mi_decl_export void mi_option_disable(mi_option_t option);
mi_decl_export void mi_option_set_enabled(mi_option_t option, bool enable);
/* A default gives way to what the environment or the program has said. */
mi_decl_export void mi_option_set_enabled_default(mi_option_t option, bool enable);
mi_decl_nodiscard mi_decl_export long mi_option_get(mi_option_t option);
mi_decl_nodiscard mi_decl_export long mi_option_get_clamp(mi_option_t option, long min, long max);
/* In bytes. */
mi_decl_nodiscard mi_decl_export size_t mi_option_get_size(mi_option_t option);
mi_decl_export void mi_option_set(mi_option_t option, long value);
mi_decl_export void mi_option_set_default(mi_option_t option, long value);

/* ---- Names of other systems -------------------------------------------------------------------------------------- */

mi_decl_nodiscard mi_decl_export size_t mi_malloc_size(const void* p) mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export size_t mi_malloc_good_size(size_t size) mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export size_t mi_malloc_usable_size(const void* p) mi_attr_noexcept;

mi_decl_export int mi_posix_memalign(void** p, size_t alignment, size_t size) mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export void* mi_memalign(size_t alignment, size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(2) mi_attr_alloc_align(1);
mi_decl_nodiscard mi_decl_export void* mi_valloc(size_t size) mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);
mi_decl_nodiscard mi_decl_export void* mi_pvalloc(size_t size) mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);
mi_decl_nodiscard mi_decl_export void* mi_aligned_alloc(size_t alignment, size_t size) mi_attr_noexcept mi_attr_malloc
    mi_attr_alloc_size(2) mi_attr_alloc_align(1);
mi_decl_nodiscard mi_decl_export void* mi_reallocarray(void* p, size_t count, size_t size) mi_attr_noexcept
    mi_attr_alloc_size2(2, 3);
/* p is the address of a pointer to the block. */
mi_decl_nodiscard mi_decl_export int mi_reallocarr(void* p, size_t count, size_t size) mi_attr_noexcept;

mi_decl_export void* mi__expand(void* p, size_t newsize) mi_attr_noexcept mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_aligned_recalloc(void* p, size_t newcount, size_t size, size_t alignment)
    mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export void* mi_aligned_offset_recalloc(void* p, size_t newcount, size_t size, size_t alignment,
                                                                  size_t offset) mi_attr_noexcept;
mi_decl_nodiscard mi_decl_export unsigned short* mi_wcsdup(const unsigned short* s) mi_attr_noexcept mi_attr_malloc;
mi_decl_nodiscard mi_decl_export unsigned char* mi_mbsdup(const unsigned char* s) mi_attr_noexcept mi_attr_malloc;
mi_decl_export int mi_dupenv_s(char** buf, size_t* size, const char* name) mi_attr_noexcept;
mi_decl_export int mi_wdupenv_s(unsigned short** buf, size_t* size, const unsigned short* name) mi_attr_noexcept;

/* ---- operator new ------------------------------------------------------------------------------------------------ */

/* When there is no memory, the new-handler is called as long as there is one; then std::bad_alloc is thrown. A program without
 * a C++ runtime is ended. */
mi_decl_nodiscard mi_decl_export void* mi_new(size_t size) mi_attr_malloc mi_attr_alloc_size(1);
mi_decl_nodiscard mi_decl_export void* mi_new_aligned(size_t size, size_t alignment) mi_attr_malloc mi_attr_alloc_size(1)
    mi_attr_alloc_align(2);
mi_decl_nodiscard mi_decl_export void* mi_new_nothrow(size_t size) mi_attr_noexcept mi_attr_malloc mi_attr_alloc_size(1);
mi_decl_nodiscard mi_decl_export void* mi_new_aligned_nothrow(size_t size, size_t alignment) mi_attr_noexcept
    mi_attr_malloc mi_attr_alloc_size(1) mi_attr_alloc_align(2);
/* A product that overflows calls the new-handler once and gives NULL. */
mi_decl_nodiscard mi_decl_export void* mi_new_n(size_t count, size_t size) mi_attr_malloc mi_attr_alloc_size2(1, 2);
mi_decl_nodiscard mi_decl_export void* mi_new_realloc(void* p, size_t newsize) mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_new_reallocn(void* p, size_t newcount, size_t size) mi_attr_alloc_size2(2, 3);
mi_decl_nodiscard mi_decl_export void* mi_heap_alloc_new(mi_heap_t* heap, size_t size) mi_attr_malloc
    mi_attr_alloc_size(2);
mi_decl_nodiscard mi_decl_export void* mi_heap_alloc_new_n(mi_heap_t* heap, size_t count, size_t size) mi_attr_malloc
    mi_attr_alloc_size2(2, 3);

#ifdef __cplusplus
}
#endif

/* ---- Blocks of a type -------------------------------------------------------------------------------------------- */

#define mi_malloc_tp(tp) ((tp*)mi_malloc(sizeof(tp)))
#define mi_zalloc_tp(tp) ((tp*)mi_zalloc(sizeof(tp)))
#define mi_calloc_tp(tp, n) ((tp*)mi_calloc(n, sizeof(tp)))
#define mi_mallocn_tp(tp, n) ((tp*)mi_mallocn(n, sizeof(tp)))
#define mi_reallocn_tp(p, tp, n) ((tp*)mi_reallocn(p, n, sizeof(tp)))
#define mi_recalloc_tp(p, tp, n) ((tp*)mi_recalloc(p, n, sizeof(tp)))

#define mi_heap_malloc_tp(hp, tp) ((tp*)mi_heap_malloc(hp, sizeof(tp)))
#define mi_heap_zalloc_tp(hp, tp) ((tp*)mi_heap_zalloc(hp, sizeof(tp)))
#define mi_heap_calloc_tp(hp, tp, n) ((tp*)mi_heap_calloc(hp, n, sizeof(tp)))
#define mi_heap_mallocn_tp(hp, tp, n) ((tp*)mi_heap_mallocn(hp, n, sizeof(tp)))
#define mi_heap_reallocn_tp(hp, p, tp, n) ((tp*)mi_heap_reallocn(hp, p, n, sizeof(tp)))
#define mi_heap_recalloc_tp(hp, p, tp, n) ((tp*)mi_heap_recalloc(hp, p, n, sizeof(tp)))

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
struct _mi_stl_allocator_common {
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
    void destroy(U* p) mi_attr_noexcept {
        p->~U();
    }
#else
    void construct(pointer p, value_type const& value) { ::new (static_cast<void*>(p)) value_type(value); }
    void destroy(pointer p) { p->~value_type(); }
#endif

    size_type max_size() const mi_attr_noexcept { return (static_cast<size_type>(-1) / 2) / sizeof(value_type); }
    pointer address(reference x) const { return &x; }
    const_pointer address(const_reference x) const { return &x; }
};

/* From the calling thread's default heap. */
template <class T>
struct mi_stl_allocator : public _mi_stl_allocator_common<T> {
    using typename _mi_stl_allocator_common<T>::size_type;
    using typename _mi_stl_allocator_common<T>::value_type;
    using typename _mi_stl_allocator_common<T>::pointer;
    template <class U>
    struct rebind {
        typedef mi_stl_allocator<U> other;
    };

    mi_stl_allocator() mi_attr_noexcept {}
    mi_stl_allocator(const mi_stl_allocator&) mi_attr_noexcept : _mi_stl_allocator_common<T>() {}
    template <class U>
    mi_stl_allocator(const mi_stl_allocator<U>&) mi_attr_noexcept {}
    mi_stl_allocator& operator=(const mi_stl_allocator&) mi_attr_noexcept { return *this; }
    mi_stl_allocator select_on_container_copy_construction() const { return *this; }

    mi_decl_nodiscard pointer allocate(size_type count, const void* = 0) {
        return static_cast<pointer>(mi_new_n(count, sizeof(value_type)));
    }
    void deallocate(pointer p, size_type) { mi_free(p); }

#if __cplusplus >= 201103L
    using is_always_equal = std::true_type;
#endif
};

template <class T1, class T2>
bool operator==(const mi_stl_allocator<T1>&, const mi_stl_allocator<T2>&) mi_attr_noexcept {
    return true;
}
template <class T1, class T2>
bool operator!=(const mi_stl_allocator<T1>&, const mi_stl_allocator<T2>&) mi_attr_noexcept {
    return false;
}

#if __cplusplus >= 201103L
#define MI_HAS_HEAP_STL_ALLOCATOR 1

/* From one heap: borrowed, or made by the allocator and ended with its last copy. */
template <class T, bool destroys>
struct _mi_heap_stl_allocator_common : public _mi_stl_allocator_common<T> {
    using typename _mi_stl_allocator_common<T>::size_type;
    using typename _mi_stl_allocator_common<T>::value_type;
    using typename _mi_stl_allocator_common<T>::pointer;

    /* A heap that the caller ends, after the last container. */
    _mi_heap_stl_allocator_common(mi_heap_t* borrowed) : heap(borrowed, [](mi_heap_t*) {}) {}
    _mi_heap_stl_allocator_common(const _mi_heap_stl_allocator_common& other) mi_attr_noexcept
        : _mi_stl_allocator_common<T>(), heap(other.heap) {}
    template <class U>
    _mi_heap_stl_allocator_common(const _mi_heap_stl_allocator_common<U, destroys>& other) mi_attr_noexcept
        : heap(other.heap) {}
    _mi_heap_stl_allocator_common& operator=(const _mi_heap_stl_allocator_common& other) mi_attr_noexcept {
        heap = other.heap;
        return *this;
    }

    mi_decl_nodiscard pointer allocate(size_type count, const void* = nullptr) {
        return static_cast<pointer>(mi_heap_alloc_new_n(heap.get(), count, sizeof(value_type)));
    }
    /* What a heap that is destroyed holds is freed with it. */
    void deallocate(pointer p, size_type) {
        if (!destroys) mi_free(p);
    }

    using is_always_equal = std::false_type;
    void collect(bool force) { mi_heap_collect(heap.get(), force); }
    template <class U>
    bool is_equal(const _mi_heap_stl_allocator_common<U, destroys>& other) const {
        return heap == other.heap;
    }

   protected:
    template <class U, bool d>
    friend struct _mi_heap_stl_allocator_common;
    std::shared_ptr<mi_heap_t> heap;

    _mi_heap_stl_allocator_common() : heap(mi_heap_new(), destroys ? mi_heap_destroy : mi_heap_delete) {}
};

/* Blocks are freed one by one; those that live when the heap is deleted go on living. */
template <class T>
struct mi_heap_stl_allocator : public _mi_heap_stl_allocator_common<T, false> {
    using typename _mi_heap_stl_allocator_common<T, false>::size_type;
    mi_heap_stl_allocator() : _mi_heap_stl_allocator_common<T, false>() {}
    mi_heap_stl_allocator(mi_heap_t* heap) : _mi_heap_stl_allocator_common<T, false>(heap) {}
    mi_heap_stl_allocator(const mi_heap_stl_allocator&) = default;
    mi_heap_stl_allocator& operator=(const mi_heap_stl_allocator&) = default;
    template <class U>
    mi_heap_stl_allocator(const mi_heap_stl_allocator<U>& other) mi_attr_noexcept
        : _mi_heap_stl_allocator_common<T, false>(other) {}
    mi_heap_stl_allocator select_on_container_copy_construction() const { return *this; }
    template <class U>
    struct rebind {
        typedef mi_heap_stl_allocator<U> other;
    };
};

template <class T1, class T2>
bool operator==(const mi_heap_stl_allocator<T1>& x, const mi_heap_stl_allocator<T2>& y) mi_attr_noexcept {
    return x.is_equal(y);
}
template <class T1, class T2>
bool operator!=(const mi_heap_stl_allocator<T1>& x, const mi_heap_stl_allocator<T2>& y) mi_attr_noexcept {
    return !x.is_equal(y);
}

/* Blocks are not freed one by one, but all at once when the heap is destroyed. */
template <class T>
struct mi_heap_destroy_stl_allocator : public _mi_heap_stl_allocator_common<T, true> {
    using typename _mi_heap_stl_allocator_common<T, true>::size_type;
    mi_heap_destroy_stl_allocator() : _mi_heap_stl_allocator_common<T, true>() {}
    mi_heap_destroy_stl_allocator(mi_heap_t* heap) : _mi_heap_stl_allocator_common<T, true>(heap) {}
    mi_heap_destroy_stl_allocator(const mi_heap_destroy_stl_allocator&) = default;
    mi_heap_destroy_stl_allocator& operator=(const mi_heap_destroy_stl_allocator&) = default;
    template <class U>
    mi_heap_destroy_stl_allocator(const mi_heap_destroy_stl_allocator<U>& other) mi_attr_noexcept
        : _mi_heap_stl_allocator_common<T, true>(other) {}
    mi_heap_destroy_stl_allocator select_on_container_copy_construction() const { return *this; }
    template <class U>
    struct rebind {
        typedef mi_heap_destroy_stl_allocator<U> other;
    };
};

template <class T1, class T2>
bool operator==(const mi_heap_destroy_stl_allocator<T1>& x, const mi_heap_destroy_stl_allocator<T2>& y) mi_attr_noexcept {
    return x.is_equal(y);
}
template <class T1, class T2>
bool operator!=(const mi_heap_destroy_stl_allocator<T1>& x, const mi_heap_destroy_stl_allocator<T2>& y) mi_attr_noexcept {
    return !x.is_equal(y);
}

#endif /* C++11 */
#endif /* C++ */

#endif /* MIMALLOC_H */
