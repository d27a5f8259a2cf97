/* SPDX-License-Identifier: Apache-2.0 */
/* Where a job's JAR comes from: a download, or the image of the JobManager. */
#include <ctype.h>
#include <string.h>

#include "flinkop/arena.h"
#include "flinkop/flink_version.h"
#include "flinkop/jar_uri.h"
#include "flinkop/str.h"

/* Folders below FLINK_HOME whose JARs launch.sh links into the upload directory. */
static const char *const image_folders[] = {"/usrlib/", "/examples/"};

static const char *scheme_of(struct arena *a, const char *uri)
{
    const char *end = strstr(uri, "://");

    if (!end || end == uri)
        return NULL;
    for (const char *p = uri; p < end; p++)
        if (!isalnum((unsigned char)*p) && !strchr("+-.", *p))
            return NULL;
    return arena_strndup(a, uri, (size_t)(end - uri));
}

const char *jar_uri_image_id(struct arena *a, const char *uri)
{
    const char *path = str_skip_prefix(uri, "local://");

    for (size_t i = 0; path && i < ARRAY_SIZE(image_folders); i++) {
        const char *at = strstr(path, image_folders[i]);

        if (!at || !str_has_suffix(at, ".jar"))
            continue;
        char *id = arena_strdup(a, at + 1);

        for (char *c = id; *c; c++)
            if (*c == '/')
                *c = '_';
        return id;
    }
    return NULL;
}

const char *jar_uri_shown(struct arena *a, const char *uri)
{
    size_t n = strcspn(uri, "?");

    return uri[n] ? arena_printf(a, "%.*s?…", (int)n, uri) : uri;
}

static const char *shown(struct problems *p, const char *uri)
{
    return jv_describe(p->a, STR(jar_uri_shown(p->a, uri)));
}

/* Blanks and control characters, which no URI has. */
static bool has_blanks(const char *uri)
{
    for (; *uri; uri++)
        if ((unsigned char)*uri <= ' ' || *uri == 0x7f)
            return true;
    return false;
}

const char *jar_uri_refusal(const char *uri)
{
    const char *colon = strstr(uri, "://"), *authority = colon ? colon + 3 : "";
    size_t n = strcspn(authority, "/?#");
    bool http = !strncasecmp(uri, "http://", 7) || !strncasecmp(uri, "https://", 8);

    if (memchr(authority, '@', n))
        return "must not hold a user name or password: they would be in the status and in logs";
    if (http && !n) /* curl takes http:///user:password@host for http://user:password@host */
        return "must name a host right after ://";
    return NULL;
}

/* Its scheme; NULL: it is none, and that is a problem. */
static const char *check_uri(struct problems *p, const char *path, const char *uri)
{
    const char *scheme = scheme_of(p->a, uri), *refusal = jar_uri_refusal(uri);

    if (refusal)
        problem_add(p, path, "%s", refusal);
    else if (has_blanks(uri))
        problem_add(
            p, path,
            "must be a URI without blanks and control characters (%%20 is a blank), found %s",
            shown(p, uri));
    else if (!scheme)
        problem_add(p, path,
                    "must be a URI such as https://host/job.jar or "
                    "local:///opt/flink/usrlib/job.jar, found %s",
                    shown(p, uri));
    else
        return scheme;
    return NULL;
}

void jar_uri_check_application(struct problems *p, const char *path, const char *uri,
                               const struct flink_version *v)
{
    const char *scheme = check_uri(p, path, uri);
    const char *file = str_skip_prefix(uri, "local://");

    if (!scheme)
        return;
    if (strchr(uri, ','))
        problem_add(p, path,
                    "must not hold a comma, which Flink takes for the end of one JAR; found %s",
                    shown(p, uri));
    else if (file && (*file != '/' || !str_has_suffix(file, ".jar")))
        problem_add(p, path, "must name a .jar of the image, local:///path/to/job.jar, found %s",
                    shown(p, uri));
    else if (!v->fetches_jars && !file)
        problem_add(p, path,
                    "Flink %d.%d runs only JARs of the image, local:///path/to/job.jar (1.19 and "
                    "later fetch others), found %s",
                    v->major, v->minor, shown(p, uri));
}

const char *jar_uri_linked(const char *uri, const struct flink_version *v)
{
    const char *file = uri ? str_skip_prefix(uri, "local://") : NULL;

    return file && !v->fetches_jars && !str_has_prefix(file, "/opt/flink/usrlib/") ? file : NULL;
}

void jar_uri_check(struct problems *p, const char *path, const char *uri, const char *allowed)
{
    const char *scheme = check_uri(p, path, uri);

    if (!scheme)
        return;
    if (!strcmp(scheme, "local")) {
        if (!jar_uri_image_id(p->a, uri))
            problem_add(p, path,
                        "must name a .jar below /opt/flink/usrlib or /opt/flink/examples of the "
                        "image, found %s",
                        shown(p, uri));
        return;
    }
    char **list = str_split(p->a, allowed, ',', NULL);

    while (*list && strcasecmp(*list, scheme))
        list++;
    if (!*list)
        problem_add(p, path,
                    "scheme \"%s\" is not allowed; allowed are local and %s "
                    "(kubernetes.operator.user.artifacts.allowed-schemes)",
                    scheme, allowed);
    else if (strcasecmp(scheme, "http") && strcasecmp(scheme, "https"))
        problem_add(p, path,
                    "scheme \"%s\" is not supported by this version; use https, http or "
                    "local",
                    scheme);
}

const char *jar_allowed_schemes(const struct conf *c)
{
    return conf_words(c, "kubernetes.operator.user.artifacts.allowed-schemes", "https");
}
