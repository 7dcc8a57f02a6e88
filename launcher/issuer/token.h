/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWT-SVIDs (JWT-SVID.md), ES256, and the JSON Web Key Sets that verify them.
 * The claims are listed in ambit-credentials(5), "CLAIMS".
 */
#ifndef ISSUER_TOKEN_H
#define ISSUER_TOKEN_H

#include "key.h"

#include <ambit/node.h>

#define TOKEN_KID 44	/* RFC 7638 thumbprint, base64url, closing zero */

struct token_signer {
	const struct key *key;
	char domain[AMBIT_TEXT_SIZE];
	char kid[TOKEN_KID];
};

struct token_claims {
	const char *spiffe_id, *audience;
	const char *agent, *task;	/* task: "" for none */
	const char *id;		/* jti */
	uint64_t issued, expires;
};

int token_setup(const struct key *key, const char *domain,
		struct token_signer *ret_signer);

int token_make(const struct token_signer *signer,
	       const struct token_claims *claims, struct text *token);

/* What the SPIFFE bundle says beside the keys: see its standard. */
struct token_bundle {
	const uint8_t *ca_point, *ca_der;
	size_t ca_length;
	uint64_t sequence;
};

/* The trust bundle: the CA certificate and the token key. */
void token_bundle(const struct token_signer *signer,
		  const struct token_bundle *bundle, struct text *json);

/* The token key alone, as verifiers that know nothing of SPIFFE want it. */
void token_keys(const struct token_signer *signer, struct text *json);

#endif
