# shellcheck shell=bash
# Certificates and kubeconfigs of one bed: thrown away with it.

make_key_args=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

# authority NAME COMMON_NAME
authority() {
  openssl req -x509 "${make_key_args[@]}" -days 3650 -keyout "$1.key" -out "$1.crt" -subj "/CN=$2" \
    -addext keyUsage=critical,digitalSignature,keyCertSign 2>/dev/null
}

# certificate NAME AUTHORITY SUBJECT USAGE [ALTERNATIVE_NAMES]
certificate() {
  openssl req "${make_key_args[@]}" -keyout "$1.key" -subj "$3" 2>/dev/null |
    openssl x509 -req -CA "$2.crt" -CAkey "$2.key" -set_serial "0x$(openssl rand -hex 8)" -days 3650 -out "$1.crt" \
      -extfile <(printf 'extendedKeyUsage=%s\n' "$4"; [[ -z ${5:-} ]] || printf 'subjectAltName=%s\n' "$5") 2>/dev/null
}

# kubeconfig FILE NAME PORT: the API server as 127.0.0.1:PORT, with the client certificate NAME.
kubeconfig() {
  cat >"$1" <<END
apiVersion: v1
kind: Config
clusters: [{name: bed, cluster: {server: "https://127.0.0.1:$3", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $2, user: {client-certificate-data: $(base64 -w0 "$2.crt"), client-key-data: $(base64 -w0 "$2.key")}}]
contexts: [{name: bed, context: {cluster: bed, user: $2}}]
current-context: bed
END
}

# make_pki DIR
make_pki() (
  umask 077
  mkdir -p "$1"
  cd "$1"
  authority ca kubernetes-ca
  authority front-proxy-ca front-proxy-ca
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out service-account.key
  openssl pkey -in service-account.key -pubout -out service-account.pub

  local node=system:node:bed-node service=kubernetes.default.svc jobs=() name by subject
  certificate apiserver ca /CN=kube-apiserver serverAuth \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:$service,DNS:$service.cluster.local,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:10.99.0.1" &
  jobs+=($!)
  certificate kubelet-server ca "/O=system:nodes/CN=$node" serverAuth DNS:bed-node,IP:10.99.0.1,IP:127.0.0.1 &
  jobs+=($!)
  local client
  for client in \
    front-proxy:front-proxy-ca:/CN=front-proxy \
    apiserver-kubelet:ca:/O=system:masters/CN=apiserver-kubelet \
    admin:ca:/O=system:masters/CN=admin \
    kcm:ca:/CN=system:kube-controller-manager \
    scheduler:ca:/CN=system:kube-scheduler \
    kubelet:ca:/O=system:nodes/CN="$node" \
    kube-proxy:ca:/CN=system:kube-proxy \
    kwok:ca:/O=system:masters/CN=kwok; do
    IFS=: read -r name by subject <<<"$client"
    certificate "$name" "$by" "$subject" clientAuth &
    jobs+=($!)
  done
  local job
  for job in "${jobs[@]}"; do wait "$job"; done
)

# make_kubeconfigs DIR PORT
make_kubeconfigs() (
  umask 077
  cd "$1"
  for name in admin kcm scheduler kubelet kube-proxy kwok; do kubeconfig "$name.kubeconfig" "$name" "$2"; done
)
