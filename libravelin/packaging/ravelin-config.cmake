# Ravelin for CMake.
#
#   find_package(ravelin)
#   target_link_libraries(program ravelin::ravelin)        the shared library, libravelin.so
#   target_link_libraries(program ravelin::static)         the archive
#   target_link_libraries(program ravelin::object)         one object: the archive, for linkers that would leave it out
#
# Builds that are installed beside it: ravelin::ravelin-fast, ravelin::static-fast, ravelin::object-fast; likewise -paranoid, -debug.
include(CMakeFindDependencyMacro)
find_dependency(Threads)

get_filename_component(_ravelin_prefix "${CMAKE_CURRENT_LIST_DIR}/../../@UP@" ABSOLUTE)

# One build: NAME is the file's, SUFFIX stands behind the targets' names.
macro(_ravelin_build NAME SUFFIX)
  if(NOT TARGET ravelin::ravelin${SUFFIX})
    add_library(ravelin::ravelin${SUFFIX} SHARED IMPORTED)
    set_target_properties(ravelin::ravelin${SUFFIX} PROPERTIES
      IMPORTED_LOCATION "${_ravelin_prefix}/@LIBDIR@/${NAME}.so"
      IMPORTED_SONAME "${ARGV2}"
      INTERFACE_INCLUDE_DIRECTORIES "${_ravelin_prefix}/include"
      # The linker would drop a library of which the program calls nothing by name but malloc.
      INTERFACE_LINK_OPTIONS "-Wl,--no-as-needed")
    add_library(ravelin::static${SUFFIX} STATIC IMPORTED)
    set_target_properties(ravelin::static${SUFFIX} PROPERTIES
      IMPORTED_LOCATION "${_ravelin_prefix}/@LIBDIR@/${NAME}.a"
      INTERFACE_INCLUDE_DIRECTORIES "${_ravelin_prefix}/include"
      INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS}")
    add_library(ravelin::object${SUFFIX} INTERFACE IMPORTED)
    set_target_properties(ravelin::object${SUFFIX} PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "${_ravelin_prefix}/include"
      INTERFACE_LINK_LIBRARIES "${_ravelin_prefix}/@LIBDIR@/${NAME}.o;Threads::Threads;${CMAKE_DL_LIBS}")
  endif()
endmacro()

file(GLOB _ravelin_builds "${CMAKE_CURRENT_LIST_DIR}/ravelin-build-*.cmake")
foreach(_ravelin_file IN LISTS _ravelin_builds)
  include("${_ravelin_file}")
endforeach()
unset(_ravelin_builds)
unset(_ravelin_file)
