/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of spec.ingress, host names, and where what exposes a cluster leads. The objects
 * themselves are golden cases. */
#include "flinkop/exposure.h"
#include "flinkop/flink_defaults.h"
#include "flinkop/str.h"
#include "unit.h"

#define HOST(n) "a23456789.b23456789.c23456789.d23456789.e23456789." n

static struct arena a;

static void teardown(void)
{
    arena_free(&a);
}

/* ---- templates ---- */

static const struct {
    const char *template, *host, *path; /* host and path NULL: it has none */
    bool https;
    const char *problem; /* NULL: it is good */
} templates[] = {
    {"{{name}}.{{namespace}}.flink.k8s.io", "demo.team.flink.k8s.io", NULL, false, NULL},
    {"flink.k8s.io/{{namespace}}/{{name}}", "flink.k8s.io", "/team/demo", false, NULL},
    {"/{{namespace}}/{{name}}(/|$)(.*)", NULL, "/team/demo(/|$)(.*)", false, NULL},
    {"https://{{NAME}}.{{NameSpace}}.io/", "demo.team.io", "/", true, NULL},
    {"HTTP://flink.io:8080/x", "flink.io", "/x", false, NULL},
    {"user:word@flink.io/x", "flink.io", "/x", false, NULL},
    {"flink.io:/x", "flink.io", "/x", false, NULL},
    {"flink.io/x?query#part", "flink.io", "/x", false, NULL},
    {"flink.io?query", "flink.io", NULL, false, NULL},
    {"*.flink.io", "*.flink.io", NULL, false, NULL},
    {"http:///x", NULL, "/x", false, NULL},
    {"{{name}}{{name}}.io", "demodemo.io", NULL, false, NULL},
    {"{{cluster}}.io", NULL, NULL, false, "whose host \"{{cluster}}.io\" is not a DNS name"},
    {"ftp://flink.io/x", NULL, NULL, false, "whose host \"ftp://flink.io/x\" is not"},
    {"flink.io:port/x", NULL, NULL, false, "is not a DNS name"},
    {"flink.io:70000", NULL, NULL, false, "is not a DNS name"},
    {"{{name}}.Flink.io", NULL, NULL, false, "in lower case"},
    {"flink..io", NULL, NULL, false, "is not a DNS name"},
    {"flink\n.io", NULL, NULL, false, "is not a DNS name"},
    {"http://", NULL, NULL, false, "must have a host or a path"},
};

START_TEST(a_template_is_a_host_and_a_path)
{
    struct problems *p = arena_new(&a, struct problems);
    struct ingress_url url;

    p->a = &a;
    ingress_url_read(p, templates[_i].template, "team", "demo", &url);
    ck_assert_uint_eq(p->n, templates[_i].problem != NULL);
    if (templates[_i].problem) {
        ck_assert_str_eq(p->items[0].path, "spec.ingress.template");
        ck_assert_msg(strstr(p->items[0].text, templates[_i].problem), "%s", p->items[0].text);
        return;
    }
    ck_assert_pstr_eq(url.host, templates[_i].host);
    ck_assert_pstr_eq(url.path, templates[_i].path);
    ck_assert_int_eq(url.https, templates[_i].https);
}
END_TEST

START_TEST(an_endless_template_is_refused)
{
    struct problems *p = arena_new(&a, struct problems);
    char *text = arena_new_array(&a, char, 8000);
    struct ingress_url url;

    p->a = &a;
    memset(text, 'x', 7999);
    ingress_url_read(p, text, "team", "demo", &url);
    ck_assert_str_eq(p->items[0].text, "must be at most 4096 bytes long");
}
END_TEST

START_TEST(host_names)
{
    static const char *const good[] = {"a", "a-b.c", "1.2", "xn--bcher-kva.example",
                                       HOST("f23456789.g23456789.h23456789")};
    static const char *const bad[] = {"",
                                      ".",
                                      "a.",
                                      ".a",
                                      "a..b",
                                      "-a",
                                      "a-",
                                      "a-.b",
                                      "A",
                                      "a_b",
                                      "a b",
                                      "*",
                                      "*.a",
                                      "a/b",
                                      "a:1",
                                      "ä",
                                      "a\n",
                                      "a234567890123456789012345678901234567890123456789"
                                      "012345678901234.b"};

    for (size_t i = 0; i < ARRAY_SIZE(good); i++)
        ck_assert_msg(host_name_valid(good[i], false), "%s", good[i]);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        ck_assert_msg(!host_name_valid(bad[i], false), "%s", bad[i]);
    ck_assert(host_name_valid("*.a", true));
    ck_assert(!host_name_valid("*", true));
    ck_assert(!host_name_valid("a.*.b", true));
}
END_TEST

/* ---- where it leads ---- */

