/* mimalloc-new-delete.h: operator new and operator delete of the program become mimalloc's functions.
 *
 * To be included in one source of the program: the operators are defined here. (A program that is linked with libravelin has
 * them without this.)
 */
#ifndef MIMALLOC_NEW_DELETE_H
#define MIMALLOC_NEW_DELETE_H

#if defined(__cplusplus)
#include <mimalloc.h>
#include <new>

void operator delete(void* p) mi_attr_noexcept { mi_free(p); }
void operator delete[](void* p) mi_attr_noexcept { mi_free(p); }
void operator delete(void* p, const std::nothrow_t&) mi_attr_noexcept { mi_free(p); }
void operator delete[](void* p, const std::nothrow_t&) mi_attr_noexcept { mi_free(p); }

void* operator new(std::size_t n) { return mi_new(n); }
void* operator new[](std::size_t n) { return mi_new(n); }
void* operator new(std::size_t n, const std::nothrow_t&) mi_attr_noexcept { return mi_new_nothrow(n); }
void* operator new[](std::size_t n, const std::nothrow_t&) mi_attr_noexcept { return mi_new_nothrow(n); }

#if __cplusplus >= 201402L
void operator delete(void* p, std::size_t n) mi_attr_noexcept { mi_free_size(p, n); }
void operator delete[](void* p, std::size_t n) mi_attr_noexcept { mi_free_size(p, n); }
#endif

#if defined(__cpp_aligned_new)
void operator delete(void* p, std::align_val_t a) mi_attr_noexcept {
    mi_free_aligned(p, static_cast<std::size_t>(a));
}
void operator delete[](void* p, std::align_val_t a) mi_attr_noexcept {
    mi_free_aligned(p, static_cast<std::size_t>(a));
}
void operator delete(void* p, std::size_t n, std::align_val_t a) mi_attr_noexcept {
    mi_free_size_aligned(p, n, static_cast<std::size_t>(a));
}
void operator delete[](void* p, std::size_t n, std::align_val_t a) mi_attr_noexcept {
    mi_free_size_aligned(p, n, static_cast<std::size_t>(a));
}
void operator delete(void* p, std::align_val_t a, const std::nothrow_t&) mi_attr_noexcept {
    mi_free_aligned(p, static_cast<std::size_t>(a));
}
void operator delete[](void* p, std::align_val_t a, const std::nothrow_t&) mi_attr_noexcept {
    mi_free_aligned(p, static_cast<std::size_t>(a));
}
void* operator new(std::size_t n, std::align_val_t a) { return mi_new_aligned(n, static_cast<std::size_t>(a)); }
void* operator new[](std::size_t n, std::align_val_t a) { return mi_new_aligned(n, static_cast<std::size_t>(a)); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) mi_attr_noexcept {
    return mi_new_aligned_nothrow(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) mi_attr_noexcept {
    return mi_new_aligned_nothrow(n, static_cast<std::size_t>(a));
}
#endif
#endif

#endif /* MIMALLOC_NEW_DELETE_H */
