/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes: FNV-1a for tables, SHA-256 (OpenSSL) for names and fingerprints; random identifiers. */
#ifndef FLINKOP_HASH_H
#define FLINKOP_HASH_H

#include <stddef.h>
#include <stdint.h>

/** FNV-1a, 64 bit (http://www.isthe.com/chongo/tech/comp/fnv/). */
uint64_t hash_bytes(const void *data, size_t n);
uint64_t hash_str(const char *s);

#define SHA256_HEX_LEN 64
/** Writes 64 lower-case hex digits and a NUL. */
void sha256_hex(const void *data, size_t n, char out[SHA256_HEX_LEN + 1]);

/** Fills with bytes of the kernel's generator; never fails (the process ends if it does). */
void random_bytes(void *out, size_t n);
/** 2 * n lower-case hex digits and a NUL of random bytes, e.g. a Flink job id with n = 16. */
void random_hex(char *out, size_t n);
/** Uniform in [0, 1). For jitter, not for secrets. */
double random_unit(void);

#endif
