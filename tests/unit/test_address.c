/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, networks, lists of them, and from which a JAR may be fetched. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "flinkop/address.h"
#include "flinkop/jar_access.h"
#include "flinkop/macros.h"
#include "flinkop/str.h"
#include "unit.h"

static struct arena a;

static void setup(void)
{
    arena_init(&a);
}

static void teardown(void)
{
    arena_free(&a);
}

static struct ip ip(const char *text)
{
    struct ip ret;

    ck_assert_msg(ip_parse(text, &ret), "%s", text);
    return ret;
}

/* ---- what an address is ---- */

START_TEST(each_network_has_its_edges)
{
    static const struct {
        const char *address;
        enum ip_reach reach; /* of where it leads to */
    } cases[] = {
        {"0.0.0.0", IP_NEVER},
        {"0.255.255.255", IP_NEVER},
        {"1.0.0.0", IP_PUBLIC},
        {"9.255.255.255", IP_PUBLIC},
        {"10.0.0.0", IP_PRIVATE},
        {"10.255.255.255", IP_PRIVATE},
        {"11.0.0.0", IP_PUBLIC},
        {"100.63.255.255", IP_PUBLIC},
        {"100.64.0.0", IP_PRIVATE},
        {"100.100.100.199", IP_PRIVATE},
        {"100.100.100.200", IP_NEVER},
        {"100.127.255.255", IP_PRIVATE},
        {"100.128.0.0", IP_PUBLIC},
        {"126.255.255.255", IP_PUBLIC},
        {"127.0.0.0", IP_NEVER},
        {"127.0.0.1", IP_NEVER},
        {"127.255.255.255", IP_NEVER},
        {"128.0.0.0", IP_PUBLIC},
        {"168.63.129.15", IP_PUBLIC},
        {"168.63.129.16", IP_NEVER},
        {"169.253.255.255", IP_PUBLIC},
        {"169.254.0.0", IP_NEVER},
        {"169.254.169.254", IP_NEVER},
        {"169.254.255.255", IP_NEVER},
        {"169.255.0.0", IP_PUBLIC},
        {"172.15.255.255", IP_PUBLIC},
        {"172.16.0.0", IP_PRIVATE},
        {"172.31.255.255", IP_PRIVATE},
        {"172.32.0.0", IP_PUBLIC},
        {"191.255.255.255", IP_PUBLIC},
        {"192.0.0.0", IP_PRIVATE},
        {"192.0.0.192", IP_NEVER},
        {"192.0.1.0", IP_PUBLIC},
        {"192.167.255.255", IP_PUBLIC},
        {"192.168.0.0", IP_PRIVATE},
        {"192.168.255.255", IP_PRIVATE},
        {"192.169.0.0", IP_PUBLIC},
        {"198.17.255.255", IP_PUBLIC},
        {"198.18.0.0", IP_PRIVATE},
        {"198.19.255.255", IP_PRIVATE},
        {"198.20.0.0", IP_PUBLIC},
        {"223.255.255.255", IP_PUBLIC},
        {"224.0.0.0", IP_NEVER},
        {"239.255.255.255", IP_NEVER},
        {"240.0.0.0", IP_NEVER},
        {"255.255.255.255", IP_NEVER},
        {"::", IP_NEVER},
        {"::1", IP_NEVER},
        {"::127.0.0.1", IP_NEVER},
        {"::10.0.0.1", IP_PRIVATE},
        {"::8.8.8.8", IP_PUBLIC},
        {"::ffff:127.0.0.1", IP_NEVER},
        {"::ffff:10.0.0.1", IP_PRIVATE},
        {"::ffff:169.254.169.254", IP_NEVER},
        {"::ffff:8.8.8.8", IP_PUBLIC},
        {"::ffff:0:127.0.0.1", IP_NEVER},
        {"64:ff9b::127.0.0.1", IP_NEVER},
        {"64:ff9b::a9fe:a9fe", IP_NEVER},
        {"64:ff9b::10.0.0.1", IP_PRIVATE},
        {"64:ff9b::8.8.8.8", IP_PUBLIC},
        {"64:ff9b:1::1", IP_PRIVATE},
        {"64:ff9b:2::1", IP_PUBLIC},
        {"2002:7f00:1::", IP_NEVER},
        {"2002:a00:1::1", IP_PRIVATE},
        {"2002:808:808::1", IP_PUBLIC},
        {"2001::1", IP_NEVER},
        {"2001:db8::1", IP_PRIVATE},
        {"2001:4860::1", IP_PUBLIC},
        {"fbff:ffff::", IP_PUBLIC},
        {"fc00::", IP_PRIVATE},
        {"fd00:ec2::253", IP_PRIVATE},
        {"fd00:ec2::254", IP_NEVER},
        {"fd20:ce::254", IP_NEVER},
        {"fdff:ffff::", IP_PRIVATE},
        {"fe00::", IP_PUBLIC},
        {"fe7f:ffff::", IP_PUBLIC},
        {"fe80::", IP_NEVER},
        {"febf:ffff::", IP_NEVER},
        {"fec0::", IP_PRIVATE},
        {"feff:ffff::", IP_PRIVATE},
        {"ff00::", IP_NEVER},
        {"ff02::1", IP_NEVER},
        {"2606:4700::1111", IP_PUBLIC},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip own = ip(cases[i].address), target = ip_target(&own);
        enum ip_reach reach = MAX(ip_kind(&own)->reach, ip_kind(&target)->reach);

        ck_assert_msg(reach == cases[i].reach, "%s: %d (%s)", cases[i].address, (int)reach,
                      ip_kind(&target)->what);
    }
}
END_TEST

