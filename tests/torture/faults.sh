#!/usr/bin/env bash
# Runs the tests of faults (tests/faults) at length: each in slices of a seed and a count of its
# own, until it has had its count or its time. PM_FAULTS_SECONDS is the time of each test (400),
# PM_FAULTS_TESTS names those to run. The seed of the next slice lies in build/torture/faults/TEST,
# so the next run goes on from there; logs of slices that found something lie beside it.
set -uo pipefail
source tests/torture/record.sh

seconds=${PM_FAULTS_SECONDS:-400}
# Test, its filter, the count of faults at length, and of a slice.
all='tier_nth * 10000 1000
repository_nth * 5000 100
store_damage * 3000 300
tier_damage * 3000 300
memory *memory* 5000 50
descriptors *descriptors* 100 20
address_space *address_space* 100 20
full_shm *full_shared* 170 17
full_disk *full_disk_refuses* 170 17
full_repository *full_disk_of* 160 16
lying_sync *loses_what* 200 10'
state=$PWD/build/torture/faults
mkdir -p "$state"

[ -f build/test/build.ninja ] || cmake --preset test || exit 1
cmake --build build/test -j "$(nproc)" --target faults_programs || exit 1

# Where the state of hosts lies, and which program it is.
program_of() {
  case $1 in
    memory | descriptors | address_space) echo limits ;;
    full_* | lying_sync) echo media ;;
    *) echo "$1" ;;
  esac
}

findings=0
while read -r test filter count slice; do
  [ -z "${PM_FAULTS_TESTS:-}" ] || [[ " $PM_FAULTS_TESTS " == *" $test "* ]] || continue
  program=$(program_of "$test")
  folder=/dev/shm
  [ "$program" != media ] || folder=/tmp
  seed=$(cat "$state/$test" 2>/dev/null || echo 1)
  first=$seed
  done=0
  found=0
  skipped=
  begin=$SECONDS
  while [ "$done" -lt "$count" ] && [ $((SECONDS - begin)) -lt "$seconds" ] &&
    [ "$found" -eq 0 ] && [ -z "$skipped" ]; do
    log=$state/$test.log
    TMPDIR=$folder PM_BUILD_DIR=$PWD/build/test PM_SEED=$seed PM_FAULTS=$slice \
      PM_IO_FAULT_LIBRARY=$PWD/build/test/tests/faults/io_fault.so \
      PM_MEMORY_FAULT_LIBRARY=$PWD/build/test/tests/faults/memory_fault.so \
      timeout 1800 "build/test/tests/faults_${program}_test" --gtest_filter="$filter" \
      >"$log" 2>&1 </dev/null || found=1
    [ "$found" -eq 0 ] || cp "$log" "$state/found-$test-$seed"
    grep -q 'SKIPPED: ' "$log" && skipped=$(sed -nE 's/.*(SKIPPED: .*)/\1/p' "$log" | head -1)
    injected=$(sed -nE "s/^faults $test: ([0-9]+) faults, .*/\1/p" "$log" |
      awk '{sum += $1} END {print sum + 0}')
    done=$((done + injected))
    seed=$((seed + 1))
  done
  echo "$seed" >"$state/$test"
  findings=$((findings + found))
  [ "$found" -eq 0 ] || echo "faults $test: see $state/found-$test-$((seed - 1))" >&2
  what="$test, from seed $first on, $((SECONDS - begin)) s"
  echo "faults $what: $done faults, $found findings $skipped"
  record faults "$what" "$done faults" \
    "${skipped:-$((seed - first)) seeds}" "$found"
done <<<"$all"
[ "$findings" -eq 0 ]
