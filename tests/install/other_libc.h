/* What a C library looks like to rfork.h that is not the GNU one. */
#undef __GLIBC__
