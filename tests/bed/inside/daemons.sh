#!/usr/bin/env bash
# The daemons of a bed: how each is started, in which order, and who restarts them. Runs inside the bed's namespaces,
# below tini. `bed ctl` talks to it through files in /run/bed/run:
#   NAME.pid      process id inside the bed, while it runs
#   NAME.stopped  present: do not start it
#   NAME.wake     a pipe: a line in it ends the wait of a stopped daemon
#   NAME.exits    one line for each time it ended
set -uo pipefail
bed=/run/bed
run=$bed/run
pki=$bed/pki
conf=$bed/inside/conf
port=$(<$bed/port)

daemon_etcd() {
  # No fsync: the data need not survive a power cut, and a slow disk must not slow the tests.
  exec etcd --data-dir "$bed/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
    --initial-cluster default=http://127.0.0.1:2380 --quota-backend-bytes 4294967296
}

daemon_apiserver() {
  local extra=()
  read -ra extra <"$bed/apiserver-args"
  export GOGC=400 # a sixth of its CPU time is the garbage collector's, and memory is there
  # The port is the one that is forwarded from outside, so that one kubeconfig serves inside and outside.
  exec kube-apiserver --etcd-servers http://127.0.0.1:2379 --secure-port "$port" \
    --bind-address 0.0.0.0 --advertise-address 10.99.0.1 --service-cluster-ip-range 10.96.0.0/16 \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
    --client-ca-file $pki/ca.crt --tls-cert-file $pki/apiserver.crt --tls-private-key-file $pki/apiserver.key \
    --service-account-issuer https://kubernetes.default.svc.cluster.local \
    --api-audiences https://kubernetes.default.svc.cluster.local \
    --service-account-key-file $pki/service-account.pub --service-account-signing-key-file $pki/service-account.key \
    --kubelet-client-certificate $pki/apiserver-kubelet.crt --kubelet-client-key $pki/apiserver-kubelet.key \
    --kubelet-certificate-authority $pki/ca.crt --kubelet-preferred-address-types InternalIP \
    --requestheader-client-ca-file $pki/front-proxy-ca.crt --requestheader-allowed-names front-proxy \
    --requestheader-extra-headers-prefix X-Remote-Extra- --requestheader-group-headers X-Remote-Group \
    --requestheader-username-headers X-Remote-User \
    --proxy-client-cert-file $pki/front-proxy.crt --proxy-client-key-file $pki/front-proxy.key \
    --profiling=false "${extra[@]}"
}

# One replica of each, so no leader election; the default client limits would be the slowest part of a test with many
# objects, which is not what such a test measures.
daemon_kcm() {
  export GOGC=400
  exec kube-controller-manager --kubeconfig $pki/kcm.kubeconfig --authentication-kubeconfig $pki/kcm.kubeconfig \
    --authorization-kubeconfig $pki/kcm.kubeconfig --bind-address 127.0.0.1 --leader-elect=false \
    --cluster-cidr 10.244.0.0/16 --allocate-node-cidrs --service-cluster-ip-range 10.96.0.0/16 \
    --cluster-signing-cert-file $pki/ca.crt --cluster-signing-key-file $pki/ca.key --root-ca-file $pki/ca.crt \
    --service-account-private-key-file $pki/service-account.key --use-service-account-credentials \
    --kube-api-qps 300 --kube-api-burst 600
}

daemon_scheduler() {
  exec kube-scheduler --kubeconfig $pki/scheduler.kubeconfig --authentication-kubeconfig $pki/scheduler.kubeconfig \
    --authorization-kubeconfig $pki/scheduler.kubeconfig --bind-address 127.0.0.1 --leader-elect=false \
    --kube-api-qps 300 --kube-api-burst 600
}

daemon_containerd() { exec containerd --config $conf/containerd.toml; }

daemon_kubelet() {
  exec kubelet --config $conf/kubelet.yaml --kubeconfig $pki/kubelet.kubeconfig --hostname-override bed-node --node-ip 10.99.0.1
}

daemon_kube-proxy() { exec kube-proxy --config $conf/kube-proxy.yaml; }

# Plays kubelet for nodes that carry the annotation; see lib/kwok.sh.
daemon_kwok() {
  exec kwok --kubeconfig $pki/kwok.kubeconfig --manage-all-nodes=false \
    --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake --cidr 10.200.0.1/16 --node-ip 10.99.0.1 \
    --node-port 10247 --server-address 127.0.0.1:10247 --node-lease-duration-seconds 40 \
    --tls-cert-file $pki/kubelet-server.crt --tls-private-key-file $pki/kubelet-server.key
}

# The bed's end of the way from 127.0.0.1 of the host to the API server (the other end: lib/up.sh).
daemon_gateway() { exec socat UNIX-LISTEN:$bed/api.sock,fork,mode=600,backlog=256,unlink-early "TCP:127.0.0.1:$port"; }

supervise() {
  mkfifo "$run/$1.wake" # here and not below: `bed up` looks for the last one, and all are to be there by then
  keep_running "$1" &
}

keep_running() {
  local name=$1 wake pid rc
  exec {wake}<>"$run/$name.wake" # held open, so that nobody who writes a line has to wait for us to read it
  while :; do
    if [[ -e $run/$name.stopped ]]; then
      read -r -u "$wake" _
      continue
    fi
    "daemon_$name" >>"$bed/log/$name.log" 2>&1 {wake}>&- &
    pid=$!
    echo "$pid" >"$run/$name.pid"
    [[ ! -e $run/$name.stopped ]] || kill "$pid" # stopped before there was a process id
    rc=0
    wait "$pid" || rc=$?
    rm -f "$run/$name.pid"
    printf '%(%T)T ended with code %s\n' -1 "$rc" >>"$run/$name.exits"
    [[ -e $run/$name.stopped ]] || sleep 0.5
  done
}

api_ready() {
  curl -sf --cacert $pki/ca.crt --cert $pki/admin.crt --key $pki/admin.key "https://127.0.0.1:$port/readyz" >/dev/null
}

supervise gateway
supervise etcd
supervise apiserver
[[ ! -e $bed/node ]] || supervise containerd
# These end when they find no API server, so they come after it.
until api_ready; do sleep 0.05; done
supervise kcm
supervise scheduler
if [[ -e $bed/node ]]; then
  supervise kubelet
  supervise kube-proxy
fi
supervise kwok
wait