START_TEST(what_a_socket_has_is_read_as_the_text_is)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    const struct sockaddr local = {.sa_family = AF_UNIX};
    struct ip ret, want;
    char text[IP_TEXT_MAX];

    inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr);
    want = ip("10.1.2.3");
    ck_assert(ip_of_sockaddr((const struct sockaddr *)&v4, &ret) && ip_same(&ret, &want));
    inet_pton(AF_INET6, "::ffff:10.1.2.3", &v6.sin6_addr);
    ck_assert(ip_of_sockaddr((const struct sockaddr *)&v6, &ret) && ip_same(&ret, &want));
    ip_format(&ret, text);
    ck_assert_str_eq(text, "10.1.2.3");
    inet_pton(AF_INET6, "fd00::1", &v6.sin6_addr);
    ck_assert(ip_of_sockaddr((const struct sockaddr *)&v6, &ret));
    ip_format(&ret, text);
    ck_assert_str_eq(text, "fd00::1");
    ck_assert(!ip_of_sockaddr(&local, &ret));
}
END_TEST

START_TEST(only_plain_addresses_are_read)
{
    static const char *const no[] = {"",      "10.1.2",     "010.1.2.3", "2130706433", "0x7f.1",
                                     "[::1]", "fe80::1%lo", " ::1",      "1.2.3.4.5",  ":::"};
    struct ip ret;

    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        ck_assert_msg(!ip_parse(no[i], &ret), "%s", no[i]);
}
END_TEST

/* ---- lists ---- */

START_TEST(networks_are_read_and_mistakes_told)
{
    static const struct {
        const char *text, *wrong; /* NULL: right */
    } cases[] = {
        {"", NULL},
        {"10.0.0.0/8", NULL},
        {"10.1.2.3", NULL},
        {"0.0.0.0/0, ::/0", NULL},
        {"fd00:7::/32,nexus.example.com,*.tools.svc,local-host", NULL},
        {"10.0.0.1/8", "\"10.0.0.1/8\": has bits behind its mask: the network is 10.0.0.0/8"},
        {"fd00::1/64", "the network is fd00::/64"},
        {"10.0.0.0/33", "must have 0 to 32 behind the slash"},
        {"10.0.0.0/", "must have 0 to 32 behind the slash"},
        {"10.0.0.0/+8", "must have 0 to 32"},
        {"::/129", "must have 0 to 128 behind the slash"},
        {"10.0.0.0/8/8", "must have 0 to 32"},
        {"2130706433", "is no network such as 10.20.0.0/16"},
        {"10.1", "is no network"},
        {"0x7f.0x1", "is no network"},
        {"a..b", "is no network"},
        {"*", "is no network"},
        {"a.*.b", "is no network"},
        {"https://nexus.example.com", "is no network"},
        {"nexus.example.com:8443", "is no network"},
        {"127.0.0.1", "\"127.0.0.1\" is never allowed: a loopback address (127.0.0.0/8)"},
        {"10.0.0.0/8,169.254.0.0/17", "is never allowed: a link-local address"},
        {"fe80::/64", "is never allowed"},
    };
    struct address_list list;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error err = {0};
        int rc = address_list_parse(&a, cases[i].text, &list, &err);

        if (!cases[i].wrong)
            ck_assert_msg(!rc, "%s: %s", cases[i].text, err.text);
        else
            assert_error(&err, ERR_INVALID, cases[i].wrong);
    }
}
END_TEST

