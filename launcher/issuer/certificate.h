/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 after the SPIFFE profile (X509-SVID.md): the node's CA certificate and
 * the leaves under it.  What each kind carries stands in one table.
 */
#ifndef ISSUER_CERTIFICATE_H
#define ISSUER_CERTIFICATE_H

#include "key.h"

#include <ambit/node.h>
#include <openssl/x509.h>

#define CERTIFICATE_DER 1536	/* more than any certificate made here needs */
#define CERTIFICATE_SERIAL 16	/* bytes of a serial number */

struct certificate_validity {
	uint64_t not_before, not_after;	/* seconds since the epoch */
};

/* The CA as the leaves need it. */
struct certificate_ca {
	const struct key *key;
	X509_NAME *name;
	X509_EXTENSION *fixed[4];	/* the same in every leaf */
	uint64_t not_after;
	char domain[AMBIT_TEXT_SIZE];
};

/* A self-signed CA certificate for `domain`. */
int certificate_make_ca(const struct key *key, const char *domain,
			const struct certificate_validity *validity,
			struct text *der, struct error *error);

/* Reads a CA certificate back and holds it against the profile, the key and
 * the time `now`. */
int certificate_load_ca(const struct key *key, const uint8_t *der,
			size_t length, uint64_t now,
			struct certificate_ca *ret_ca, struct error *error);
void certificate_release_ca(struct certificate_ca *ca);

/* A leaf for the public point `point`, with the number `serial`, whose first bit is 0
 * and whose second is 1 (RFC 5280, 4.1.2.2: positive; always of one length). */
int certificate_make_leaf(const struct certificate_ca *ca,
			  const uint8_t point[KEY_POINT], const char *spiffe_id,
			  const struct certificate_validity *validity,
			  const uint8_t serial[CERTIFICATE_SERIAL],
			  struct text *der);

/* 1 if `domain` (`length` bytes) may be a trust domain. */
int certificate_domain_valid(const char *domain, size_t length);

#endif
