#!/usr/bin/env bash
# Tests that take minutes to hours: run.sh PART...; without one, all parts. Each part is a script
# beside this one, PART.sh, which
#   - says in its head what it does and which variables it reads (seconds, seeds, counts),
#   - is run from the root of the project, builds what it needs, keeps its state below build/ so
#     that the next run goes on from there,
#   - appends one line for each thing it ran by `record` (record.sh), and exits 1 on a finding.
set -uo pipefail
cd "$(dirname "$0")/../.."

parts=("$@")
if [ ${#parts[@]} -eq 0 ]; then
  for script in tests/torture/*.sh; do
    name=$(basename "$script" .sh)
    case $name in run | record) ;; *) parts+=("$name") ;; esac
  done
fi

failed=()
for part in "${parts[@]}"; do
  if [ ! -f "tests/torture/$part.sh" ]; then
    echo "torture: there is no part '$part'; parts: $(cd tests/torture && ls ./*.sh |
      sed 's|^./||; s|\.sh$||' | grep -vx -e run -e record | tr '\n' ' ')" >&2
    exit 2
  fi
  echo "torture: $part"
  bash "tests/torture/$part.sh" || failed+=("$part")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "torture: findings in ${failed[*]}" >&2
  exit 1
fi
echo "torture: ${parts[*]}: no finding"
