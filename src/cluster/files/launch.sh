#!/usr/bin/env bash
# Starts a Flink process in a pod of the operator:
#
#   launch.sh ENTRYPOINT ROLE [-D key=value]... [-- OPTION...]
#
# ROLE is taskmanager, or which JobManager it is:
#
#   jobmanager               of a session cluster
#   application              of one job, with the options of its entrypoint, -- and the job's arguments
#   kubernetes-session       the same where Flink's own allocator makes the TaskManagers
#   kubernetes-application   which has the job in its properties
#
# First it runs the image's entrypoint, which sets up jemalloc, built-in plugins and the user, and
# hands over to the second half of this file; that ends in the same java command as Flink's
# bin/flink-console.sh.
#
# Flink's start scripts are not called, and neither is the part of the entrypoint that edits the
# configuration: together they fork five JVMs, most of a second each, only to parse the configuration
# and to size the memory. The operator wrote that configuration, did that arithmetic, and hands both
# over in the variables that those scripts use themselves:
#
#   FLINK_JM_JVM_MEM_OPTS, FLINK_TM_JVM_MEM_OPTS        heap and other limits
#   FLINK_ENV_JAVA_OPTS, FLINK_ENV_JAVA_OPTS_JM/_TM     env.java.opts.*
#   FLINK_LOG_DIR, STD_REDIRECT_TO_FILE                 env.log.dir, env.stdout-err.redirect-to-file
#   FLINK_WEB_UPLOAD_DIR                                web.upload.dir (JobManager)
#   FLINK_ENTRYPOINT_ARGS                               kubernetes.*.entrypoint.args
#   FLINK_PROPERTIES                                    "key: value" lines, as the entrypoint takes them
#
# and FLINK_JOB_JAR, the JAR of an application that its entrypoint would not find.

conf=$(cd "$(dirname "$0")" && pwd)
entrypoint=$1
role=$2
shift 2

# ---- first half: through the entrypoint -------------------------------------------------------
#
# The entrypoint works on a FLINK_HOME that looks like the real one but for a configuration of its
# own to edit and an editor that does nothing: ours is mounted read-only and complete.

if [ -z "${FLINK_REAL_HOME:-}" ]; then
    export FLINK_REAL_HOME=${FLINK_HOME:-/opt/flink}
    if [ ! -x "$entrypoint" ]; then
        echo "launch.sh: the image has no $entrypoint" >&2
        exit 127
    fi
    # It is kept: the entrypoint makes links to plugins through it.
    if home=$(mktemp -d) && mkdir "$home/bin"; then
        ln -s "$FLINK_REAL_HOME"/bin/* "$home/bin"
        ln -s "$FLINK_REAL_HOME"/[!b]* "$home"
        rm -f "$home/conf" "$home/bin/config-parser-utils.sh"
        cp -rL "$conf" "$home/conf"
        printf '#!/bin/sh\nexit 0\n' >"$home/bin/config-parser-utils.sh"
        chmod -R a+rX,u+w "$home"
        chmod a+x "$home/bin/config-parser-utils.sh"
        export FLINK_HOME=$home
    fi
    export FLINK_SAVED_PROPERTIES=${FLINK_PROPERTIES:-}
    unset FLINK_PROPERTIES
    exec "$entrypoint" bash "$conf/launch.sh" "$entrypoint" "$role" "$@"
fi

# ---- second half: the java command ------------------------------------------------------------

export FLINK_HOME=$FLINK_REAL_HOME FLINK_CONF_DIR=$conf
export FLINK_LOG_DIR=${FLINK_LOG_DIR:-$FLINK_HOME/log}
export FLINK_BIN_DIR=$FLINK_HOME/bin FLINK_LIB_DIR=${FLINK_LIB_DIR:-$FLINK_HOME/lib}
export FLINK_OPT_DIR=${FLINK_OPT_DIR:-$FLINK_HOME/opt}
export FLINK_PLUGINS_DIR=${FLINK_PLUGINS_DIR:-$FLINK_HOME/plugins}
export ROOT_LOG_LEVEL=${ROOT_LOG_LEVEL:-INFO} MAX_LOG_FILE_NUMBER=${MAX_LOG_FILE_NUMBER:-10}

# JARs of the image, as if they had been uploaded: Flink's REST API has no other way to run them.
link_jars() {
    local upload=$FLINK_WEB_UPLOAD_DIR/flink-web-upload jar name
    mkdir -p "$upload" || return
    find "$FLINK_HOME/usrlib" "$FLINK_HOME/examples" -name '*.jar' 2>/dev/null |
        while IFS= read -r jar; do
            name=${jar#"$FLINK_HOME/"}
            ln -sfn "$jar" "$upload/${name//\//_}"
        done
}

# The entrypoint of applications before Flink 1.19 knows no JAR but those of usrlib, beside its lib
# folder. What it finds is the way there from the working directory, and TaskManagers go it, too.
link_job() {
    local home=/tmp/flink-operator/home
    mkdir -p "$home/usrlib" || return
    ln -sfn "$FLINK_JOB_JAR" "$home/usrlib/"
    ln -sfn "$FLINK_LIB_DIR" "$home/lib"
    export FLINK_LIB_DIR=$home/lib
}

properties=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    properties+=("$1")
    shift
done
[ $# -gt 0 ] && shift

where=(--configDir "$conf")
jvm=${FLINK_JM_JVM_MEM_OPTS:-}
opts="${FLINK_ENV_JAVA_OPTS:-} ${FLINK_ENV_JAVA_OPTS_JM:-}"
case $role in
jobmanager)
    service=standalonesession
    class=org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint
    link_jars
    ;;
application)
    service=standalonejob
    class=org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint
    ;;
kubernetes-session)
    service=$role
    class=org.apache.flink.kubernetes.entrypoint.KubernetesSessionClusterEntrypoint
    where=() # it reads FLINK_CONF_DIR, and no argument behind one that it does not know
    link_jars
    ;;
kubernetes-application)
    service=$role
    class=org.apache.flink.kubernetes.entrypoint.KubernetesApplicationClusterEntrypoint
    where=()
    ;;
taskmanager)
    service=taskexecutor
    class=org.apache.flink.runtime.taskexecutor.TaskManagerRunner
    jvm=${FLINK_TM_JVM_MEM_OPTS:-}
    opts="${FLINK_ENV_JAVA_OPTS:-} ${FLINK_ENV_JAVA_OPTS_TM:-}"
    ;;
*)
    echo "launch.sh: unknown role $role" >&2
    exit 64
    ;;
esac

# Properties of the pod itself win over the cluster's, and variables in them are expanded, as with
# the entrypoint.
expand() {
    if command -v envsubst >/dev/null; then envsubst; else cat; fi
}
while IFS= read -r line; do
    line=${line//[[:space:]]/}
    [[ $line == [!#]*:* ]] && properties+=(-D "${line%%:*}=${line#*:}")
done < <(expand <<<"${FLINK_SAVED_PROPERTIES:-}")

java=java
[ -x "${JAVA_HOME:-}/bin/java" ] && java=$JAVA_HOME/bin/java
# As config.sh: newer JVMs must be told that Flink may set a security manager. The release file of
# a JDK saves asking the JVM itself.
version=$(sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "${JAVA_HOME:-/nonexistent}/release" 2>/dev/null)
[ -n "$version" ] ||
    version=$("$java" -XshowSettings:properties -version 2>&1 |
        sed -n 's/.*java.specification.version = \([0-9]*\).*/\1/p')
