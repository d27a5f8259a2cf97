# shellcheck shell=bash
# The state directory of a bed, and its end.
#
#   owner           "PID STARTTIME" of the process that asked for the bed, or "none"
#   init            "PID STARTTIME" of its pid 1 as the host sees it; killing that ends every process and mount
#   forwarder       "PID STARTTIME" of the host's end of the way to the API server
#   cgroups         "1 HIERARCHY PATH" (or "2 - PATH"): the bed's sub-trees
#   ready           present when `up` has come to its end
#   port, kubeconfig, pki/, etcd/, log/, run/, var/, flink-data/, inside/ (copy of the scripts that run in the bed)
#   node            present when the bed has one (not with --control-plane-only)

# select_bed NAME: sets BED_NAME, BED_ID and BED, the state directory. The checkout's path is part of the id, so that
# two checkouts with beds of one name do not meet.
select_bed() {
  BED_NAME=$1
  [[ $BED_NAME =~ ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$ ]] || die "a bed's name is made of a-z, 0-9 and -: '$BED_NAME'"
  digest "checkout $BED_DIR"
  BED_ID=$BED_NAME-${REPLY:0:6}
  BED=$BED_STATE/$BED_ID
  # The path of a unix socket has 107 usable bytes.
  ((${#BED} < 90)) || die "the path $BED is too long for the sockets in it; set FLINKOP_STATE to a shorter one"
}

is_up() { alive "${1:-$BED}/init"; }
require_up() { is_up || die "bed '$BED_NAME' is not up"; }
init_pid() { read -r REPLY _ <"$BED/init"; }

# lock_bed SECONDS [DIR]: hold the lock of a bed until unlock_bed or the end of this process; false when somebody else
# has it for that long. Processes that stay behind must not inherit it: see the {BED_LOCK}>&- at their start.
lock_bed() {
  local file=${2:-$BED}.lock
  while :; do
    exec {BED_LOCK}>"$file"
    if ! flock -w "$1" "$BED_LOCK"; then
      unlock_bed
      return 1
    fi
    # `down` removes the file; whoever waited for that one has to take the next.
    [[ ! "/dev/fd/$BED_LOCK" -ef $file ]] || return 0
    unlock_bed
  done
}
unlock_bed() { exec {BED_LOCK}>&-; }

lock_bed_or_die() {
  mkdir -p "$BED_STATE"
  lock_bed 120 || die "another process has been starting or stopping bed '$BED_NAME' for two minutes"
}

# end_bed: stop the bed in $BED, whatever state it is in. The state directory stays.
end_bed() {
  local file pid path
  # A forwarder has one child per connection, all in its process group.
  if alive "$BED/forwarder"; then
    read -r pid _ <"$BED/forwarder"
    kill -- "-$pid" 2>/dev/null || true
  fi
  if alive "$BED/init"; then
    read -r pid _ <"$BED/init"
    kill -KILL "$pid" 2>/dev/null || true
  fi
  for file in forwarder init; do
    wait_for 20 gone "$BED/$file" || die "process $(<"$BED/$file") of bed '$BED_NAME' does not end"
    rm -f "$BED/$file"
  done
  if [[ -e $BED/cgroups ]]; then
    while read -r _ _ path; do
      wait_for 10 remove_cgroup "$path" || say "cgroup $path is still in use"
    done <"$BED/cgroups"
  fi
  rm -rf "$BED/run" "$BED/api.sock" "$BED/ready"
}
gone() { ! alive "$1"; }
remove_cgroup() {
  [[ ! -d $1 ]] || find "$1" -depth -type d -exec rmdir {} +
}

# bed_down [--keep]
bed_down() {
  local keep=''
  [[ ${1:-} != --keep ]] || keep=1
  need_root
  if [[ ! -d $BED ]]; then
    say "there is no bed '$BED_NAME'"
    return
  fi
  lock_bed_or_die
  end_bed
  [[ $keep ]] || rm -rf "$BED" "$BED.lock"
  unlock_bed
  say "bed '$BED_NAME' is down"
}

# bed_gc: end every bed whose owner is gone, of whatever checkout.
bed_gc() {
  local dir
  for dir in "$BED_STATE"/*/; do
    dir=${dir%/}
    orphaned "$dir" || continue
    # Somebody who holds the lock is looking after the bed at this moment.
    lock_bed 0 "$dir" || continue
    if orphaned "$dir"; then
      say "cleaning up ${dir##*/}: its owner, process $(<"$dir/owner"), is gone"
      BED=$dir BED_NAME=${dir##*/} end_bed
      rm -rf "$dir" "$dir.lock"
    fi
    unlock_bed
  done
}
orphaned() {
  first_line "$1/owner" && [[ $REPLY != none ]] && ! alive "$1/owner"
}

bed_list() {
  local dir state
  for dir in "$BED_STATE"/*/; do
    [[ -e $dir/owner ]] || continue
    state=down
    ! is_up "$dir" || state=up
    printf '%-28s %-5s port %-6s owner %s\n' "$(basename "$dir")" "$state" "$(cat "$dir/port" 2>/dev/null)" "$(<"$dir/owner")"
  done
}

bed_status() {
  if ! is_up; then
    echo "bed '$BED_NAME': down"
    return 3
  fi
  local name pid rss init
  init_pid
  init=$REPLY
  echo "bed '$BED_NAME': up$([[ -e $BED/node ]] || echo ', control plane only')"
  echo "state       $BED"
  echo "API server  https://127.0.0.1:$(<"$BED/port")"
  echo "KUBECONFIG  $BED/kubeconfig"
  echo "owner       $(<"$BED/owner")"
  for name in "${DAEMONS[@]}"; do
    [[ -e $BED/run/$name.wake ]] || continue
    if first_line "$BED/run/$name.pid"; then
      pid=$REPLY
      rss=$(nsenter -t "$init" -m sed -n 's/^VmRSS:[[:space:]]*//p' "/proc/$pid/status" 2>/dev/null || true)
      printf '%-11s running, pid %s in the bed, %s\n' "$name" "$pid" "$rss"
    else
      printf '%-11s stopped\n' "$name"
    fi
  done
}
