# shellcheck shell=bash
# Messages, time, deadlines, process identity: what every other part of the bed uses.

say() { printf '%s\n' "bed: $*" >&2; }
die() { say "$*"; exit 1; }

# Milliseconds since the epoch, in REPLY: a subshell per clock reading would cost more than what it measures.
now_ms() { REPLY=$((${EPOCHREALTIME/[.,]/} / 1000)); }

# since START_MS: "12.3 s" since then, in REPLY.
since() {
  now_ms
  local ms=$((REPLY - $1))
  printf -v REPLY '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# step LABEL COMMAND...: run something long with its output in a log, say every 30 s that it still runs, and show
# the end of the log when it fails.
step() {
  local label=$1 log start pid rc=0 beat
  shift
  log=$(mktemp "${TMPDIR:-/tmp}/bed-step.XXXXXX")
  now_ms
  start=$REPLY
  say "$label ..."
  (
    set -e
    "$@"
  ) >"$log" 2>&1 &
  pid=$!
  (
    trap 'kill $! 2>/dev/null; exit' TERM
    while :; do
      sleep 30 &
      wait $!
      since "$start"
      say "$label ... still running after $REPLY"
    done
  ) &
  beat=$!
  wait "$pid" || rc=$?
  kill "$beat" 2>/dev/null || true
  wait "$beat" 2>/dev/null || true
  since "$start"
  if ((rc != 0)); then
    say "$label: FAILED after $REPLY; the end of its output:"
    tail -n 40 "$log" | sed 's/^/    /' >&2
    rm -f "$log"
    exit "$rc"
  fi
  rm -f "$log"
  say "$label: $REPLY"
}

# wait_for SECONDS COMMAND...: true as soon as the command is, false at the deadline.
wait_for() {
  local end
  now_ms
  end=$((REPLY + $1 * 1000))
  shift
  until "$@" >/dev/null 2>&1; do
    now_ms
    ((REPLY < end)) || return 1
    sleep 0.05
  done
}

# first_line FILE: in REPLY; false when there is no such file. Not $(<FILE): bash 5.2 ends a `set -e` shell when the
# file is missing, even in a condition.
first_line() {
  REPLY=''
  { IFS= read -r REPLY <"$1"; } 2>/dev/null
}

# A process id alone says little once ids are reused; with the start time it names one process for good.
# identity PID: "PID STARTTIME" in REPLY, false when there is no such process or only its corpse.
identity() {
  local fields
  first_line "/proc/$1/stat" || return 1
  read -ra fields <<<"${REPLY##*) }" # the command name before it may hold blanks
  [[ ${fields[0]} != Z ]] || return 1
  REPLY="$1 ${fields[19]}"
}

# alive FILE: does the process that FILE names ("PID STARTTIME") still run?
alive() {
  local recorded
  first_line "$1" || return 1
  recorded=$REPLY
  identity "${recorded%% *}" && [[ $REPLY == "$recorded" ]]
}

need_root() { [[ $EUID == 0 ]] || die "this needs root: it makes namespaces, mounts and cgroups"; }
