#!/usr/bin/env bash
# Process 1 of a bed, in all its namespaces but that of cgroups: enters the bed's cgroups first, so that they are the
# root of the new cgroup namespace, and goes on as root.sh.  enter.sh STATE ...
set -euo pipefail
while read -r _ _ path; do
  echo 0 >"$path/cgroup.procs" # 0: the writer itself, whose real id is not known in here
done <"$1/cgroups"
exec unshare --cgroup bash "${BASH_SOURCE[0]%/*}/root.sh" "$@"
