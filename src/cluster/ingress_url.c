/* SPDX-License-Identifier: Apache-2.0 */
/* Host and path of spec.ingress.template, as java.net.URL would find them (api-contract §4). */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "flinkop/arena.h"
#include "flinkop/exposure.h"
#include "flinkop/json_map.h"
#include "flinkop/str.h"
#include "flinkop/strbuf.h"

#define PATH "spec.ingress.template"
#define TEMPLATE_MAX 4096
#define HOST_MAX 253
#define LABEL_MAX 63

bool host_name_valid(const char *host, bool wildcard)
{
    size_t label = 0;

    if (wildcard && str_has_prefix(host, "*."))
        host += 2;
    if (!*host || strlen(host) > HOST_MAX)
        return false;
    for (const char *c = host; *c; c++) {
        bool edge = !label || !c[1] || c[1] == '.'; /* of a label, where no '-' may stand */

        if (*c == '.' && label)
            label = 0;
        else if (!(islower((unsigned char)*c) || isdigit((unsigned char)*c) ||
                   (*c == '-' && !edge)) ||
                 ++label > LABEL_MAX)
            return false;
    }
    return label > 0;
}

static const char *fill_in(struct arena *a, const char *template, const char *ns, const char *name)
{
    const struct {
        const char *word, *value;
    } words[] = {{"{{name}}", name}, {"{{namespace}}", ns}};
    cleanup_strbuf struct strbuf sb = STRBUF_INIT(TEMPLATE_MAX);

    while (*template) {
        size_t i = 0;

        while (i < ARRAY_SIZE(words) &&
               strncasecmp(template, words[i].word, strlen(words[i].word)) != 0)
            i++;
        if (i < ARRAY_SIZE(words)) {
            strbuf_adds(&sb, words[i].value);
            template += strlen(words[i].word);
        } else {
            strbuf_addc(&sb, *template ++);
        }
    }
    return sb.overflow ? NULL : arena_strndup(a, sb.buf, sb.len);
}

/* The host out of "user@host:port"; NULL if the port is none. */
static const char *host_of(struct arena *a, const char *authority)
{
    const char *at = strrchr(authority, '@'), *host = at ? at + 1 : authority;
    const char *colon = strchr(host, ':');
    int port = 0;

    if (!colon)
        return host;
    if (colon[1] && (!str_to_int(colon + 1, &port) || port < 0 || port > 65535))
        return NULL;
    return arena_strndup(a, host, (size_t)(colon - host));
}

void ingress_url_read(struct problems *p, const char *template, const char *ns, const char *name,
                      struct ingress_url *ret)
{
    const char *url = fill_in(p->a, template, ns, name);

    *ret = (struct ingress_url){0};
    if (!url) {
        problem_add(p, PATH, "must be at most %d bytes long", TEMPLATE_MAX);
        return;
    }
    ret->https = !strncasecmp(url, "https://", 8);
    if (ret->https || !strncasecmp(url, "http://", 7))
        url = strchr(url, '/') + 2;
    size_t n = strcspn(url, "/?#");
    const char *host = strstr(url, "://") ? NULL : host_of(p->a, arena_strndup(p->a, url, n));
    const char *path = arena_strndup(p->a, url + n, strcspn(url + n, "?#"));

    if (!host || (*host && !host_name_valid(host, /* wildcard= */ true))) {
        problem_add(p, PATH,
                    "must be a host, a path or both; {{name}} and {{namespace}} are filled in; "
                    "found %s, whose host \"%s\" is not a DNS name in lower case",
                    jv_describe(p->a, STR(template)), str_clean(p->a, str_or(host, url), 80));
        return;
    }
    if (!*host && !*path)
        problem_add(p, PATH, "must have a host or a path, found %s",
                    jv_describe(p->a, STR(template)));
    ret->host = *host ? host : NULL;
    ret->path = *path ? path : NULL;
}
