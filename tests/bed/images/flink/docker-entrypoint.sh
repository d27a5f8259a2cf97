#!/usr/bin/env bash
# Entry point of the bed's Flink images, with the interface of the official image:
#
#   jobmanager | standalone-job | taskmanager | history-server [ARGS...]   start that, in the foreground
#   help                                                                   say so
#   anything else                                                          run it as it is
#
#   JOB_MANAGER_RPC_ADDRESS, TASK_MANAGER_NUMBER_OF_TASK_SLOTS, FLINK_PROPERTIES ("key: value" lines, $VARIABLES are
#   replaced), ENABLE_BUILT_IN_PLUGINS ("a.jar;b.jar" out of opt/), DISABLE_JEMALLOC=true
#
# Start times are measured against this image, so it does the expensive things where the official one does: it has
# Flink's own parser rewrite config.yaml, one JVM for the fixed settings and one more for FLINK_PROPERTIES, also when it
# only runs a command. A configuration that cannot be written (a mounted ConfigMap) costs the same and changes nothing.
conf=$FLINK_HOME/conf

# configure KEY=VALUE...
configure() {
  local pair key
  if [[ -x $FLINK_HOME/bin/config-parser-utils.sh ]]; then # Flink 1.19 and later
    "$FLINK_HOME/bin/config-parser-utils.sh" "$conf" "$FLINK_HOME/bin" "$FLINK_HOME/lib" "${@/#/-D}"
    return
  fi
  for pair in "$@"; do
    key=${pair%%=*}
    if grep -q "^${key//./\\.}:" "$conf/flink-conf.yaml"; then
      sed -i "s|^${key//./\\.}:.*|$key: ${pair#*=}|" "$conf/flink-conf.yaml"
    else
      echo "$key: ${pair#*=}" >>"$conf/flink-conf.yaml"
    fi
  done
}

# property_pairs: FLINK_PROPERTIES as KEY=VALUE in the array `pairs`. Blanks go, as in the official image.
property_pairs() {
  local line key value
  pairs=()
  while IFS= read -r line; do
    line=$(tr -d '[:space:]' <<<"$line")
    [[ $line ]] || continue
    IFS=: read -r key value <<<"$line"
    pairs+=("$key=$(envsubst <<<"$value")")
  done <<<"$FLINK_PROPERTIES"
}

if [[ ${DISABLE_JEMALLOC:-false} == false ]]; then
  library=/usr/lib/$(uname -m)-linux-gnu/libjemalloc.so
  if [[ -f $library ]]; then
    export LD_PRELOAD=$LD_PRELOAD:$library
  else
    echo "WARNING: $library is missing; going on with glibc's allocator."
  fi
fi

for plugin in ${ENABLE_BUILT_IN_PLUGINS//;/ }; do
  if [[ ! -e $FLINK_HOME/opt/$plugin ]]; then
    echo "Plugin $plugin does not exist. Exiting."
    exit 1
  fi
  mkdir -p "$FLINK_HOME/plugins/${plugin%.jar}"
  ln -fs "$FLINK_HOME/opt/$plugin" "$FLINK_HOME/plugins/${plugin%.jar}"
done

pairs=("jobmanager.rpc.address=${JOB_MANAGER_RPC_ADDRESS:-$(hostname -f)}" blob.server.port=6124 query.server.port=6125)
[[ -z $TASK_MANAGER_NUMBER_OF_TASK_SLOTS ]] || pairs+=("taskmanager.numberOfTaskSlots=$TASK_MANAGER_NUMBER_OF_TASK_SLOTS")
configure "${pairs[@]}"
if [[ $FLINK_PROPERTIES ]]; then
  property_pairs
  configure "${pairs[@]}"
fi

# The official images drop root's rights by gosu up to 1.20; from 2.0 on the image has a user and root stays root.
as_flink=()
if [[ $(id -u) == 0 ]]; then
  if compgen -G "$FLINK_HOME/lib/flink-dist-1.*.jar" >/dev/null; then
    as_flink=(gosu flink)
  else
    echo "WARNING: Flink is about to run as root."
  fi
fi

case $1 in
  help)
    echo "Usage: $(basename "$0") (jobmanager|standalone-job|taskmanager|history-server)"
    exit
    ;;
  jobmanager) script=jobmanager.sh ;;
  standalone-job) script=standalone-job.sh ;;
  taskmanager) script=taskmanager.sh ;;
  history-server) script=historyserver.sh ;;
  *) exec "${as_flink[@]}" "$@" ;;
esac
shift
echo "Starting $script"
exec "${as_flink[@]}" "$FLINK_HOME/bin/$script" start-foreground "$@"
