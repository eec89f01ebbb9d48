#!/usr/bin/env bash
# Cuts the power PM_POWER_CUTS times (2,000 when not set) under a real host: recordings of
# PM_POWER_SLICE cuts (500) each, every one with a seed of its own, which goes on behind the last
# seed of the run before (build/torture/power/next); for PM_POWER_SECONDS, 3,300 when not set. What
# was found lies in build/torture/power/found. The last line: power: N cuts, N second cuts, ...
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
source tests/torture/record.sh

cuts=${PM_POWER_CUTS:-2000}
slice=${PM_POWER_SLICE:-500}
seconds=${PM_POWER_SECONDS:-3300}
build=$PWD/build/test
state=$PWD/build/torture/power
mkdir -p "$state"

[ -f "$build/build.ninja" ] || cmake --preset test >&2 || exit 1
cmake --build "$build" -j "$(nproc)" --target power_test >&2 || exit 1

seed=$(cat "$state/next" 2>/dev/null || echo 1)
first=$seed
sums=(0 0 0 0)
findings=0
begin=$SECONDS
while [ "${sums[0]}" -lt "$cuts" ] && [ $((SECONDS - begin)) -lt "$seconds" ] &&
  [ "$findings" -eq 0 ]; do
  log=$state/$seed.log
  left=$((cuts - sums[0]))
  PM_BUILD_DIR=$build PM_SEED=$seed PM_POWER_CUTS=$((left < slice ? left : slice)) \
    PM_POWER_KEEP=$state/found timeout 1800 "$build/tests/power_test" \
    --gtest_filter='Power.nothing*:Power.each*' >"$log" 2>&1 || findings=1
  # power: N cuts, N second cuts, N syncs, N answers, ...
  summary=$(grep -a '^power: ' "$log" | tail -n 1)
  read -ra numbers <<<"$(tr -c '0-9\n' ' ' <<<"${summary:-0 0 0 0}")"
  for at in 0 1 2 3; do sums[at]=$((sums[at] + numbers[at])); done
  if [ "$findings" -eq 0 ]; then
    rm -f "$log"
  else
    echo "power: seed $seed found something; see $log and $state/found" >&2
  fi
  seed=$((seed + 1))
  echo "$seed" >"$state/next"
done
spent=$((SECONDS - begin))
measure="${sums[1]} second cuts, ${sums[2]} syncs, ${sums[3]} answers"
echo "power: ${sums[0]} cuts, $measure, seeds $first to $((seed - 1)), $spent s, $findings findings"
record power "seeds $first to $((seed - 1)), $spent s" "${sums[0]} cuts" "$measure" "$findings"
[ "$findings" -eq 0 ]
