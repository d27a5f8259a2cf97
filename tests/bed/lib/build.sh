# shellcheck shell=bash
# bed build.

bed_build() {
  ensure_deps node
  (($#)) || set -- all
  while (($#)); do
    case $1 in
      control-plane) control_plane ;;
      node) node; small_images ;;
      kwok) kwok_program ;;
      *) die "build: unknown part '$1'" ;;
    esac
    say "$1: $REPLY"
    shift
  done
}
