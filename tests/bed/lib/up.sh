# shellcheck shell=bash
# Bringing a bed up.

# bed_up [--control-plane-only] [--keep] [--apiserver-args ARGS] [--images NAME,NAME]
bed_up() {
  local node=1 keep='' apiserver_args='' images='' start control_plane node_bin=''
  now_ms
  start=$REPLY
  while (($#)); do
    case $1 in
      --control-plane-only) node='' ;;
      --keep) keep=1 ;;
      --apiserver-args) apiserver_args=${2?--apiserver-args needs a value}; shift ;;
      --images) images=${2?--images needs a value}; shift ;;
      *) die "up: unknown option $1" ;;
    esac
    shift
  done
  need_root
  ensure_deps "$node"
  bed_gc
  if is_ready; then
    use_running "$node" "$images"
    return
  fi
  control_plane
  control_plane=$REPLY
  if [[ $node ]]; then
    node
    node_bin=$REPLY
    prepare_images "$images"
  fi

  lock_bed_or_die
  if is_ready; then # another `up` was faster
    use_running "$node" "$images"
    return
  fi
  [[ ! -d $BED ]] || end_bed
  [[ $keep ]] || rm -rf "$BED"
  trap explain_failure EXIT
  fresh_state "$node" "$apiserver_args"
  start_forwarder
  [[ -e $BED/pki/ca.crt ]] || make_pki "$BED/pki"
  make_kubeconfigs "$BED/pki" "$(<"$BED/port")"
  cp "$BED/pki/admin.kubeconfig" "$BED/kubeconfig"
  make_cgroups
  start_init "$control_plane" "$node_bin"

  await apiserver 180 api_ready
  wait_for 10 test -e "$BED/run/kwok.wake" || die "the daemons that come after the API server were not started"
  since "$start"
  say "API server ready after $REPLY"
  [[ ! $node ]] || start_node "$start"
  : >"$BED/ready"
  trap - EXIT
  unlock_bed
  echo "$BED/kubeconfig"
}

is_ready() { is_up && [[ -e $BED/ready ]]; }

# use_running NODE IMAGES: what is left to do when the bed is up.
use_running() {
  [[ -z $1 || -e $BED/node ]] || die "bed '$BED_NAME' is up without a node; 'bed down' first"
  say "bed '$BED_NAME' is already up"
  [[ -z $1 ]] || add_images "$2"
  echo "$BED/kubeconfig"
}

# fresh_state NODE APISERVER_ARGS: the state directory, with what a kept one has left.
fresh_state() {
  mkdir -p "$BED"
  record_owner
  rm -rf "$BED"/{run,inside,log,node,var/log}
  mkdir -p "$BED"/{run,log,bin,etc,flink-data} "$BED"/var/{lib/kubelet,lib/cni,log/pods,log/containers}
  chmod 0777 "$BED/flink-data"
  cp -r "$BED_DIR/inside" "$BED/inside"
  printf '127.0.0.1 localhost\n10.99.0.1 bed-node\n' >"$BED/etc/hosts"
  echo 'nameserver 127.0.0.1' >"$BED/etc/resolv.conf"
  echo "$2" >"$BED/apiserver-args"
  : >"$BED/run/kwok.stopped"
  [[ ! $1 ]] || : >"$BED/node"
  [[ ! $1 ]] || place_images
}

# The process that the bed belongs to: when it is gone, anybody's `up` or `gc` may clear the bed away.
record_owner() {
  local owner=${BED_OWNER_PID:-$PPID}
  if [[ $owner != none ]]; then
    identity "$owner" || die "BED_OWNER_PID: there is no process '$owner'"
    owner=$REPLY
  fi
  echo "$owner" >"$BED/owner"
}

