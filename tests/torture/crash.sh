#!/usr/bin/env bash
# Runs the matrix of kills (tests/crash): its 192 cells with each of PM_CRASH_SEEDS seeds, 40 when
# not set, which are 7,680 cells; with each fourth seed the host dies once more while it recovers.
# Goes on behind the last seed of the run before (build/torture/crash/next), for PM_CRASH_SECONDS,
# 3,300 when not set.
set -uo pipefail
source tests/torture/record.sh

seeds=${PM_CRASH_SEEDS:-40}
seconds=${PM_CRASH_SECONDS:-3300}
slice=4
build=$PWD/build/test
state=$PWD/build/torture/crash
mkdir -p "$state"

[ -f "$build/build.ninja" ] || cmake --preset test || exit 1
cmake --build "$build" -j "$(nproc)" --target host_crash_test || exit 1

first=$(cat "$state/next" 2>/dev/null || echo 1)
end=$((first + seeds))
next=$first
cells=0 kills=0 doubles=0 findings=0
begin=$SECONDS
while [ "$next" -lt "$end" ] && [ $((SECONDS - begin)) -lt "$seconds" ] && [ "$findings" -eq 0 ]; do
  count=$((end - next < slice ? end - next : slice))
  status=0
  PM_BUILD_DIR=$build PM_SEED=$next PM_CRASH_SEEDS=$count "$build/tests/host_crash_test" \
    --gtest_filter='crash_matrix.a_kill_at_any_step*' >"$state/log" 2>&1 || status=$?
  # crash: N cells, N kills, N double kills, N findings
  read -r -a words <<<"$(grep -a '^crash: ' "$state/log" | tail -1)"
  cells=$((cells + ${words[1]:-0}))
  kills=$((kills + ${words[3]:-0}))
  doubles=$((doubles + ${words[5]:-0}))
  # One that was ended or crashed has found something, too.
  new=${words[8]:-1}
  [ "$status" -eq 0 ] || [ "$new" -gt 0 ] || new=1
  findings=$((findings + new))
  if [ "$new" -gt 0 ]; then
    found=$state/found-$(date -u +%s)
    cp "$state/log" "$found"
    echo "crash: found something; see $found" >&2
    grep -a 'PM_CRASH_CELL=' "$found" >&2
  fi
  next=$((next + count))
  echo "$next" >"$state/next"
done
spent=$((SECONDS - begin))
echo "crash: $cells cells from seed $first on, $kills kills, $doubles twice, $findings findings"
record crash "from seed $first on, $spent s" "$kills kills" "$cells cells, $doubles killed twice" \
  "$findings"
[ "$findings" -eq 0 ]
