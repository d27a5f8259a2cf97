# shellcheck shell=bash
# Container images. Each is a cached directory with a file `image`: the arguments for oci.py that make it. The images a
# bed starts with come from a "store": containerd's directory with those images imported, made once and given to each
# bed as hard links, so that `up` need not unpack a gigabyte again.

# debian_layer PACKAGE...: a Debian base system with these packages as a tar, in REPLY.
debian_layer() {
  digest "$DEBIAN" "$(declare -f make_debian_layer)" "$@"
  cached debian "$REPLY" make_debian_layer "$@"
  REPLY=$REPLY/layer.tar
}
make_debian_layer() {
  local out=$1 packages
  shift
  printf -v packages '%s,' "$@"
  # shellcheck disable=SC2016 # mmdebstrap's shell sets $1
  step "Debian base system with $1$( (($# == 1)) || echo " and $(($# - 1)) more packages")" nice mmdebstrap --variant=minbase --include="${packages%,}" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --essential-hook='mkdir -p "$1/usr/share/man/man1"' `# the Java packages link into it` \
    --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/var/log/*' \
    "$DEBIAN" "$out/layer.tar"
}

# bed_layer PACKAGE...: print the path of such a tar, for `bed image --layer`.
bed_layer() {
  (($#)) || die "layer: which packages?"
  ensure_deps node
  debian_layer "$@"
  echo "$REPLY"
}

# A recipe is part of its image's key, so a changed line here makes a new image.
pause_image() {
  digest "$BED_DIR/images/pause.c" "$(declare -f make_pause_image)"
  cached image-pause "$REPLY" make_pause_image
}
make_pause_image() {
  mkdir "$1/root"
  gcc -Os -static -s -o "$1/root/pause" "$BED_DIR/images/pause.c"
  image_file "$1" bed/pause:1 --layer=root --entrypoint=/pause --user=65535:65535
}

busybox_image() {
  digest "$(busybox | head -n 1)" "$(declare -f make_busybox_image)"
  cached image-busybox "$REPLY" make_busybox_image
}
make_busybox_image() {
  local applet
  mkdir -p "$1"/root/{bin,etc,tmp,root}
  chmod 1777 "$1/root/tmp"
  cp "$(type -P busybox)" "$1/root/bin/busybox"
  for applet in $(busybox --list); do
    [[ $applet == busybox ]] || ln -s busybox "$1/root/bin/$applet"
  done
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n' >"$1/root/etc/passwd"
  image_file "$1" busybox:1.35,busybox:latest --layer=root --cmd=sh
}

coredns_image() {
  local bin
  node
  bin=$REPLY
  digest "$bin" "$(declare -f make_coredns_image)"
  cached image-coredns "$REPLY" make_coredns_image "$bin"
}
make_coredns_image() {
  mkdir "$1/root"
  cp "$2/coredns" "$1/root/coredns"
  image_file "$1" bed/coredns:bed --layer=root --entrypoint=/coredns
}

# image_file DIR NAMES ARGS...: the recipe of the image in DIR; "--layer=root" is meant relative to DIR, which has yet
# to get its final name.
image_file() {
  local dir=$1
  shift
  printf '%s\n' "$@" >"$dir/image"
}

# write_image DIR OUT: run the recipe.
write_image() (
  cd "$1"
  python3 "$BED_DIR/lib/oci.py" "$2" @image
)

# named_images NAME,NAME: the directories of these images, built where that is needed, in REPLIES.
named_images() {
  local name
  REPLIES=()
  for name in ${1//,/ }; do
    [[ $name == flink:* ]] || die "--images: the bed makes flink:VERSION; use 'bed import' for '$name'"
    flink_version "${name#flink:}"
    flink_image "$REPLY"
    REPLIES+=("$REPLY")
  done
}

# prepare_images [NAME,NAME]: have a store with the images for a bed, its path in STORE: what every node needs, the Flink
# images that were built before, and those asked for by name.
prepare_images() {
  local REPLIES image images=()
  named_images "${1:-}"
  for image in pause_image coredns_image busybox_image; do
    "$image"
    images+=("$REPLY")
  done
  for image in $FLINK; do
    if flink_image_if_built "$image"; then images+=("$REPLY"); fi
  done
  digest "${images[@]##*/}"
  cached store "$REPLY" make_store "${images[@]}"
  STORE=$REPLY
}

# make_store OUT IMAGE...: go on from the store that was used last, so that only what is new is unpacked.
make_store() {
  local out=$1 last image
  shift
  last=$(find "$BED_CACHE" -maxdepth 1 -name 'store-*' -type d -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
  if [[ $last ]]; then
    link_store "$last/containerd" "$out/containerd"
  else
    mkdir "$out/containerd"
  fi
  printf '%s\n' "$@" | sed 's#.*/##' >"$out/images"
  for image in "$@"; do
    [[ $last ]] && grep -qxF "${image##*/}" "$last/images" || echo "$image"
  done >"$out/missing"
  step "unpacking $(sed 's#.*/image-##; s/-[0-9a-f]*$//' "$out/missing" | paste -sd' ')" fill_store "$out"
  rm "$out/missing"
}

# fill_store DIR: import the images named in DIR/missing, by a containerd that lives for just that. It has its own
# namespaces, so nothing of it is left however this ends.
fill_store() (
  export -f write_image
  export BED_DIR
  # shellcheck disable=SC2016 # expanded by the inner shell
  unshare --mount --pid --net --fork --kill-child --mount-proc bash -euo pipefail -c '
    out=$1
    mount -t tmpfs run /run
    containerd --config <(printf "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n") \
      --root "$out/containerd" --state /run/containerd &
    for try in {1..100}; do [[ ! -S /run/containerd/containerd.sock ]] || break; sleep 0.1; done
    while read -r image; do
      write_image "$image" - | ctr -n k8s.io images import -
    done <"$out/missing"
    kill $!
    wait
  ' bash "$1"
)

# link_store FROM TO: a copy that shares the unchanging files (blobs, unpacked layers) as hard links. The databases
# are written in place, so those are copied.
link_store() {
  local database
  mkdir -p "$2"
  if ! cp -al "$1/." "$2/" 2>/dev/null; then
    cp -a --reflink=auto "$1/." "$2/" # on another file system
    return
  fi
  while IFS= read -r -d '' database; do
    cp --remove-destination "$1/$database" "$2/$database"
  done < <(cd "$1" && find . -maxdepth 2 -name '*.db' -print0)
}

# place_images: give the store prepared last to the new bed.
place_images() {
  [[ ! -e $BED/images ]] || return 0 # kept by `down --keep`
  link_store "$STORE/containerd" "$BED/var/lib/containerd"
  cp "$STORE/images" "$BED/images"
}

# add_images NAME,NAME: to a running bed, those it has not got.
add_images() {
  local REPLIES image
  named_images "$1"
  for image in "${REPLIES[@]}"; do
    if ! grep -qxF "${image##*/}" "$BED/images"; then
      write_image "$image" - | in_bed ctr -n k8s.io images import - >/dev/null
      echo "${image##*/}" >>"$BED/images"
    fi
  done
}

# bed_import IMAGE.tar...: into the running bed.
bed_import() {
  local file
  [[ -e $BED/node ]] || die "bed '$BED_NAME' has no node to run images on"
  for file in "$@"; do
    in_bed ctr -n k8s.io images import - <"$file" >/dev/null || die "import of $file failed"
  done
}
