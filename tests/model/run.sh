#!/usr/bin/env bash
# Checks the protocol of leases without a call with spin, and that spin finds each planted mistake.
set -euo pipefail

model=$(cd "$(dirname "$0")" && pwd)/leases.pml
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

# Prints how many errors spin found.
check() {
  spin -a "$@" "$model" > spin.txt
  cc -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c
  ./pan -m1000000 > pan.txt
  if grep -q 'max search depth too small\|out of memory' pan.txt; then
    cat pan.txt >&2
    exit 1
  fi
  sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.txt
}

errors=$(check)
states=$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' pan.txt)
echo "leases: $errors errors in $states states"
[ "$errors" = 0 ] || { cat pan.txt; exit 1; }
for mistake in NO_CLIENT_FENCE NO_HOST_FENCE NO_SECOND_LOOK NO_SCAN NO_ID_CHECK; do
  errors=$(check "-D$mistake")
  echo "$mistake: $errors errors"
  [ "$errors" != 0 ] || { echo "spin does not find $mistake"; exit 1; }
done
