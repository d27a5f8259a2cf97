# shellcheck shell=bash
# What comes as Go modules: the Kubernetes control plane and node, etcd, CoreDNS, kwok; OpenShift's definitions.

# find_go: the path of a Go new enough, in REPLY: the machine's own or the one `bed deps` put into the tools venv.
find_go() {
  local go version
  for go in "$(type -P go || true)" /usr/local/go/bin/go "$BED_CACHE"/tools/lib/python3*/site-packages/go/bin/go; do
    [[ -x $go ]] || continue
    version=$("$go" env GOVERSION 2>/dev/null) || continue
    if [[ $(printf '%s\n' "$GO_MINIMUM" "${version#go}" | sort -V | head -n 1) == "$GO_MINIMUM" ]]; then
      REPLY=$go
      return
    fi
  done
  return 1
}

# go_programs OUT MODULE LDFLAGS PACKAGE...: build the packages of the module go/MODULE into the directory OUT.
go_programs() {
  local out=$1 module=$2 ldflags=$3
  shift 3
  find_go || die "no Go >= $GO_MINIMUM here; run 'bed deps'"
  cd "$BED_DIR/go/$module"
  # -mod=readonly: only what go.sum names. GOTOOLCHAIN=local: the Go module proxy's toolchains are not for everybody.
  CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false' GOTOOLCHAIN=local \
    nice "$REPLY" build -trimpath -ldflags "-s -w $ldflags" -o "$out/" "$@"
}

# check_pin MODULE PATH VERSION: go.mod and tests/bed/versions must agree.
check_pin() {
  grep -qE "^(require )?[[:space:]]*$2 v$3\$" "$BED_DIR/go/$1/go.mod" || die "tests/bed/versions and go/$1/go.mod disagree on $2"
}

# kubernetes_programs OUT PROGRAM...
kubernetes_programs() {
  local out=$1 p version=k8s.io/component-base/version packages=() minor
  shift
  for p in "$@"; do packages+=("k8s.io/kubernetes/cmd/$p"); done
  minor=${KUBERNETES#*.}
  go_programs "$out" kubernetes "-X $version.gitVersion=v$KUBERNETES -X $version.gitMajor=${KUBERNETES%%.*} -X $version.gitMinor=${minor%%.*} \
-X $version.gitTreeState=clean -X $version.gitCommit=module -X $version.buildDate=2026-01-01T00:00:00Z" "${packages[@]}"
}

make_control_plane() {
  check_pin kubernetes k8s.io/kubernetes "$KUBERNETES"
  check_pin etcd go.etcd.io/etcd/server/v3 "$ETCD"
  step "compiling etcd $ETCD" go_programs "$1" etcd "" go.etcd.io/etcd/server/v3
  mv "$1/server" "$1/etcd"
  step "compiling Kubernetes $KUBERNETES: apiserver, controller-manager, scheduler, kubectl (about 5 minutes when cold)" \
    kubernetes_programs "$1" kube-apiserver kube-controller-manager kube-scheduler kubectl
}

make_node() {
  check_pin kubernetes k8s.io/kubernetes "$KUBERNETES"
  check_pin coredns github.com/coredns/coredns "$COREDNS"
  step "compiling Kubernetes $KUBERNETES: kubelet, kube-proxy" kubernetes_programs "$1" kubelet kube-proxy
  step "compiling CoreDNS $COREDNS" go_programs "$1" coredns "" .
}

make_kwok() {
  check_pin kwok sigs.k8s.io/kwok "$KWOK"
  step "compiling kwok $KWOK" go_programs "$1" kwok "" sigs.k8s.io/kwok/cmd/kwok
}

# Only read from its module; nothing of it is compiled.
make_openshift() {
  check_pin openshift-api github.com/openshift/api "$OPENSHIFT_API"
  find_go || die "no Go >= $GO_MINIMUM here; run 'bed deps'"
  local go=(env GOTOOLCHAIN=local GOFLAGS=-mod=readonly "$REPLY") module
  cd "$BED_DIR/go/openshift-api"
  step "fetching OpenShift's API definitions" "${go[@]}" mod download github.com/openshift/api
  module=$("${go[@]}" list -m -f '{{.Dir}}' github.com/openshift/api)
  cp "$module/route/v1/zz_generated.crd-manifests/routes.crd.yaml" "$1/"
}

# The ingress controller, for one test.
make_traefik() {
  check_pin traefik github.com/traefik/traefik/v3 "$TRAEFIK"
  find_go || die "no Go >= $GO_MINIMUM here; run 'bed deps'"
  local lego=github.com/go-acme/lego/v5 source=$1/go/traefik go=(env GOTOOLCHAIN=local GOFLAGS=-mod=readonly "$REPLY")
  mkdir "$1/go"
  cp -r "$BED_DIR/go/traefik" "$source"
  cd "$source"
  step "fetching Traefik's modules" "${go[@]}" mod download "$lego"
  cp -r "$("${go[@]}" list -m -f '{{.Dir}}' "$lego")" lego
  chmod -R u+w lego
  rm -r lego/providers/dns
  mv dns lego/providers/dns
  "${go[@]}" mod edit -replace "$lego=./lego"
  BED_DIR=$1 step "compiling Traefik $TRAEFIK (about 5 minutes when cold)" go_programs "$1" traefik "" \
    github.com/traefik/traefik/v3/cmd/traefik
  rm -r "$1/go"
}

# Each puts the directory with its programs into REPLY.
control_plane() {
  digest "$BED_DIR"/go/{kubernetes,etcd}/go.{mod,sum} "$KUBERNETES" "$ETCD"
  cached control-plane "$REPLY" make_control_plane
}
node() {
  digest "$BED_DIR"/go/{kubernetes,coredns}/go.{mod,sum} "$BED_DIR/go/coredns/main.go" "$KUBERNETES"
  cached node "$REPLY" make_node
}
kwok_program() {
  digest "$BED_DIR"/go/kwok/go.{mod,sum}
  cached kwok "$REPLY" make_kwok
}
ingress_controller() {
  digest "$BED_DIR"/go/traefik/go.{mod,sum} "$BED_DIR"/go/traefik/{ext,dns}/*.go
  cached traefik "$REPLY" make_traefik
}
openshift_definitions() {
  digest "$BED_DIR"/go/openshift-api/go.{mod,sum}
  cached openshift "$REPLY" make_openshift
}