[ "${version:-0}" -gt 17 ] && opts="$opts -Djava.security.manager=allow"

# flink-dist goes last, as constructFlinkClassPath puts it.
classpath=$(find "$FLINK_LIB_DIR" ! -type d -name '*.jar' ! -name 'flink-dist*.jar' | LC_ALL=C sort | tr '\n' ':')
classpath=$classpath$(find "$FLINK_LIB_DIR" ! -type d -name 'flink-dist*.jar' | head -n 1)
[ -z "${HADOOP_CONF_DIR:-}${HADOOP_CLASSPATH:-}" ] && [ -d /etc/hadoop/conf ] && HADOOP_CONF_DIR=/etc/hadoop/conf
classpath=$classpath::${HADOOP_CLASSPATH:-}:${HADOOP_CONF_DIR:-}:${YARN_CONF_DIR:-}
[ -n "${HBASE_CONF_DIR:-}" ] && classpath=$classpath:$HBASE_CONF_DIR

log=$FLINK_LOG_DIR/flink-${FLINK_IDENT_STRING:-${USER:-}}-$service-0-$HOSTNAME
log_setting=("-Dlog.file=$log.log"
    "-Dlog4j.configuration=file:$conf/log4j-console.properties"
    "-Dlog4j.configurationFile=file:$conf/log4j-console.properties"
    "-Dlogback.configurationFile=file:$conf/logback-console.xml")

# Variables in the options are expanded, as flink-console.sh does.
opts=$(eval echo "-XX:+IgnoreUnrecognizedVMOptions $opts")
[ -n "${FLINK_ENTRYPOINT_ARGS:-}" ] && eval "properties+=($FLINK_ENTRYPOINT_ARGS)"

[ -n "${FLINK_JOB_JAR:-}" ] && link_job

echo "Starting $service as a console application on host $HOSTNAME."
if [ "${STD_REDIRECT_TO_FILE:-false}" = true ]; then
    log_setting=("-Dconsole.log.level=OFF" "${log_setting[@]}")
    exec 1>"$log.out" 2>"$log.err"
fi
# shellcheck disable=SC2086 # options are words
exec "$java" $jvm ${JVM_ARGS:-} $opts "${log_setting[@]}" -classpath "$classpath" "$class" "${where[@]}" "${properties[@]}" "$@"
