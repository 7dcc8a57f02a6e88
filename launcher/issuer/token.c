/* SPDX-License-Identifier: Apache-2.0 */
/* JWT-SVIDs and key sets: see token.h. */
#include "token.h"

#include <string.h>

#define PAYLOAD 4096	/* every text twice as long as it can be, and names */
#define REFRESH_HINT 300	/* seconds */

int token_setup(const struct key *key, const char *domain,
		struct token_signer *ret_signer)
{
	char bytes[256];
	uint8_t hash[KEY_HASH];
	struct text jwk = { bytes, sizeof(bytes), 0, 0 };
	struct text kid = { ret_signer->kid, TOKEN_KID - 1, 0, 0 };

	text_say(&jwk, "{");
	key_jwk(&jwk, key->point);
	text_say(&jwk, "}");
	if (jwk.overflow || key_hash(bytes, jwk.length, hash) < 0)
		return -EIO;
	text_base64(&kid, TEXT_BASE64URL, hash, sizeof(hash));
	ret_signer->kid[kid.length] = 0;
	ret_signer->key = key;
	snprintf(ret_signer->domain, sizeof(ret_signer->domain), "%s", domain);
	return kid.overflow ? -EIO : 0;
}

static void say_claim(struct text *json, const char *name, const char *value)
{
	text_say(json, ",\"");
	text_say(json, name);
	text_say(json, "\":");
	text_json(json, value);
}

static void say_time(struct text *json, const char *name, uint64_t seconds)
{
	text_say(json, ",\"");
	text_say(json, name);
	text_say(json, "\":");
	text_number(json, seconds);
}

static void say_payload(const struct token_signer *signer,
			const struct token_claims *claims, struct text *json)
{
	text_say(json, "{\"iss\":\"spiffe://");
	text_say(json, signer->domain);	/* letters that need no escape */
	text_say(json, "\"");
	say_claim(json, "sub", claims->spiffe_id);
	say_claim(json, "aud", claims->audience);
	say_time(json, "iat", claims->issued);
	say_time(json, "exp", claims->expires);
	say_claim(json, "jti", claims->id);
	say_claim(json, "ambit_agent", claims->agent);
	if (*claims->task)
		say_claim(json, "ambit_task", claims->task);
	text_say(json, "}");
}

int token_make(const struct token_signer *signer,
	       const struct token_claims *claims, struct text *token)
{
	char header_bytes[128], payload_bytes[PAYLOAD];
	uint8_t signature[KEY_SIGNATURE];
	struct text header = { header_bytes, sizeof(header_bytes), 0, 0 };
	struct text payload = { payload_bytes, sizeof(payload_bytes), 0, 0 };
	size_t start = token->length;

	text_say(&header, "{\"alg\":\"ES256\",\"kid\":\"");
	text_say(&header, signer->kid);
	text_say(&header, "\",\"typ\":\"JWT\"}");
	say_payload(signer, claims, &payload);
	if (header.overflow || payload.overflow)
		return -EOVERFLOW;
	text_base64(token, TEXT_BASE64URL, header.bytes, header.length);
	text_say(token, ".");
	text_base64(token, TEXT_BASE64URL, payload.bytes, payload.length);
	if (token->overflow)
		return -EOVERFLOW;
	if (key_sign(signer->key, token->bytes + start, token->length - start,
		     signature) < 0)
		return -EIO;
	text_say(token, ".");
	text_base64(token, TEXT_BASE64URL, signature, sizeof(signature));
	return token->overflow ? -EOVERFLOW : 0;
}

static void say_key(const struct token_signer *signer, const char *use,
		    struct text *json)
{
	text_say(json, "{");
	key_jwk(json, signer->key->point);
	text_say(json, ",\"use\":\"");
	text_say(json, use);
	text_say(json, "\",\"kid\":\"");
	text_say(json, signer->kid);
	text_say(json, "\"");
}

void token_bundle(const struct token_signer *signer,
		  const struct token_bundle *bundle, struct text *json)
{
	text_say(json, "{\"keys\":[{");
	key_jwk(json, bundle->ca_point);
	text_say(json, ",\"use\":\"x509-svid\",\"x5c\":[\"");
	text_base64(json, TEXT_BASE64, bundle->ca_der, bundle->ca_length);
	text_say(json, "\"]},");
	say_key(signer, "jwt-svid", json);
	text_say(json, "}],\"spiffe_sequence\":");
	text_number(json, bundle->sequence);
	text_say(json, ",\"spiffe_refresh_hint\":");
	text_number(json, REFRESH_HINT);
	text_say(json, "}\n");
}

void token_keys(const struct token_signer *signer, struct text *json)
{
	text_say(json, "{\"keys\":[");
	say_key(signer, "sig", json);
	text_say(json, ",\"alg\":\"ES256\"}]}\n");
}
