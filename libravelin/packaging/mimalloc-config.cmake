# mimalloc for CMake, served by Ravelin @VERSION@: the targets mimalloc and mimalloc-static.
get_filename_component(MIMALLOC_CMAKE_DIR "${CMAKE_CURRENT_LIST_DIR}" ABSOLUTE)
get_filename_component(MIMALLOC_LIBRARY_DIR "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)
get_filename_component(MIMALLOC_INCLUDE_DIR "${CMAKE_CURRENT_LIST_DIR}/../../@UP@/include" ABSOLUTE)
set(MIMALLOC_OBJECT_DIR "${MIMALLOC_LIBRARY_DIR}")
set(MIMALLOC_TARGET_DIR "${MIMALLOC_LIBRARY_DIR}")
set(MIMALLOC_VERSION_DIR "")

include(CMakeFindDependencyMacro)
find_dependency(Threads)

if(NOT TARGET mimalloc)
  add_library(mimalloc SHARED IMPORTED)
  set_target_properties(mimalloc PROPERTIES
    IMPORTED_LOCATION "${MIMALLOC_LIBRARY_DIR}/@LIBRARY@.so"
    IMPORTED_SONAME "@SONAME@"
    INTERFACE_INCLUDE_DIRECTORIES "${MIMALLOC_INCLUDE_DIR}"
    INTERFACE_LINK_OPTIONS "-Wl,--no-as-needed")
endif()
if(NOT TARGET mimalloc-static)
  add_library(mimalloc-static STATIC IMPORTED)
  set_target_properties(mimalloc-static PROPERTIES
    IMPORTED_LOCATION "${MIMALLOC_LIBRARY_DIR}/@LIBRARY@.a"
    INTERFACE_INCLUDE_DIRECTORIES "${MIMALLOC_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS}")
endif()
