/* SPDX-License-Identifier: Apache-2.0 */
/* An administrator's list of networks; addresses, hosts and redirects that users and servers give.
 */
#include <stdint.h>

#include "flinkop/address.h"
#include "flinkop/arena.h"
#include "flinkop/error.h"
#include "flinkop/jar_access.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read is written so that it is read as the same. */
static void comes_back(const struct ip *ip)
{
    char text[IP_TEXT_MAX];
    struct ip back;

    ip_format(ip, text);
    must(ip_parse(text, &back) && ip_same(&back, ip));
}

/* Nothing that leads to what is never allowed is, whatever the list says. */
static void never_stays_never(struct arena *a, const struct address_list *list, const char *host,
                              const struct ip *ip)
{
    struct ip target = ip_target(ip);
    const struct jar_access access = {
        .ns = "ns", .host = host, .service = jar_access_service(a, host, "ns"), .allowed = list};
    const char *why = jar_access_refusal(a, &access, ip);

    comes_back(&target);
    must(why || (ip_kind(ip)->reach != IP_NEVER && ip_kind(&target)->reach != IP_NEVER));
    must(why || ip_kind(&target)->reach == IP_PUBLIC || address_list_has_ip(list, ip) ||
         address_list_has_ip(list, &target) || address_list_has_host(list, host));
    if (why)
        must_be_text(why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup_arena struct arena a = {0};
    struct address_list list = {0};
    struct error err = {0};
    struct ip raw, read;
    size_t n;

    if (size < sizeof(raw.b))
        return 0;
    memcpy(raw.b, data, sizeof(raw.b));
    comes_back(&raw);
    char *text = arena_strndup(&a, (const char *)data + sizeof(raw.b), size - sizeof(raw.b));
    char *host = text + strcspn(text, "\n"), *to;

    if (*host)
        *host++ = '\0';
    to = host + strcspn(host, "\n");
    if (*to)
        *to++ = '\0';
    if (address_list_parse(&a, text, &list, &err))
        must(err.code == ERR_INVALID && *err.text);
    for (size_t i = 0; i < list.n_nets; i++) {
        must(ip_net_has(&list.nets[i], &list.nets[i].base));
        comes_back(&list.nets[i].base);
    }
    if (!ip_parse(host, &read))
        read = raw;
    never_stays_never(&a, &list, host, &raw);
    never_stays_never(&a, &list, host, &read);
    n = strlen(to);
    if (!jar_redirect_check(&a, "https://a/b", to, (int)(n % 8), text, &err))
        must(!strncasecmp(to, "https://", 8) && n % 8 <= JAR_MAX_REDIRECTS);
    return 0;
}