static const struct {
    const char *spec; /* ingress or exposure */
    enum exposure e;
    const char *address, *url;
} leads[] = {
    {"'ingress':{'template':'{{name}}.io'}", EXPOSURE_INGRESS, NULL, "http://demo.io/"},
    {"'ingress':{'template':'https://{{name}}.io/x'}", EXPOSURE_INGRESS, "192.0.2.1",
     "https://demo.io/x/"},
    {"'ingress':{'template':'io.io','tls':[{'hosts':['io.io']}]}", EXPOSURE_INGRESS, NULL,
     "https://io.io/"},
    {"'ingress':{'template':'/{{name}}(/|$)(.*)'}", EXPOSURE_INGRESS, NULL, NULL},
    {"'ingress':{'template':'/{{name}}(/|$)(.*)'}", EXPOSURE_INGRESS, "192.0.2.1",
     "http://192.0.2.1/demo/"},
    {"'ingress':{'template':'*.io'}", EXPOSURE_INGRESS, "192.0.2.1", NULL},
    {"'exposure':{'auth':{'type':'None'}}", EXPOSURE_UI_ROUTE, NULL, NULL},
    {"'exposure':{'auth':{'type':'None'}}", EXPOSURE_UI_ROUTE, "x.apps.io", "https://x.apps.io/"},
    {"'exposure':{'auth':{'type':'None'},'host':'h.io'}", EXPOSURE_UI_ROUTE, NULL, "https://h.io/"},
    {"'exposure':{'auth':{'type':'None'},'host':'h.io'}", EXPOSURE_UI_INGRESS, "192.0.2.1",
     "http://h.io/"},
    {"'exposure':{'auth':{'type':'None'},'host':'h.io','tls':{}}", EXPOSURE_UI_INGRESS, NULL,
     "https://h.io/"},
};

static struct problems *read_spec(const char *more, struct deployment_spec *s,
                                  struct cluster_config *c)
{
    struct problems *p = arena_new(&a, struct problems);
    const char *text = arena_printf(&a,
                                    "{'flinkVersion':'v1_20','jobManager':{'resource':{'memory':"
                                    "'1g'}},'taskManager':{'resource':{'memory':'1g'}},%s}",
                                    more);

    p->a = &a;
    cluster_config_read(p, "team", "demo", json(&a, text), /* strict= */ true, NULL, s, c);
    return p;
}

START_TEST(an_exposure_has_a_url)
{
    struct deployment_spec s;
    struct cluster_config c;
    const struct problems *p = read_spec(leads[_i].spec, &s, &c);

    ck_assert_msg(!p->n, "%s", problems_text(p));
    ck_assert_pstr_eq(exposure_url(&a, leads[_i].e, &c, leads[_i].address), leads[_i].url);
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *spec, *problem;
} refused[] = {
    {"'ingress':{}", "spec.ingress.template: must be given"},
    {"'ingress':{'template':''}", "spec.ingress.template: must be given"},
    {"'ingress':'x'", "spec.ingress: must be a mapping, found \"x\""},
    {"'ingress':{'template':'a','class':'x'}", "spec.ingress.class: is not a known field"},
    {"'ingress':{'template':'a','labels':{'x':1}}",
     "spec.ingress.labels.x: must be a string, found 1"},
    {"'ingress':{'template':'a','tls':[{'hosts':['a',1]}]}",
     "spec.ingress.tls[0].hosts[1]: must be a DNS name in lower case, found 1"},
    {"'ingress':{'template':'a','tls':['x']}",
     "spec.ingress.tls[0]: must be a mapping, found \"x\""},
    {"'exposure':{}", "spec.exposure.auth: must be given; {type: None} lets everyone"},
    {"'exposure':{'auth':{}}", "spec.exposure.auth: must be given"},
    {"'exposure':{'auth':{'type':'Basic'}}",
     "spec.exposure.auth.type: must be one of None, OpenShiftOAuth, OIDC, found \"Basic\""},
    {"'exposure':{'auth':{'type':'OIDC'}}", "spec.exposure.auth.type: OIDC is not supported yet"},
    {"'exposure':{'type':'Gateway','auth':{'type':'None'}}",
     "spec.exposure.type: must be one of Auto, Route, Ingress, None, found \"Gateway\""},
    {"'exposure':{'type':'Ingress','auth':{'type':'None'}}",
     "spec.exposure.host: must be given with type Ingress"},
    {"'exposure':{'host':'A.b','auth':{'type':'None'}}",
     "spec.exposure.host: must be a DNS name in lower case, found \"A.b\""},
    {"'exposure':{'tls':{'termination':'reencrypt'},'auth':{'type':'None'}}",
     "spec.exposure.tls.termination: must be edge without a login"},
    {"'exposure':{'timeout':'0 s','auth':{'type':'None'}}",
     "spec.exposure.timeout: must be between 1 and 2147483647"},
    {"'exposure':{'annotations':{'x':true},'auth':{'type':'None'}}",
     "spec.exposure.annotations.x: must be a string, found true"},
    {"'exposure':{'networkPolicy':'yes','auth':{'type':'None'}}",
     "spec.exposure.networkPolicy: must be true or false, found \"yes\""},
};

START_TEST(what_cannot_be_exposed_is_told_by_field)
{
    struct deployment_spec s;
    struct cluster_config c;
    const char *text = problems_text(read_spec(refused[_i].spec, &s, &c));

    ck_assert_msg(text && str_has_prefix(text, refused[_i].problem), "%s", str_or_empty(text));
}
END_TEST

void suite_exposure(TCase *tc)
{
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_add_loop_test(tc, a_template_is_a_host_and_a_path, 0, ARRAY_SIZE(templates));
    T(an_endless_template_is_refused);
    T(host_names);
    tcase_add_loop_test(tc, an_exposure_has_a_url, 0, ARRAY_SIZE(leads));
    tcase_add_loop_test(tc, what_cannot_be_exposed_is_told_by_field, 0, ARRAY_SIZE(refused));
}
