#!/usr/bin/env bash
# Runs every measurement of a release build, or those named, and prints one JSON object a line:
#   tests/perf/run.sh BUILD-DIRECTORY [NAME...]    NAME: engine, grpc, put, moves, ...
# PM_PERF_QUICK=1 shortens it. An aim that is missed is told, and no failure; exits with 1 when a
# measurement broke.
set -uo pipefail
export LC_ALL=C

all=(engine grpc put pressure moves lease_p99 scale list rss start repository disk_tier streams
  policy local sealed local_lease peers)
if [ $# -lt 1 ] || [ ! -d "$1/bin" ]; then
  echo "usage: $0 BUILD-DIRECTORY [NAME...]; names: ${all[*]}" >&2
  exit 2
fi
build=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- "${all[@]}"
export PM_BUILD_DIR=$build

broken=0
for name in "$@"; do
  arguments=()
  # With io_uring and the page cache, the disk tier's own rounds are the longest of all.
  [ "$name" != disk_tier ] || [ "${PM_PERF_QUICK:-}" != 1 ] || arguments=(/tmp 3 256)
  if ! "$build/bin/perf_$name" ${arguments[@]+"${arguments[@]}"}; then
    echo "$0: perf_$name broke" >&2
    broken=1
  fi
done
exit $broken
