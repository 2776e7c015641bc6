# The @BUILD@ build of Ravelin.
_ravelin_build("@LIBRARY@" "@SUFFIX@" "@SONAME@")
