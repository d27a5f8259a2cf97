# shellcheck shell=bash
# bed build: everything that `up` would build when it needs it, at a time of one's choosing. "all" is what the tests need;
# fake nodes are the bench's.

bed_build() {
  ensure_deps node
  (($#)) || set -- all
  while (($#)); do
    case $1 in
      control-plane) control_plane ;;
      node) node; prepare_images ;;
      kwok) kwok_program ;;
      jobs) jobs_jar ;;
      flink)
        flink_version "${2:?build flink needs a version}"
        prepare_images "flink:$REPLY"
        shift
        ;;
      all)
        local images="flink:${FLINK// /,flink:}"
        control_plane
        node
        prepare_images "$images"
        ;;
      *) die "build: unknown part '$1'" ;;
    esac
    shift
  done
}
