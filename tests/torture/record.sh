# To be sourced: record PART WHAT COUNT MEASURE FINDINGS appends a line to the table of runs at the
# end of docs/RELIABILITY.md, with the date and the commit.
record() {
  local commit
  commit=$(git rev-parse --short HEAD)
  git diff --quiet HEAD -- core plugins sdk proto pm-host || commit="$commit+"
  printf '| %s | %s | %s | %s | %s | %s | %s |\n' "$(date -u +%F)" "$commit" "$@" \
    >>docs/RELIABILITY.md
}
