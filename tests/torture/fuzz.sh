#!/usr/bin/env bash
# Runs each fuzz target (tests/fuzz) for PM_FUZZ_SECONDS seconds, 420 when not set: 56 minutes for
# the eight. PM_FUZZ_TARGETS names those to run. Corpora grow in build/torture/fuzz/TARGET; what was
# found lies in build/torture/fuzz/found/TARGET, to be put into tests/fuzz/corpus/TARGET.
set -uo pipefail
source tests/torture/record.sh

seconds=${PM_FUZZ_SECONDS:-420}
read -ra targets <<<"${PM_FUZZ_TARGETS:-config filter rows plugin disk shm client dispatcher}"
state=$PWD/build/torture/fuzz

[ -f build/fuzz/build.ninja ] || cmake --preset fuzz || exit 1
cmake --build --preset fuzz -j "$(nproc)" || exit 1

findings=0
for target in "${targets[@]}"; do
  grown=$state/$target
  found=$state/found/$target
  log=$state/$target.log
  mkdir -p "$grown" "$found"
  # The engine's life, for targets that keep one over several inputs.
  export PM_FUZZ_LIFE=$state/$target.life
  before=$(find "$found" -type f | wc -l)
  build/fuzz/tests/fuzz_"$target" -max_total_time="$seconds" -max_len=4096 -timeout=20 \
    -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="$found/" \
    "$grown" "tests/fuzz/corpus/$target" 2>&1 |
    grep -av -e '^[-0-9T:.]*Z error ' -e '^\[libprotobuf ERROR' >"$log"
  status=${PIPESTATUS[0]}
  new=$(($(find "$found" -type f | wc -l) - before))
  [ "$status" -eq 0 ] || [ "$new" -gt 0 ] || new=1
  if [ "$new" -gt 0 ]; then
    [ ! -f "$PM_FUZZ_LIFE" ] || cp "$PM_FUZZ_LIFE" "$found/life-$(date -u +%s)"
    echo "fuzz $target: found something; see $log and $found" >&2
  fi
  findings=$((findings + new))
  count=$(sed -nE 's/^stat::number_of_executed_units: *([0-9]+)$/\1/p' "$log" | tail -1)
  edges=$(grep -aoE 'cov: [0-9]+' "$log" | tail -1)
  all=$(sed -nE 's/^INFO: Loaded 1 PC tables \(([0-9]+) PCs\).*/\1/p' "$log")
  measure="${edges#cov: } of ${all:-?} edges"
  echo "fuzz $target: ${count:-0} inputs in $seconds s, $measure, $new findings"
  record fuzz "$target, $seconds s" "${count:-0} inputs" "$measure" "$new"
done
[ "$findings" -eq 0 ]
