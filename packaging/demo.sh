#!/usr/bin/env bash
# The main job on a real file, with a host of its own: stored in shared memory, read by other
# processes, spilled to disk, promoted back, and read again after the host was killed.
#
#   packaging/demo.sh BUILD-DIRECTORY
#
# Prints each step with its result and time. Exits with 1 as soon as a step fails or a digest
# differs. Leaves nothing behind: no process, socket, segment or file.
set -uo pipefail
export LC_ALL=C

if [ $# -ne 1 ] || [ ! -x "$1/bin/pm-host" ] || [ ! -x "$1/bin/payloadctl" ]; then
  echo "usage: $0 BUILD-DIRECTORY (with bin/pm-host and bin/payloadctl in it)" >&2
  exit 2
fi
host_program=$(realpath "$1")/bin/pm-host
ctl_program=$(realpath "$1")/bin/payloadctl

work=$(mktemp -d "${TMPDIR:-/tmp}/pm-demo.XXXXXX")
host_log=$work/host.log
host_pid=
id=
shm_prefix=  # Of the names of this host's segments under /dev/shm.

clean_up() {
  if [ -n "$host_pid" ]; then
    kill -KILL "$host_pid" 2>/dev/null
    wait "$host_pid" 2>/dev/null
  fi
  [ -z "$id" ] || rm -f /dev/shm/*"$id"*
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "FAILED: $*"
  if [ -s "$host_log" ]; then
    echo "The host's last words:"
    tail -n 20 "$host_log" | sed 's/^/  /'
  fi
  exit 1
}

now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

# step WORDS COMMAND...: runs the command in this shell, so that it can set variables. What it sets
# `result` to is shown; what it prints goes to $work/out.
step() {
  local words=$1 begin_ms end_ms
  shift
  result=ok
  begin_ms=$(now_ms)
  "$@" >"$work/out" 2>"$work/err" || fail "$words: $(cat "$work/err")"
  end_ms=$(now_ms)
  printf '%-50s %-30s %6d ms\n' "$words" "$result" $((end_ms - begin_ms))
}

ctl() { "$ctl_program" --address "$address" "$@"; }

# The cell of the first row of a table, by its column: a table's cells have no spaces.
first_cell() { awk -v column="$1" 'NR == 2 { print $column }' "$work/table"; }

pick_file() {
  file=$(find /usr/lib -xdev -type f -readable -size +20480k -size -204800k -printf '%s %p\n' \
    2>/dev/null | sort -n | tail -n 1 | cut -d' ' -f2-)
  if [ -z "$file" ]; then
    file=$work/libraries
    find /usr/lib -xdev -type f -readable -name '*.so*' -size +64k -print0 2>/dev/null |
      xargs -0 cat 2>/dev/null | head -c 50000000 >"$file"
  fi
  size_bytes=$(stat -L -c %s "$file") || return 1
  [ "$size_bytes" -gt 1000000 ] || { echo "found no bytes to store under /usr/lib" >&2; return 1; }
  digest=$(sha256sum <"$file" | cut -d' ' -f1)
  result="$((size_bytes / 1048576)) MiB"
}

# The demo's leases have ended when it kills the host, so the next one need not wait for them
# before it removes what they may have read.
start_host() {
  PM_RECOVERY__QUARANTINE_MS=0 "$host_program" \
    --state-directory "$work/state" --runtime-directory "$work/run" >>"$host_log" 2>&1 &
  host_pid=$!
  local until_ms socket
  until_ms=$(($(now_ms) + 20000))
  while [ "$(now_ms)" -lt "$until_ms" ]; do
    if ! kill -0 "$host_pid" 2>/dev/null; then
      host_pid=
      echo "the host ended while it started" >&2
      return 1
    fi
    for socket in "$work"/run/*.sock; do
      [ -S "$socket" ] || continue
      address=unix:$socket
      if ctl --deadline-ms 2000 stats >/dev/null 2>&1; then
        result="pid $host_pid"
        return 0
      fi
    done
    sleep 0.02
  done
  echo "the host did not answer within 20 s" >&2
  return 1
}

put_file() {
  local location name
  ctl put "$file" --tier ram >"$work/table" || return 1
  id=$(first_cell 1)
  location=$(first_cell 6)
  name=${location#shm:/}
  [ "$name" != "$location" ] || { echo "it is at $location, not in a segment" >&2; return 1; }
  shm_prefix=${name%%"$id"*}
  if [ -z "$shm_prefix" ] || [ "$shm_prefix" = "$name" ]; then
    echo "segment $name is not named PREFIX-INSTANCE-ID" >&2
    return 1
  fi
  result=$id
  result=${result%%-*}...
}

# Another process leases the payload and hashes what it maps.
check_digest() {
  local tier=$1 got
  ctl sha256 "$id" >"$work/table" || return 1
  got=$(first_cell 1)
  if [ "$got" != "$digest" ]; then
    echo "SHA-256 DIFFERS: the file has $digest, the payload $got" >&2
    return 1
  fi
  if [ "$(first_cell 3)" != "$tier" ]; then
    echo "it was read on $(first_cell 3), not on $tier" >&2
    return 1
  fi
  result="sha256 ${got:0:12}... same"
}

spill_payload() {
  ctl spill "$id" --to disk >"$work/table" || return 1
  result="$(first_cell 3), $(first_cell 4)"
}

promote_payload() {
  ctl promote "$id" --to ram >"$work/table" || return 1
  result="$(first_cell 2), $(first_cell 3)"
}

kill_host() {
  kill -KILL "$host_pid" || return 1
  wait "$host_pid" 2>/dev/null
  host_pid=
  result="SIGKILL"
}

stop_host() {
  local status
  kill -TERM "$host_pid" || return 1
  wait "$host_pid"
  status=$?
  host_pid=
  [ "$status" -eq 0 ] || { echo "the host ended with status $status" >&2; return 1; }
}

nothing_stays() {
  local left
  left=$(find "$work/run" ! -type d 2>/dev/null)
  [ -z "$left" ] || { echo "left in the runtime directory: $left" >&2; return 1; }
  left=$(compgen -G "/dev/shm/$shm_prefix*")
  [ -z "$left" ] || { echo "left in shared memory: $left" >&2; return 1; }
  # The brackets keep grep from finding itself.
  left=$(grep -sl "$work/[s]tate" /proc/[0-9]*/cmdline)
  [ -z "$left" ] || { echo "processes left: $left" >&2; return 1; }
  result="no process, socket or segment"
}

show() {
  echo
  echo "\$ payloadctl $*"
  ctl "$@" || fail "payloadctl $*"
}

begin_ms=$(now_ms)
step "pick a file under /usr/lib" pick_file
step "start pm-host" start_host
step "put: allocate, write into the mapping, commit" put_file
step "lease from a second process, hash its mapping" check_digest ram
step "spill to disk" spill_payload
step "lease again, hash" check_digest disk
step "promote to shared memory" promote_payload
step "lease again, hash" check_digest ram
step "kill pm-host" kill_host
step "start pm-host again" start_host
step "lease again, hash" check_digest ram
show list
show stats
echo
step "delete the payload" ctl delete "$id"
step "stop pm-host with SIGTERM" stop_host
step "look for what is left" nothing_stays
echo "The demo passed in $(($(now_ms) - begin_ms)) ms: $file, read four times, never differed."
