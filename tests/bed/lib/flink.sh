# shellcheck shell=bash
# The Flink images: Debian with a JRE, below Flink as PyPI has it, below our entry point, jobs and examples. Three layers,
# so that a changed job does not unpack Flink again.

# flink_version VERSION-OR-SERIES: 1.20 -> 1.20.5, in REPLY.
flink_version() {
  local version
  for version in $FLINK; do
    if [[ $1 == "$version" || $1 == "${version%.*}" ]]; then
      REPLY=$version
      return
    fi
  done
  die "no Flink '$1' in tests/bed/versions; there are: $FLINK"
}

# What the scripts of Flink and the official entry point call, beside a JRE.
FLINK_PACKAGES=(openjdk-17-jre-headless ca-certificates curl gettext-base gosu hostname libjemalloc2 libsnappy1v5 procps)

# flink_distribution VERSION: a directory with layer.tar, which holds /opt/flink, in REPLY.
flink_distribution() {
  digest "$1" "$(declare -f make_flink_distribution unpack_flink)"
  cached "flink-$1" "$REPLY" make_flink_distribution "$1"
}
make_flink_distribution() { step "Flink $2 from PyPI" unpack_flink "$@"; }

unpack_flink() {
  local out=$1 version=$2 pip=$BED_CACHE/tools/bin/pip flink=$1/root/opt/flink part
  [[ -x $pip ]] || tools
  mkdir -p "$out"/{download,libraries,scripts} "$flink"/{log,examples/streaming}
  # The jars are one package (up to 1.20 only as a source archive), the scripts and the configuration are in another.
  "$pip" download -q -d "$out/download" --no-deps --no-build-isolation "apache-flink-libraries==$version"
  # The Python version only selects one of several wheels with the same scripts.
  "$pip" download -q -d "$out/download" --no-deps --only-binary :all: --python-version 310 "apache-flink==$version"
  (cd "$out/scripts" && python3 -m zipfile -e ../download/apache_flink-"$version"-*.whl .)
  case $(cd "$out/download" && echo apache[-_]flink[-_]libraries-"$version"*) in
    *.whl) (cd "$out/libraries" && python3 -m zipfile -e ../download/apache_flink_libraries-*.whl . && mv pyflink deps) ;;
    *) tar xzf "$out"/download/apache[-_]flink[-_]libraries-*.tar.gz -C "$out/libraries" --strip-components=1 ;;
  esac
  for part in lib opt plugins; do mv "$out/libraries/deps/$part" "$flink/"; done
  for part in bin conf; do mv "$out/scripts/pyflink/$part" "$flink/"; done
  mv "$out/libraries/deps/bin/bash-java-utils.jar" "$flink/bin/"
  rm "$flink"/bin/pyflink-*
  chmod 755 "$flink"/bin/*.sh "$flink/bin/flink"
  listen_everywhere "$flink"
  chown -R 9999:9999 "$flink"
  tar cf "$out/layer.tar" -C "$out/root" --sort=name --owner=9999 --group=9999 opt
  rm -rf "$out"/{download,libraries,scripts,root}
}

# The default configuration binds to localhost, which is of no use in a container. As the official image does it: with
# Flink's own tool where there is one, which also leaves the file in that tool's form.
listen_everywhere() {
  local conf=$1/conf
  if [[ -e $conf/config.yaml ]]; then
    bash "$1/bin/config-parser-utils.sh" "$conf" "$1/bin" "$1/lib" \
      -repKV rest.address,localhost,0.0.0.0 -repKV rest.bind-address,localhost,0.0.0.0 \
      -repKV jobmanager.bind-host,localhost,0.0.0.0 -repKV taskmanager.bind-host,localhost,0.0.0.0 \
      -rmKV taskmanager.host=localhost
  else
    sed -i -E 's/^(rest.address|rest.bind-address|jobmanager.bind-host|taskmanager.bind-host): localhost/\1: 0.0.0.0/; /^taskmanager.host: localhost/d' \
      "$conf/flink-conf.yaml"
  fi
}

# jobs_jar: tests/jobs compiled against the oldest Flink of the bed, so that nothing younger slips in, in REPLY.
jobs_jar() {
  jobs_key
  cached jobs "$REPLY" make_jobs
  REPLY=$REPLY/bed-jobs.jar
}
jobs_key() {
  OLDEST_FLINK=$(tr ' ' '\n' <<<"$FLINK" | sort -V | head -n 1)
  digest "$BED_DIR"/../jobs/*.java "$OLDEST_FLINK" "$(declare -f compile_jobs)"
}
make_jobs() {
  flink_distribution "$OLDEST_FLINK"
  step "test jobs" compile_jobs "$1" "$REPLY"
}
compile_jobs() {
  mkdir "$1/lib" "$1/classes"
  tar xf "$2/layer.tar" -C "$1/lib" --strip-components=3 --wildcards 'opt/flink/lib/flink-dist*'
  javac --release 11 -Xlint:all,-path,-classfile,-processing,-serial -cp "$1/lib/*" -d "$1/classes" "$BED_DIR"/../jobs/*.java
  jar --create --date=2026-01-01T00:00:00Z --file "$1/bed-jobs.jar" --main-class BedJob -C "$1/classes" .
  rm -rf "${1:?}/lib" "$1/classes"
}

# example_jars: a directory with examples/streaming of Flink's distribution, as far as Maven has it, in REPLY.
example_jars() {
  digest "$FLINK_EXAMPLES" "$FLINK_EXAMPLE_NAMES"
  cached examples "$REPLY" make_examples
}
make_examples() { step "Flink's examples from Maven" fetch_examples "$1"; }
fetch_examples() {
  local name
  for name in $FLINK_EXAMPLE_NAMES; do
    mvn -q -B dependency:copy "-Dartifact=org.apache.flink:flink-examples-streaming:$FLINK_EXAMPLES:jar:$name" "-DoutputDirectory=$1"
    mv "$1/flink-examples-streaming-$FLINK_EXAMPLES-$name.jar" "$1/$name.jar"
  done
}

# flink_image VERSION: in REPLY.
flink_image() {
  flink_image_key "$1"
  cached "image-flink-$1" "$REPLY" make_flink_image "$1"
}

# flink_image_if_built VERSION: the same, but false where it would have to be built.
flink_image_if_built() {
  flink_image_key "$1"
  REPLY=$BED_CACHE/image-flink-$1-$REPLY
  [[ -d $REPLY ]]
}

flink_image_key() {
  jobs_key
  digest "$1" "$REPLY" "$FLINK_EXAMPLES $FLINK_EXAMPLE_NAMES $DEBIAN ${FLINK_PACKAGES[*]}" "$(declare -f unpack_flink make_flink_image)" \
    "$BED_DIR/images/flink/docker-entrypoint.sh"
}

make_flink_image() {
  local out=$1 version=$2 user=()
  debian_layer "${FLINK_PACKAGES[@]}"
  ln "$REPLY" "$out/debian.tar"
  flink_distribution "$version"
  ln "$REPLY/layer.tar" "$out/flink.tar"
  mkdir -p "$out"/root/{etc,opt/flink/{usrlib,examples/streaming},opt/java,usr/lib/x86_64-linux-gnu}
  install -m 755 "$BED_DIR/images/flink/docker-entrypoint.sh" "$out/root/docker-entrypoint.sh"
  jobs_jar
  cp "$REPLY" "$out/root/opt/flink/usrlib/"
  if [[ ${version%.*} == "${FLINK_EXAMPLES%.*}" ]]; then
    example_jars
    cp "$REPLY"/*.jar "$out/root/opt/flink/examples/streaming/"
  fi
  chown -R 9999:9999 "$out/root/opt/flink"
  ln -s /usr/lib/jvm/java-17-openjdk-amd64 "$out/root/opt/java/openjdk"
  ln -s libjemalloc.so.2 "$out/root/usr/lib/x86_64-linux-gnu/libjemalloc.so"
  # The user of the official image, which its process has and tests refer to.
  tar xf "$out/debian.tar" -C "$out/root" ./etc/passwd ./etc/group
  echo 'flink:x:9999:9999::/opt/flink:/bin/sh' >>"$out/root/etc/passwd"
  echo 'flink:x:9999:' >>"$out/root/etc/group"
  [[ $version == 1.* ]] || user=(--user=flink)
  image_file "$out" "flink:$version,flink:${version%.*}" --layer=debian.tar --layer=flink.tar --layer=root \
    --entrypoint=/docker-entrypoint.sh --cmd=help --workdir=/opt/flink --port=6123 --port=8081 "${user[@]}" \
    --env=FLINK_HOME=/opt/flink --env=JAVA_HOME=/opt/java/openjdk --env=LC_ALL=C.UTF-8 \
    --env=PATH=/opt/flink/bin:/opt/java/openjdk/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}
