# shellcheck shell=bash
# Fake nodes: kwok says of their pods whatever a kubelet would say, but runs nothing. A pod gets there by a toleration of
# the taint kwok.x-k8s.io/node and, to be sure, the node selector type: kwok.

# bed_kwok N: start kwok and have N fake nodes.
bed_kwok() {
  local count=${1:-10} bin
  require_up
  [[ $count =~ ^[0-9]+$ ]] || die "kwok: how many nodes?"
  kwok_program
  bin=$REPLY/kwok
  [[ -e $BED/bin/kwok ]] || ln "$bin" "$BED/bin/kwok" 2>/dev/null || cp "$bin" "$BED/bin/kwok"
  start_daemon kwok
  fake_nodes "$count" | kubectl_bed apply --server-side -f - >/dev/null
}

# Deleting the nodes first lets kwok see them go; their pods follow by the controller-manager.
bed_kwok_down() {
  require_up
  kubectl_bed delete nodes -l type=kwok >/dev/null
  stop_daemon kwok TERM
}

kubectl_bed() { (bed_kubectl "$@"); }

fake_nodes() {
  local i
  for ((i = 1; i <= $1; i++)); do
    cat <<END
---
apiVersion: v1
kind: Node
metadata:
  name: fake-$i
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {kubernetes.io/hostname: fake-$i, kubernetes.io/os: linux, kubernetes.io/arch: amd64, type: kwok}
spec:
  taints: [{key: kwok.x-k8s.io/node, value: fake, effect: NoSchedule}]
status:
  allocatable: {cpu: "256", memory: 1Ti, pods: "1000"}
  capacity: {cpu: "256", memory: 1Ti, pods: "1000"}
END
  done
}
