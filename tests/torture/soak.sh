#!/usr/bin/env bash
# Runs a real host at half of its peak for PM_SOAK_SECONDS (3,300 when not set) with a fault every
# 10 s and an audit each minute (tests/soak). What it found lies in build/torture/soak.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
source tests/torture/record.sh

seconds=${PM_SOAK_SECONDS:-3300}
build=$PWD/build/test
state=$PWD/build/torture/soak
mkdir -p "$state"

[ -f "$build/build.ninja" ] || cmake --preset test >&2 || exit 1
cmake --build "$build" -j "$(nproc)" --target host_soak_test >&2 || exit 1

seed=${PM_SEED:-$(date +%s)}
PM_SEED=$seed PM_SOAK_SECONDS=$seconds GTEST_FILTER='soak.*' ctest --test-dir "$build" \
  -R '^host_soak_test$' -V --timeout $((seconds + 1200)) >"$state/log" 2>&1
status=$?
grep -aoE 'soak: .*' "$state/log" || true
# soak: N calls, N refused, N faults, N checks, N lives, N findings
summary=$(grep -aoE 'soak: [0-9]+ calls, .*' "$state/log" | tail -n 1)
# One that was ended or crashed has found something, too.
summary=${summary:-soak: 0 calls, 0 refused, 0 faults, 0 checks, 0 lives, 1 findings}
IFS=, read -r calls refused faults checks lives findings <<<"${summary#soak: }"
findings=$(tr -dc 0-9 <<<"$findings")
slope=$(grep -aoE 'slope [^ ]+ \+- [^ ]+ MiB/h' "$state/log" | tail -n 1)
if [ "$status" -ne 0 ]; then
  [ "$findings" -gt 0 ] || findings=1
  cp "$state/log" "$state/found-$seed"
  echo "soak: PM_SEED=$seed found something; see $state/found-$seed" >&2
fi
record soak "seed $seed, $seconds s" "$calls" \
  "${refused# }, ${faults# }, ${checks# }, ${lives# }, last life: $slope" "$findings"
[ "$findings" -eq 0 ]
