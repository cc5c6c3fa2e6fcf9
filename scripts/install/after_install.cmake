# Runs at the end of `cmake --install`, with `prefix`, the directories beneath it, `source` and `build`.
# An installation into DESTDIR is a packager's: it gets the files, and nothing on this machine is
# looked at.

macro(make_absolute directory)
  cmake_path(ABSOLUTE_PATH ${directory} BASE_DIRECTORY "${prefix}" NORMALIZE)
endmacro()
make_absolute(sbindir)
make_absolute(libdir)

# The units name the programs by their paths, which are known only now.
foreach(daemon rexecd notifyd)
  configure_file("${source}/${daemon}/${daemon}.service.in" "${build}/${daemon}.service" @ONLY)
  file(INSTALL "${build}/${daemon}.service" DESTINATION "${prefix}/lib/systemd/system")
endforeach()

function(run result)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE output ERROR_QUIET RESULT_VARIABLE status)
  set(${result} "${output}" PARENT_SCOPE)
endfunction()

# One that searches our directory has to be told of the new library; one that does not, is our user.s to
# tell.
function(see_to_the_loader)
  find_program(ldconfig ldconfig PATHS /sbin /usr/sbin NO_CACHE)
  if(NOT ldconfig)
    return()
  endif()
  run(searched ${ldconfig} -N -X -v)
  string(FIND "\n${searched}" "\n${libdir}:" searched_here)
  if(searched_here EQUAL -1)
    message(STATUS "The dynamic loader does not search ${libdir}. Link programs with "
                   "-Wl,-rpath,${libdir}, or, as root, "
                   "echo ${libdir} >/etc/ld.so.conf.d/rfork.conf && ldconfig")
    return()
  endif()
  run(user id -u)
  if(user EQUAL 0)
    run(ignored ${ldconfig})
  endif()
  run(known ${ldconfig} -p)
  string(FIND "${known}" "${libdir}/librfork.so.0" known_here)
  if(known_here EQUAL -1)
    message(STATUS "The dynamic loader does not know ${libdir}/librfork.so.0 yet: "
                   "run ldconfig as root")
  endif()
endfunction()

if("$ENV{DESTDIR}" STREQUAL "")
  see_to_the_loader()
endif()
