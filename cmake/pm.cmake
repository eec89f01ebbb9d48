# How every part of the project is compiled, and the two functions that declare plugins and tests.

include(GNUInstallDirs)
find_package(Threads REQUIRED)

set(CMAKE_C_STANDARD 11)
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

find_program(PM_CCACHE ccache)
if(PM_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${PM_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PM_CCACHE})
endif()
find_program(PM_MOLD mold)
if(PM_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wno-sign-conversion -Werror)
add_compile_definitions(_GNU_SOURCE _FILE_OFFSET_BITS=64)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports these in its own standard library at -O2 (GCC bugs 105651, 105329).
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(PM_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(PM_SANITIZE STREQUAL "fuzzer")
  # What libFuzzer watches; a fuzz target also links its main (tests/fuzz).
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
                      -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(PM_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
endif()
if(PM_FAILPOINTS)
  add_compile_definitions(PM_FAILPOINTS=1)
endif()

# pm_add_plugin(NAME [FOR_TESTS] SOURCE... [LIBRARIES LIBRARY...])
# A module that sees sdk/include and nothing else of the project, and exports one symbol.
# FOR_TESTS: it lies in a folder of its own, payload-manager-test, and is installed there only by
# `cmake --install BUILD --component test`.
function(pm_add_plugin name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "FOR_TESTS" "" "LIBRARIES")
  set(folder payload-manager)
  set(component COMPONENT runtime)
  if(arg_FOR_TESTS)
    set(folder payload-manager-test)
    set(component COMPONENT test EXCLUDE_FROM_ALL)
  endif()
  add_library(${name} MODULE ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE pm::sdk ${arg_LIBRARIES} Threads::Threads)
  set_target_properties(${name} PROPERTIES PREFIX ""
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib/${folder})
  target_link_options(${name} PRIVATE
    LINKER:--version-script=${PROJECT_SOURCE_DIR}/cmake/plugin.map)
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/${folder} ${component})
endfunction()

# pm_add_test(NAME SOURCE... [LIBRARIES LIBRARY...] [LABELS LABEL...] [TIMEOUT SECONDS]
#             [ENVIRONMENT NAME=VALUE...])
# A GoogleTest program, run as one test of CTest under the same name.
# Labels: unit, contract, integration, concurrency (what `make sanitize` picks by).
function(pm_add_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "LIBRARIES;LABELS;ENVIRONMENT")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${arg_LIBRARIES} GTest::gtest GTest::gmock
    GTest::gtest_main Threads::Threads)
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${name} COMMAND ${name} WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set(environment PM_BUILD_DIR=${CMAKE_BINARY_DIR} PM_SOURCE_DIR=${PROJECT_SOURCE_DIR}
    ${arg_ENVIRONMENT})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "${environment}")
endfunction()
