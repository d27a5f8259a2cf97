/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates of the webhook: what is in them, and when their time has come. */
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "../../src/server/certificate.h"
#include "flinkop/mem.h"
#include "pair.h"
#include "unit.h"

#define NOW INT64_C(1800000000000)
#define DAY INT64_C(86400000)

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    ck_assert_ptr_nonnull(x);
    return x;
}

static int count(const char *pem)
{
    int n = 0;

    for (; (pem = strstr(pem, "BEGIN CERTIFICATE")); pem++)
        n++;
    return n;
}

static struct certificate make(int64_t wall, int64_t life)
{
    return certificate_make("hook", "team", wall, life);
}

START_TEST(what_is_made_is_for_the_service_and_for_that_long)
{
    struct certificate c = make(NOW, 90 * DAY);
    struct certificate_life life;
    struct error err = {0};
    X509 *x = parse(c.cert), *ca = parse(c.ca);

    ck_assert_int_eq(certificate_check(&c, "hook", "team", &life, &err), 0);
    ck_assert_int_eq(life.begin, NOW - 3600000);
    ck_assert_int_eq(life.end, NOW + 90 * DAY);
    ck_assert_int_eq(X509_check_host(x, "hook.team.svc", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(x, "hook.team.svc.cluster.local", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(x, "hook.other.svc", 0, 0, NULL), 0);
    ck_assert_int_eq(EVP_PKEY_get_bits(X509_get0_pubkey(x)), 256);
    ck_assert_int_eq(X509_get_version(x), 2);
    ck_assert_int_eq(X509_check_ca(ca), 1);
    ck_assert_int_eq(X509_check_ca(x), 0);
    ck_assert_uint_eq(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
    ck_assert_int_eq(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 1);
    ck_assert_int_eq(X509_verify(x, X509_get0_pubkey(ca)), 1);
    X509_free(x);
    X509_free(ca);
    certificate_release(&c);
}
END_TEST

START_TEST(no_two_are_alike)
{
    struct certificate a = make(NOW, DAY), b = make(NOW, DAY);
    X509 *first = parse(a.ca), *second = parse(b.ca);

    ck_assert_int_ne(X509_NAME_cmp(X509_get_subject_name(first), X509_get_subject_name(second)), 0);
    ck_assert_str_ne(a.key, b.key);
    X509_free(first);
    X509_free(second);
    certificate_release(&a);
    certificate_release(&b);
}
END_TEST

START_TEST(what_cannot_be_used_is_refused_without_a_word_of_the_key)
{
    struct certificate good = make(NOW, DAY), other = make(NOW, DAY);
    struct certificate elsewhere = certificate_make("hook", "other", NOW, DAY);
    struct pair self = pair_make("self", "DNS:hook.team.svc,DNS:hook.team.svc.cluster.local");
    const struct {
        struct certificate c;
        const char *words;
    } cases[] = {
        {{good.ca, (char *)(uintptr_t) "", good.key}, "tls.crt holds no certificate"},
        {{good.ca, good.cert, (char *)(uintptr_t) "nonsense"}, "tls.key holds no private key"},
        {{good.ca, good.cert, other.key}, "does not belong to"},
        {{other.ca, good.cert, good.key}, "not signed by one in ca.crt"},
        {{(char *)(uintptr_t) "", good.cert, good.key}, "not signed by one in ca.crt"},
        {{elsewhere.ca, elsewhere.cert, elsewhere.key}, "not for the names of the Service"},
        {{good.ca, self.cert_pem, self.key_pem}, "not signed by one in ca.crt"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct certificate_life life;
        struct error err = {0};

        ck_assert_int_eq(certificate_check(&cases[i].c, "hook", "team", &life, &err), -1);
        assert_error(&err, ERR_INVALID, cases[i].words);
        ck_assert_ptr_null(strstr(err.text, "PRIVATE"));
    }
    pair_free(&self);
    certificate_release(&good);
    certificate_release(&other);
    certificate_release(&elsewhere);
}
END_TEST

START_TEST(two_thirds_of_a_life_is_when_its_time_has_come)
{
    const struct certificate_life l = {NOW, NOW + 90 * DAY};
    static const struct {
        int64_t at;
        bool due, over;
    } cases[] = {
        {-1, true, true},        {0, false, false},           {60 * DAY - 1, false, false},
        {60 * DAY, true, false}, {90 * DAY - 1, true, false}, {90 * DAY, true, true},
        {400 * DAY, true, true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ck_assert_int_eq(certificate_is_due(&l, NOW + cases[i].at), cases[i].due);
        ck_assert_int_eq(certificate_is_over(&l, NOW + cases[i].at), cases[i].over);
    }
}
END_TEST

START_TEST(a_bundle_has_each_once_newest_first_and_none_that_is_over)
{
    struct certificate old = make(NOW, 10 * DAY), new = make(NOW + 7 * DAY, 10 * DAY);
    char *both = certificate_bundle(new.ca, old.ca, NOW + 7 * DAY);
    char *again = certificate_bundle(both, old.ca, NOW + 7 * DAY);
    char *later = certificate_bundle(both, NULL, NOW + 10 * DAY);
    char *none = certificate_bundle("nonsense", "", NOW);
    X509 *first = parse(both), *expected = parse(new.ca);

    ck_assert_int_eq(count(both), 2);
    ck_assert_int_eq(X509_cmp(first, expected), 0);
    ck_assert_str_eq(again, both);
    ck_assert_str_eq(later, new.ca);
    ck_assert_str_eq(none, "");
    for (int i = 0; i < 6; i++) {
        struct certificate more = make(NOW + 7 * DAY, 10 * DAY);
        char *grown = certificate_bundle(more.ca, both, NOW + 7 * DAY);

        free(both);
        both = grown;
        certificate_release(&more);
    }
    ck_assert_int_eq(count(both), 4);
    X509_free(first);
    X509_free(expected);
    free(both);
    free(again);
    free(later);
    free(none);
    certificate_release(&old);
    certificate_release(&new);
}
END_TEST

void suite_certificate(TCase *tc)
{
    T(what_is_made_is_for_the_service_and_for_that_long);
    T(no_two_are_alike);
    T(what_cannot_be_used_is_refused_without_a_word_of_the_key);
    T(two_thirds_of_a_life_is_when_its_time_has_come);
    T(a_bundle_has_each_once_newest_first_and_none_that_is_over);
}
