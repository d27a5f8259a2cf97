# shellcheck shell=bash
# Commands that act on and inside a running bed.

bed_kubectl() {
  require_up
  control_plane
  exec "$REPLY/kubectl" --kubeconfig "$BED/kubeconfig" "$@"
}

# bed_env: for eval.
bed_env() {
  require_up
  control_plane
  # shellcheck disable=SC2016 # for the reader to expand
  printf 'export KUBECONFIG=%q PATH=%q:"$PATH"\n' "$BED/kubeconfig" "$REPLY"
}

# bed_in COMMAND...: in all of the bed's namespaces.
bed_in() {
  require_up
  init_pid
  # /run/bed/bin and its neighbours are on the PATH of pid 1 only.
  exec nsenter -t "$REPLY" --net --mount --pid --uts --ipc --cgroup \
    env PATH=/run/bin/control-plane:/run/bin/node:/run/bed/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# bed_exec COMMAND...: a process of the host (its files, its pids) in the bed's network, with the cluster's DNS. The
# resolver's file is changed in a private copy of the mounts only.
bed_exec() {
  require_up
  local target
  target=$(readlink -f /etc/resolv.conf)
  if [[ -e $BED/node ]]; then
    printf '%s\n' 'search default.svc.cluster.local svc.cluster.local cluster.local' 'nameserver 10.96.0.10' 'options ndots:5'
  else
    echo 'nameserver 127.0.0.1' # no DNS without a node: fail at once instead of after a time-out
  fi >"$BED/etc/exec-resolv.conf"
  init_pid
  # shellcheck disable=SC2016 # expanded by the inner shell
  exec nsenter -t "$REPLY" --net unshare --mount --propagation private \
    sh -c '[ ! -e "$1" ] || mount --bind "$2" "$1"; shift 2; exec "$@"' sh "$target" "$BED/etc/exec-resolv.conf" "$@"
}

# bed_ctl stop|kill|start|restart DAEMON: returns when it is done.
bed_ctl() {
  local action=${1:-} daemon=${2:-}
  require_up
  [[ -e $BED/run/$daemon.wake ]] || die "no daemon '$daemon' in this bed; there are: $(cd "$BED/run" && printf '%s ' *.wake | sed 's/\.wake//g')"
  case $action in
    stop) stop_daemon "$daemon" TERM ;;
    kill) stop_daemon "$daemon" KILL ;;
    start) start_daemon "$daemon" ;;
    restart) stop_daemon "$daemon" TERM; start_daemon "$daemon" ;;
    *) die "ctl: stop, kill, start or restart, not '$action'" ;;
  esac
}

# An API server that is asked to end waits up to a minute for those who watch; tests do not, so 5 s and no more.
stop_daemon() {
  : >"$BED/run/$1.stopped"
  signal_daemon "$1" "$2"
  if ! wait_for 5 test ! -e "$BED/run/$1.pid"; then
    signal_daemon "$1" KILL
    wait_for 10 test ! -e "$BED/run/$1.pid" || die "$1 does not end"
  fi
}

signal_daemon() {
  local pid
  first_line "$BED/run/$1.pid" || return 0
  pid=$REPLY
  init_pid
  nsenter -t "$REPLY" --mount --pid kill -s "$2" "$pid" 2>/dev/null || true
}

start_daemon() {
  local probe
  rm -f "$BED/run/$1.stopped"
  echo >"$BED/run/$1.wake"
  wait_for 10 test -e "$BED/run/$1.pid" || die "$1 did not start"
  case $1 in
    etcd) probe=(bed_probe http://127.0.0.1:2379/health) ;;
    apiserver) probe=(api_ready) ;;
    kcm) probe=(bed_probe -k https://127.0.0.1:10257/healthz) ;;
    scheduler) probe=(bed_probe -k https://127.0.0.1:10259/healthz) ;;
    kubelet) probe=(bed_probe http://127.0.0.1:10248/healthz) ;;
    kube-proxy) probe=(bed_probe http://127.0.0.1:10249/healthz) ;;
    containerd) probe=(in_bed ctr version) ;;
    *) return 0 ;;
  esac
  wait_for 60 "${probe[@]}" || die "$1 is not healthy after 60 s; see 'bed logs $1'"
}

in_bed() { (bed_in "$@"); }
bed_probe() {
  init_pid
  nsenter -t "$REPLY" --net curl -sf --max-time 2 "$@"
}

bed_logs() {
  local daemon=${1:?logs needs the name of a daemon}
  shift
  [[ -e $BED/log/$daemon.log ]] || die "no log of '$daemon' in $BED/log"
  exec tail "${@:--n200}" "$BED/log/$daemon.log"
}

# bed_compact: afterwards a watch from an older resourceVersion gets 410 Gone once the API server has been restarted
# (until then its watch cache still knows the past).
bed_compact() {
  require_up
  local revision
  revision=$(bed_probe http://127.0.0.1:2379/v3/kv/range -d '{"key":"AA=="}' | jq -r .header.revision)
  bed_probe http://127.0.0.1:2379/v3/kv/compaction -d "{\"revision\":\"$revision\",\"physical\":true}" >/dev/null
  echo "$revision"
}
