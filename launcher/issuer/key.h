/* SPDX-License-Identifier: Apache-2.0 */
/*
 * P-256 keys, the only kind there is here.  On disk and on delivery a key is
 * PKCS#8 in one fixed form, which is written and read as a template: no general
 * parser ever sees a private key.  Scalars stay in OpenSSL's locked heap.
 */
#ifndef ISSUER_KEY_H
#define ISSUER_KEY_H

#include "base/error.h"
#include "base/own.h"
#include "text.h"

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_POINT 65	/* uncompressed public point */
#define KEY_PEM 241	/* bytes of the PEM text, no zero behind it */
#define KEY_HASH 32
#define KEY_SIGNATURE 64	/* r and s, as JWS wants them */

/* A key that is given away: nothing is signed with it here. */
struct key_pair {
	uint8_t point[KEY_POINT];
	char pem[KEY_PEM];
};

/* A key that signs. */
struct key {
	EVP_PKEY *key;
	EVP_MD_CTX *signing;	/* set up once: copied for each signature */
	uint8_t point[KEY_POINT];
};

/* Sets OpenSSL up without its configuration file, and the locked heap.  Before
 * the walls: locking memory may need privilege. */
int key_setup(struct error *error);

int key_generate(struct key_pair *ret_pair, struct error *error);

/* Reads back what key_generate wrote, and that the point is the scalar's. */
int key_load(const char *pem, size_t length, struct key *ret_key,
	     struct error *error);
void key_release(struct key *key);

int key_hash(const void *bytes, size_t length, uint8_t ret_hash[KEY_HASH]);
int key_random(uint8_t *ret_bytes, size_t length);

#define KEY_IDENTIFIER 16
/* 126 random bits, for a serial number or a jti.  The first two are fixed, so that as
 * a number it is positive and always has 32 digits. */
int key_identifier(uint8_t ret_identifier[KEY_IDENTIFIER]);
int key_sign(const struct key *key, const void *bytes, size_t length,
	     uint8_t ret_signature[KEY_SIGNATURE]);

/* The members of the public JWK, in RFC 7638's order and without braces. */
void key_jwk(struct text *text, const uint8_t point[KEY_POINT]);

/* Memory in the locked heap, zeroed; released with a wipe. */
void *key_memory(size_t bytes);
void key_memory_release(void *memory, size_t bytes);
void key_wipe(void *memory, size_t bytes);

#endif
