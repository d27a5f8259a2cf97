/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "flinkop/flink_version.h"
#include "flinkop/macros.h"

/*
 * env.java.opts.all of conf/flink-conf.yaml (1.18) and conf/config.yaml (1.19 and later) in Flink's
 * distributions 1.18.1, 1.19.3, 1.20.5, 2.0.0, 2.1.0, 2.2.1 and 2.3.0. It is for Java 17; older
 * JVMs ignore it, because bin/config.sh adds -XX:+IgnoreUnrecognizedVMOptions. 1.17 has none.
 */
#define JAVA_OPTS                                                        \
    "--add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED "               \
    "--add-exports=jdk.compiler/com.sun.tools.javac.api=ALL-UNNAMED "    \
    "--add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED "   \
    "--add-exports=jdk.compiler/com.sun.tools.javac.parser=ALL-UNNAMED " \
    "--add-exports=jdk.compiler/com.sun.tools.javac.tree=ALL-UNNAMED "   \
    "--add-exports=jdk.compiler/com.sun.tools.javac.util=ALL-UNNAMED "   \
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED "    \
    "--add-opens=java.base/java.lang=ALL-UNNAMED "                       \
    "--add-opens=java.base/java.net=ALL-UNNAMED "                        \
    "--add-opens=java.base/java.io=ALL-UNNAMED "                         \
    "--add-opens=java.base/java.nio=ALL-UNNAMED "                        \
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED "                      \
    "--add-opens=java.base/java.lang.reflect=ALL-UNNAMED "               \
    "--add-opens=java.base/java.text=ALL-UNNAMED "                       \
    "--add-opens=java.base/java.time=ALL-UNNAMED "                       \
    "--add-opens=java.base/java.util=ALL-UNNAMED "                       \
    "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED "            \
    "--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED "     \
    "--add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED"
#define JAVA_OPTS_TO_2_0 "--add-exports=java.base/sun.net.util=ALL-UNNAMED " JAVA_OPTS

/* bin/config.sh of 1.19 and later puts env.java.default-opts.all before the user's own
 * env.java.opts.all; 1.18 knows only the latter, where the user's value replaces the default, as it
 * does in an image's own file. */
#define OPTS_KEY "env.java.opts.all"
#define DEFAULT_OPTS_KEY "env.java.default-opts.all"

#define RESOURCE_WAIT_1 "jobmanager.adaptive-scheduler.resource-wait-timeout"
#define RESOURCE_WAIT_2 "jobmanager.adaptive-scheduler.submission.resource-wait-timeout"

#define FLAT "flink-conf.yaml"
#define YAML "config.yaml"

static const struct flink_version versions[] = {
    {"v1_13", 1, 13, false, true, FLAT, NULL, NULL, false, RESOURCE_WAIT_1},
    {"v1_14", 1, 14, false, true, FLAT, NULL, NULL, false, RESOURCE_WAIT_1},
    {"v1_15", 1, 15, true, true, FLAT, NULL, NULL, false, RESOURCE_WAIT_1},
    {"v1_16", 1, 16, true, true, FLAT, NULL, NULL, false, RESOURCE_WAIT_1},
    {"v1_17", 1, 17, true, true, FLAT, NULL, NULL, false, RESOURCE_WAIT_1},
    {"v1_18", 1, 18, true, true, FLAT, JAVA_OPTS_TO_2_0, OPTS_KEY, false, RESOURCE_WAIT_1},
    {"v1_19", 1, 19, true, false, FLAT, JAVA_OPTS_TO_2_0, DEFAULT_OPTS_KEY, false, RESOURCE_WAIT_1,
     true},
    {"v1_20", 1, 20, true, false, FLAT, JAVA_OPTS_TO_2_0, DEFAULT_OPTS_KEY, true, RESOURCE_WAIT_1,
     true},
    {"v2_0", 2, 0, true, false, YAML, JAVA_OPTS_TO_2_0, DEFAULT_OPTS_KEY, true, RESOURCE_WAIT_2,
     true},
    {"v2_1", 2, 1, true, false, YAML, JAVA_OPTS, DEFAULT_OPTS_KEY, true, RESOURCE_WAIT_2, true},
    {"v2_2", 2, 2, true, false, YAML, JAVA_OPTS, DEFAULT_OPTS_KEY, true, RESOURCE_WAIT_2, true},
    {"v2_3", 2, 3, true, false, YAML, JAVA_OPTS, DEFAULT_OPTS_KEY, true, RESOURCE_WAIT_2, true},
    {"v2_4", 2, 4, true, false, YAML, JAVA_OPTS, DEFAULT_OPTS_KEY, true, RESOURCE_WAIT_2, true},
};

const struct flink_version *flink_versions(size_t *ret_n)
{
    *ret_n = ARRAY_SIZE(versions);
    return versions;
}

const struct flink_version *flink_version_find(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_SIZE(versions); i++)
        if (!strcmp(versions[i].name, name))
            return &versions[i];
    return NULL;
}

bool flink_at_least(const struct flink_version *v, int major, int minor)
{
    return v->major > major || (v->major == major && v->minor >= minor);
}

const char *flink_versions_supported(void)
{
    static char text[ARRAY_SIZE(versions) * 8];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(versions); i++)
        if (versions[i].supported)
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
                                  versions[i].name);
    return text;
}
