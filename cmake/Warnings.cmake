# Strict warnings, clean under g++ 12 and clang 14; errors in the developers' presets.
add_library(lifeboat_warnings INTERFACE)
target_compile_options(lifeboat_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wnull-dereference -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum
  # designated initialisers leave fields at their declared defaults on purpose
  -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports null dereferences and overflows deep inside the standard library's own inlined code
  target_compile_options(lifeboat_warnings INTERFACE -Wno-null-dereference)
endif()
if(LIFEBOAT_WARNINGS_AS_ERRORS)
  target_compile_options(lifeboat_warnings INTERFACE -Werror)
endif()

if(LIFEBOAT_SANITIZE)
  add_compile_options(-fsanitize=${LIFEBOAT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${LIFEBOAT_SANITIZE})
endif()
