#!/usr/bin/env bash
# Process 1 of a bed, in fresh network, mount, pid, uts, ipc and cgroup namespaces: builds the root file system and the
# network that the daemons see, then becomes their init.  root.sh STATE CONTROL_PLANE_BIN [NODE_BIN]
#
# The root is a tmpfs into which the host's top-level directories are bound. What the bed owns lies in their place:
#   /run          private; /run/bed is the state directory, so no configuration file needs its real path
#   /var/lib, /var/log   the bed's own: kubelet, containerd and CNI write nowhere else
#   /flink-data   for hostPath volumes: checkpoints, savepoints, HA storage
# Nothing is mounted on, created in or unmounted from a directory of the host, which another bed may be using.
set -euo pipefail
state=$1 control_plane=$2 node=${3:-}

# The host's /proc is still mounted here, so this is our process id as the host sees it.
read -r pid _ </proc/self/stat
stat=$(<"/proc/$pid/stat")
read -ra fields <<<"${stat##*) }"
echo "$pid ${fields[19]}" >"$state/init.tmp"
mv "$state/init.tmp" "$state/init"

mount --make-rprivate /
root=$state/root
mkdir -p "$root"
mount -t tmpfs -o mode=755 bed "$root"
for entry in /* /.[!.]*; do
  case $entry in
    /proc | /sys | /run | /flink-data) continue ;;
  esac
  if [[ -L $entry ]]; then
    cp -a "$entry" "$root$entry"
  elif [[ -d $entry ]]; then
    mkdir "$root$entry"
    mount --rbind "$entry" "$root$entry"
  elif [[ -f $entry ]]; then
    : >"$root$entry"
    mount --bind "$entry" "$root$entry"
  fi
done
mkdir "$root"/{proc,sys,run,flink-data}
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir -p "$root"/run/{bed,netns,lock,bin/control-plane,bin/node}
mount --bind "$state" "$root/run/bed"
mount --bind "$control_plane" "$root/run/bin/control-plane"
[[ -z $node ]] || mount --bind "$node" "$root/run/bin/node"
mount --bind "$state/var/lib" "$root/var/lib"
mount --bind "$state/var/log" "$root/var/log"
mount --bind "$state/flink-data" "$root/flink-data"
for file in hosts resolv.conf; do
  if [[ -e $root/etc/$file ]]; then mount --bind "$state/etc/$file" "$root/etc/$file"; fi
done

# Inside a new cgroup namespace the hierarchies show the bed's own sub-tree as their root.
if grep -q '^2 ' "$state/cgroups"; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  # A cgroup that has processes cannot hand controllers to its children, so the daemons move into a leaf.
  mkdir "$root/sys/fs/cgroup/daemons"
  echo 0 >"$root/sys/fs/cgroup/daemons/cgroup.procs"
  read -ra controllers <"$root/sys/fs/cgroup/cgroup.controllers"
  for c in "${controllers[@]}"; do echo "+$c" >"$root/sys/fs/cgroup/cgroup.subtree_control" || true; done
else
  mount -t tmpfs -o mode=755 cgroup "$root/sys/fs/cgroup"
  while read -r _ name _; do
    mkdir "$root/sys/fs/cgroup/${name#name=}"
    case $name in
      name=*) mount -t cgroup -o "none,$name" cgroup "$root/sys/fs/cgroup/${name#name=}" ;;
      *) mount -t cgroup -o "$name" cgroup "$root/sys/fs/cgroup/$name" ;;
    esac
  done <"$state/cgroups"
fi

cd "$root"
mkdir .host
pivot_root . .host
umount -l .host
rmdir .host
cd /
mount --make-rshared / # kubelet wants to propagate mounts into pods

# A bridge that leads nowhere carries the node's address; the default route only satisfies kubelet and kube-proxy.
hostname bed-node
ip link set lo up
ip link add node0 type bridge
ip addr add 10.99.0.1/24 dev node0
ip link set node0 up
ip route add default via 10.99.0.254 dev node0
sysctl -qw net.ipv4.ip_forward=1
# Traffic from pod to pod over the bridge must pass kube-proxy's rules. Without the module there is nothing to set.
[[ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ]] || sysctl -qw net.bridge.bridge-nf-call-iptables=1

export PATH=/run/bin/control-plane:/run/bin/node:/run/bed/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec tini -- bash /run/bed/inside/daemons.sh
