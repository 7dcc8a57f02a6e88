/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's authority: the CA key with its certificate and the token key.
 * Made once, on the first start, and read back on every later one.
 */
#ifndef ISSUER_AUTHORITY_H
#define ISSUER_AUTHORITY_H

#include "certificate.h"
#include "store.h"
#include "token.h"

#define AUTHORITY_YEARS 10

struct authority {
	struct key ca_key, token_key;
	struct certificate_ca ca;
	struct token_signer token;
	size_t bundle_pem_length, bundle_jwks_length;
	char bundle_pem[STORE_BYTES];
	char bundle_jwks[STORE_BYTES];
};

/* Makes a new set for the trust domain `domain`, or for one made from the CA
 * key when it is "". */
int authority_make(const char *domain, uint64_t now, struct store *ret_store,
		   struct error *error);

/* Takes what the key directory held: every part must be there, belong to the
 * others, and to `domain` unless that is "".  `ret_authority` must not move
 * afterwards. */
int authority_open(const struct store *store, const char *domain, uint64_t now,
		   struct authority *ret_authority, struct error *error);
void authority_release(struct authority *authority);

#endif