START_TEST(lists_hold_what_they_say)
{
    static const struct {
        const char *what;
        bool there;
    } cases[] = {
        {"10.20.0.0", true},          {"10.20.255.255", true},        {"10.19.255.255", false},
        {"10.21.0.0", false},         {"192.168.7.9", true},          {"192.168.7.8", false},
        {"fd00:7::1", true},          {"fd00:8::1", false},           {"nexus.example.com", true},
        {"NEXUS.Example.com.", true}, {"x.nexus.example.com", false}, {"a.tools.svc", true},
        {"a.b.tools.svc", true},      {"tools.svc", false},           {"atools.svc", false},
    };
    struct address_list list;
    struct error err;
    struct ip one;

    ck_assert_int_eq(address_list_parse(&a,
                                        "10.20.0.0/16, 192.168.7.9,fd00:7::/32, nexus.example.com, "
                                        "*.tools.svc",
                                        &list, &err),
                     0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bool there = ip_parse(cases[i].what, &one) ? address_list_has_ip(&list, &one)
                                                   : address_list_has_host(&list, cases[i].what);

        ck_assert_msg(there == cases[i].there, "%s", cases[i].what);
    }
}
END_TEST

/* ---- from where a JAR may be fetched ---- */

START_TEST(services_of_the_own_namespace_are_known_by_name)
{
    static const struct {
        const char *host, *name;
    } cases[] = {
        {"nexus.team-a.svc", "nexus"},
        {"nexus.team-a.svc.cluster.local", "nexus"},
        {"NEXUS.Team-A.SVC.", "NEXUS"},
        {"nexus.team-a", NULL},
        {"nexus.team-b.svc", NULL},
        {"nexus.team-ab.svc", NULL},
        {"x.nexus.team-a.svc", NULL},
        {"nexus.team-a.svcs", NULL},
        {".team-a.svc", NULL},
        {"n%2exus.team-a.svc", NULL},
        {"nexus", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *name = jar_access_service(&a, cases[i].host, "team-a");

        ck_assert_msg(str_eq(name, cases[i].name), "%s: %s", cases[i].host, str_or(name, "none"));
    }
}
END_TEST

START_TEST(what_may_be_fetched_from_where)
{
    static const struct {
        const char *host, *address, *refusal; /* NULL: none */
        bool api_server;
    } cases[] = {
        {"a.example", "8.8.8.8", NULL},
        {"a.example", "64:ff9b::8.8.8.8", NULL},
        {"a.example", "8.8.8.8", "8.8.8.8 is the address of the API server", true},
        {"a.example", "10.1.2.3", "10.1.2.3 is a private address (10.0.0.0/8); allowed of these"},
        {"a.example", "10.1.2.3", "Services of the own namespace (NAME.team-a.svc)"},
        {"a.example", "fd12::1", "fd12::1 is a private address (fc00::/7)"},
        {"a.example", "127.0.0.1", "a loopback address (127.0.0.0/8), from which nothing is"},
        {"a.example", "64:ff9b::7f00:1", "64:ff9b::7f00:1 leads to 127.0.0.1, which is a loopback"},
        {"a.example", "64:ff9b::a00:1", "64:ff9b::a00:1 leads to 10.0.0.1, which is a private"},
        {"a.example", "169.254.169.254", "a cloud's metadata"},
        /* the administrator's list */
        {"a.example", "10.20.1.1", NULL},
        {"a.example", "64:ff9b::a14:101", NULL},
        {"a.example", "10.20.1.1", "the address of the API server", true},
        {"nexus.corp", "192.168.1.1", NULL},
        {"nexus.corp", "127.0.0.1", "loopback"},
        {"nexus.corp", "fe80::1", "link-local"},
        {"a.example", "192.168.1.1", "allowed-networks"},
        /* a Service */
        {"web.team-a.svc", "10.96.0.7", NULL},
        {"web.team-a.svc", "fd00:10::7", NULL},
        {"web.team-a.svc", "10.96.0.8", "it is no cluster IP of a Service team-a/web"},
        {"web.team-a.svc", "10.96.0.7", "the address of the API server", true},
        {"web.team-a.svc", "127.0.0.1", "loopback"},
        {"web.team-b.svc", "10.96.0.7", "a private address"},
    };
    struct address_list list;
    struct error err;

    ck_assert_int_eq(address_list_parse(&a, "10.20.0.0/16,nexus.corp", &list, &err), 0);
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip address = ip(cases[i].address);
        struct jar_access access = {.ns = "team-a",
                                    .host = cases[i].host,
                                    .allowed = &list,
                                    .is_api_server = cases[i].api_server};

        access.service = jar_access_service(&a, access.host, access.ns);
        access.cluster_ips = access.service ? json(&a, "['10.96.0.7', 'fd00:10::7', 'None', 7]")
                                            : ABSENT;
        const char *why = jar_access_refusal(&a, &access, &address);

        ck_assert_msg(cases[i].refusal ? why && strstr(why, cases[i].refusal) : !why, "%s %s: %s",
                      cases[i].host, cases[i].address, str_or(why, "allowed"));
        access.no_service = "forbidden";
        access.cluster_ips = ABSENT;
        why = jar_access_refusal(&a, &access, &address);
        if (access.service && !cases[i].refusal)
            ck_assert_msg(strstr(why, "whether it is that of Service team-a/web is not known"),
                          "%s", why);
    }
}
END_TEST

