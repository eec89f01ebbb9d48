#!/usr/bin/env bash
# Builds one preset and runs its tests: run.sh test|asan|tsan.
# The sanitizer builds run what is labelled unit, contract or concurrency.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
build=build/$preset

[ -f "$build/build.ninja" ] || cmake --preset "$preset"
cmake --build "$build" -j "$(nproc)"

arguments=(--test-dir "$build" --output-on-failure --timeout 900)
case $preset in
  test)
    ;;
  asan)
    export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1
    export UBSAN_OPTIONS=print_stacktrace=1
    arguments+=(-L 'unit|contract|concurrency')
    ;;
  tsan)
    # Debian's gRPC and protobuf are not instrumented; only their names are suppressed.
    TSAN_OPTIONS="suppressions=$PWD/tests/tsan.supp ignore_noninstrumented_modules=1"
    export TSAN_OPTIONS
    arguments+=(-L 'unit|contract|concurrency')
    ;;
esac
ctest "${arguments[@]}"
