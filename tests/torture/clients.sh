#!/usr/bin/env bash
# Kills PM_CLIENT_KILLS clients (2,000 when not set) of a real host, stops half as many past their
# time, and lets the host's clock jump a tenth as often: in slices of 200, 100 and 20, each with a
# seed of its own, which goes on behind the last of the run before (build/torture/clients/next), for
# PM_CLIENTS_SECONDS, 3,300 when not set. The last line: clients: N kills, N stops, ...
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
source tests/torture/record.sh

kills_wanted=${PM_CLIENT_KILLS:-2000}
seconds=${PM_CLIENTS_SECONDS:-3300}
slice=200
build=$PWD/build/test
state=$PWD/build/torture/clients
mkdir -p "$state"

[ -f "$build/build.ninja" ] || cmake --preset test >&2 || exit 1
cmake --build "$build" -j "$(nproc)" --target host_client_kill_test host_client_stop_test \
  host_clock_test >&2 || exit 1

seed=$(cat "$state/next" 2>/dev/null || echo 1)
first=$seed
kills=0 stops=0 jumps=0 findings=0
begin=$SECONDS

# run TEST VARIABLE=COUNT: by ctest, which knows the test's environment. One that fails, crashes or
# is ended has found something.
run() {
  env PM_SEED="$seed" "$2" ctest --test-dir "$build" -R "^$1\$" -V --timeout 1800 \
    >"$state/log" 2>&1 && return
  findings=$((findings + 1))
  cp "$state/log" "$state/found-$1-$seed"
  echo "clients: $1 with PM_SEED=$seed found something; see $state/found-$1-$seed" >&2
}
# The sum of the numbers before WORD in the log.
count() {
  grep -aoE "(clients|clocks): [0-9]+ $1" "$state/log" | awk '{sum += $2} END {print sum + 0}'
}

while [ "$kills" -lt "$kills_wanted" ] && [ $((SECONDS - begin)) -lt "$seconds" ] &&
  [ "$findings" -eq 0 ]; do
  left=$((kills_wanted - kills))
  part=$((left < slice ? left : slice))
  run host_client_kill_test PM_CLIENT_KILLS="$part"
  kills=$((kills + $(count kills)))
  run host_client_stop_test PM_CLIENT_STOPS=$((part / 2 + part / 2 % 2))
  stops=$((stops + $(count stops)))
  run host_clock_test PM_CLOCK_JUMPS=$((part / 10))
  jumps=$((jumps + $(count jumps)))
  seed=$((seed + 1))
  echo "$seed" >"$state/next"
done
spent=$((SECONDS - begin))
measure="$stops stops, $jumps clock jumps"
echo "clients: $kills kills, $measure, seeds $first to $((seed - 1)), $spent s, $findings findings"
record clients "seeds $first to $((seed - 1)), $spent s" "$kills kills" "$measure" "$findings"
[ "$findings" -eq 0 ]