START_TEST(redirects_stay_within_what_is_allowed)
{
    static const struct {
        const char *from, *to, *schemes, *wrong;
        int n;
    } cases[] = {
        {"https://a/x", "https://b/y", "https", NULL, 1},
        {"https://a/x", "HTTPS://b/y", "https", NULL, 5},
        {"http://a/x", "http://b/y", "https, http", NULL, 1},
        {"http://a/x", "https://b/y", "https,http", NULL, 1},
        {"https://a/x", "https://b/y", "https", "redirected more than 5 times", 6},
        {"https://a/x", "http://b/y", "https,http", "redirected from https to http://b/y", 1},
        {"HTTPS://a/x", "http://b/y", "https,http", "redirected from https", 1},
        {"http://a/x", "https://b/y?sig=s3cr3t", "http",
         "redirected to https://b/y?…; allowed schemes are http", 1},
        {"https://a/x", "file:///etc/passwd", "https,file", "redirected to file:///etc/passwd", 1},
        {"https://a/x", "gopher://b", "https", "redirected to gopher://b", 1},
        {"https://a/x", "//b/y", "https", "redirected to //b/y", 1},
        {"https://a/x", "", "https", "redirected to ", 1},
        {"https://a/x", "https://me:s3cr3t@b/y", "https",
         "redirected to a URL that must not hold a user name or password", 1},
        {"https://a/x", "gopher://me:s3cr3t@b/y", "https",
         "redirected to a URL that must not hold a user name or password", 1},
        {"https://a/x", "https:///me:s3cr3t@b/y", "https",
         "redirected to a URL that must name a host", 1},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct error err = {0};
        int rc =
            jar_redirect_check(&a, cases[i].from, cases[i].to, cases[i].n, cases[i].schemes, &err);

        ck_assert_msg(!strstr(err.text, "s3cr3t"), "%s", err.text);
        if (cases[i].wrong)
            assert_error(&err, ERR_INVALID, cases[i].wrong);
        else
            ck_assert_msg(!rc, "%s: %s", cases[i].to, err.text);
    }
}
END_TEST

void suite_address(TCase *tc)
{
    tcase_add_checked_fixture(tc, setup, teardown);
    T(each_network_has_its_edges);
    T(what_a_socket_has_is_read_as_the_text_is);
    T(only_plain_addresses_are_read);
    T(networks_are_read_and_mistakes_told);
    T(lists_hold_what_they_say);
    T(services_of_the_own_namespace_are_known_by_name);
    T(what_may_be_fetched_from_where);
    T(redirects_stay_within_what_is_allowed);
}
