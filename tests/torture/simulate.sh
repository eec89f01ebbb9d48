#!/usr/bin/env bash
# Runs the simulation (tests/simulation) over PM_SEEDS seeds of 1,000 steps, a million when not set,
# in slices of 5,000 and on every processor. Goes on behind the last seed of the run before
# (build/torture/simulate/next), for PM_SIMULATE_SECONDS, 3,300 when not set.
set -uo pipefail
source tests/torture/record.sh

seeds=${PM_SEEDS:-1000000}
seconds=${PM_SIMULATE_SECONDS:-3300}
slice=5000
state=$PWD/build/torture/simulate
mkdir -p "$state"

[ -f build/test/build.ninja ] || cmake --preset test || exit 1
cmake --build build/test -j "$(nproc)" --target simulation_test || exit 1

first=$(cat "$state/next" 2>/dev/null || echo 1)
end=$((first + seeds))
next=$first
findings=0
begin=$SECONDS
while [ "$next" -lt "$end" ] && [ $((SECONDS - begin)) -lt "$seconds" ] && [ "$findings" -eq 0 ]; do
  workers=()
  for ((worker = 0; worker < $(nproc) && next < end; ++worker, next += slice)); do
    PM_SEED=$next PM_SEEDS=$((end - next < slice ? end - next : slice)) \
      build/test/tests/simulation_test \
      --gtest_filter=simulation.nothing_acknowledged_is_lost_whatever_fails \
      >"$state/$worker.log" 2>&1 &
    workers+=($!)
  done
  for worker in "${!workers[@]}"; do
    wait "${workers[$worker]}" && continue
    findings=$((findings + 1))
    cp "$state/$worker.log" "$state/found-$(date -u +%s)-$worker"
    grep -a 'make simulate SEED=' "$state/$worker.log" >&2
  done
done
[ "$next" -le "$end" ] || next=$end
echo "$next" >"$state/next"
count=$((next - first))
spent=$((SECONDS - begin))
echo "simulate: $count seeds of 1,000 steps from $first on, $spent s, $findings findings"
record simulate "from seed $first on, $spent s" "$count seeds" "1,000 steps each" "$findings"
[ "$findings" -eq 0 ]
