#!/usr/bin/env bash
# Kills the host under eight recording clients for PM_HISTORY_SECONDS (50 minutes), and checks what
# they saw. The last line: history: N kills, N operations, N findings.
set -euo pipefail
cd "$(dirname "$0")/../.."
source tests/torture/record.sh
build=$PWD/build/test

[ -f "$build/build.ninja" ] || cmake --preset test >&2
cmake --build "$build" -j "$(nproc)" --target host_history_test >&2

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
PM_BUILD_DIR=$build PM_HISTORY_KILLS=${PM_HISTORY_KILLS:-1000000} \
  PM_HISTORY_SECONDS=${PM_HISTORY_SECONDS:-3000} \
  timeout 3500 "$build/tests/host_history_test" | tee "$log" || status=$?
summary=$(grep '^history: ' "$log" | tail -n 1)
# One that was ended or crashed has found something, too.
summary=${summary:-history: 0 kills, 0 operations, 1 findings}
IFS=, read -r kills operations findings <<<"${summary#history: }"
findings=$(tr -dc 0-9 <<<"$findings")
record history "${PM_HISTORY_SECONDS:-3000} s" "$kills" "${operations# }" "$findings"
echo "$summary"
exit "$status"
