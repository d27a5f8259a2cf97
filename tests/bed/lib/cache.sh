# shellcheck shell=bash
# What is built once is kept outside the checkout, under a key made from its recipe, so that every checkout on the
# machine with the same recipe finds it.

# digest FILE-OR-TEXT...: short hash of names and contents of files, and of words that are no files, in REPLY. Where a
# file lies does not count.
digest() {
  local item
  REPLY=$(for item in "$@"; do
    if [[ -f $item ]]; then
      echo "file ${item##*/}"
      cat "$item"
    else
      echo "text $item"
    fi
  done | sha256sum)
  REPLY=${REPLY:0:12}
}

# cached NAME KEY BUILDER [ARGS...]: the path of NAME-KEY in REPLY, made by "BUILDER DIR ARGS..." if it is not there.
# A directory appears by rename when it is complete; the lock lets a second asker wait instead of building it again.
# Never call this, or what calls it, in a condition (if, ||, &&): bash then ignores `set -e` in all of it, and a builder
# that failed half way would be taken for complete.
cached() {
  local name=$1 dir=$BED_CACHE/$1-$2 builder=$3 lock tmp
  shift 3
  if [[ ! -d $dir ]]; then
    mkdir -p "$BED_CACHE"
    exec {lock}>"$BED_CACHE/$name.lock"
    if ! flock -n "$lock"; then
      say "another process builds $name; waiting for it"
      flock "$lock"
    fi
    if [[ ! -d $dir ]]; then
      rm -rf "$BED_CACHE/.$name-"* # left by a killed build: we hold the lock
      tmp=$BED_CACHE/.${dir##*/}
      mkdir "$tmp"
      "$builder" "$tmp" "$@"
      mv -T "$tmp" "$dir"
      forget_old "$name" "$dir"
    fi
    exec {lock}>&-
  fi
  touch "$dir"
  REPLY=$dir
}

# forget_old NAME KEEP: drop builds of NAME that nobody has asked for in three days.
forget_old() {
  find "$BED_CACHE" -maxdepth 1 -type d -regex ".*/$1-[0-9a-f]*" ! -path "$2" -mtime +2 -exec rm -rf {} +
}