# start_forwarder: find a free port for the API server and lead it to a socket in the state directory, which the bed
# can see as well. The first try depends on the bed's id, so that a kubeconfig mostly survives down and up.
start_forwarder() {
  local try port pid
  digest "port $BED"
  for try in {0..19}; do
    port=$((20000 + (16#${REPLY:0:6} + try * 379) % 9000)) # below the range of NodePorts
    ! grep -qsx "$port" "$BED_STATE"/*/port || [[ $(cat "$BED/port" 2>/dev/null) == "$port" ]] || continue
    setsid socat "TCP-LISTEN:$port,bind=127.0.0.1,reuseaddr,fork,backlog=256" "UNIX-CONNECT:$BED/api.sock" \
      >"$BED/log/forwarder.log" 2>&1 </dev/null {BED_LOCK}>&- &
    pid=$!
    if wait_for 5 listening_or_gone "$port" "$pid" && identity "$pid"; then
      echo "$REPLY" >"$BED/forwarder"
      echo "$port" >"$BED/port"
      return
    fi
  done
  die "found no free port for the API server: $(<"$BED/log/forwarder.log")"
}
listening_or_gone() { ! identity "$2" || [[ $(ss -Hltnp "sport = :$1") == *"pid=$2,"* ]]; }

# make_cgroups: a sub-tree "flinkop-ID" below our own place in every version 1 hierarchy, or, where there is only
# version 2, at the top: nothing else but the root may have both processes and children with controllers.
make_cgroups() {
  local hierarchy path top=/sys/fs/cgroup dir
  : >"$BED/cgroups"
  if [[ $(stat -f -c %T $top) == cgroup2fs ]]; then
    for dir in cpuset cpu io memory pids; do echo "+$dir" >$top/cgroup.subtree_control 2>/dev/null || true; done
    [[ " $(<$top/cgroup.subtree_control) " == *' memory '* ]] || die "cannot hand cgroup controllers down from $top"
    mkdir -p "$top/flinkop-$BED_ID"
    echo "2 - $top/flinkop-$BED_ID" >>"$BED/cgroups"
    return
  fi
  while IFS=: read -r _ hierarchy path; do
    dir=$top/${hierarchy#name=}
    [[ $hierarchy && -d $dir$path ]] || continue
    path=$dir${path%/}/flinkop-$BED_ID
    mkdir -p "$path"
    if [[ -e $path/cpuset.mems ]]; then # a new one is empty, and no process may enter it so
      cat "$path/../cpuset.cpus" >"$path/cpuset.cpus"
      cat "$path/../cpuset.mems" >"$path/cpuset.mems"
    fi
    echo "1 $hierarchy $path" >>"$BED/cgroups"
  done </proc/self/cgroup
}

# start_init CONTROL_PLANE_BIN NODE_BIN: the first process of the bed, in namespaces of its own.
start_init() {
  env -i HOME=/root PATH="$PATH" setsid unshare --net --mount --pid --uts --ipc --fork --kill-child \
    bash "$BED/inside/enter.sh" "$BED" "$@" >"$BED/log/init.log" 2>&1 </dev/null {BED_LOCK}>&- &
  wait_for 20 test -e "$BED/init" || die "the bed's first process did not start"
}

# await DAEMON SECONDS COMMAND...: wait for what DAEMON is to bring about.
await() {
  local seconds=$2
  AWAITED=$1
  shift 2
  wait_for "$seconds" true_or_hopeless "$@" || die "$AWAITED: not ready after $seconds s"
  "$@" >/dev/null || die "$AWAITED will not get ready"
  AWAITED=''
}
true_or_hopeless() { "$@" || ! is_up || crash_loop; }
crash_loop() {
  local file
  for file in "$BED"/run/*.exits; do
    if [[ -e $file ]] && (($(wc -l <"$file") >= 5)); then return; fi
  done
  return 1
}

# Not kubectl: it would take 0.1 s of the CPU that the API server needs.
api() {
  local path=$1
  shift
  curl -sf --max-time 10 --cacert "$BED/pki/ca.crt" --cert "$BED/pki/admin.crt" --key "$BED/pki/admin.key" "$@" \
    "https://127.0.0.1:$(<"$BED/port")$path"
}
api_ready() { api /readyz; }

# explain_failure: the reason, from the logs of those daemons that ended or did not get ready; then clear up.
explain_failure() {
  local name shown=''
  for name in init "${DAEMONS[@]}"; do
    if [[ $name == init || -e $BED/run/$name.exits || $name == "${AWAITED:-}" ]] && [[ -s $BED/log/$name.log ]]; then
      say "the end of $name's log$([[ ! -e $BED/run/$name.exits ]] || echo " (it $(tail -n 1 "$BED/run/$name.exits"))"):"
      tail -n 12 "$BED/log/$name.log" | cut -c -240 | sed 's/^/    /' >&2
      shown=1
    fi
  done
  [[ $shown ]] || say "no daemon has logged anything"
  (end_bed) || true
  say "the logs stay in $BED/log until the next 'up' or 'down'"
}

# start_node START_MS: what remains to be done for a bed with a node.
start_node() {
  control_plane
  "$REPLY/kubectl" --kubeconfig "$BED/kubeconfig" apply -f "$BED_DIR/manifests" >/dev/null
  await kubelet 180 node_ready $(($1 / 1000))
  since "$1"
  say "node ready after $REPLY"
  await kubelet 180 dns_ready
  since "$1"
  say "cluster DNS ready after $REPLY"
}

# node_ready SINCE: said after that time, because the API server of a kept bed remembers what was.
node_ready() {
  api /api/v1/nodes/bed-node |
    jq -e --argjson since "$1" '.status.conditions[] | select(.type == "Ready" and .status == "True" and (.lastHeartbeatTime | fromdate) >= $since)'
}

# A name that exists, asked for the way pods ask: this needs CoreDNS and kube-proxy.
dns_ready() {
  init_pid
  timeout 1 nsenter -t "$REPLY" --net busybox nslookup -type=a kubernetes.default.svc.cluster.local 10.96.0.10
}
