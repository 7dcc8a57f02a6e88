/* SPDX-License-Identifier: Apache-2.0 */
/* The node's authority: see authority.h. */
#include "authority.h"

#include <string.h>

#define CERTIFICATE_LABEL "CERTIFICATE"
#define YEAR (365ULL * 24 * 60 * 60)
#define BACK_DATED 10	/* seconds, for verifiers whose clock is behind */

/* A new key into its file and, to sign with, into `ret_key`. */
static int make_key(struct store *store, enum store_file which,
		    struct key *ret_key, struct error *error)
{
	struct key_pair *pair = key_memory(sizeof(*pair));
	if (!pair)
		return error_set(error, ENOMEM, "keys: locked memory is full");
	int result = key_generate(pair, error);
	if (!result) {
		memcpy(store->bytes[which], pair->pem, KEY_PEM);
		store->length[which] = KEY_PEM;
		result = key_load(pair->pem, KEY_PEM, ret_key, error);
	}
	key_memory_release(pair, sizeof(*pair));
	return result;
}

/* A name that no other node has and that stays with the key. */
static int derive_domain(const uint8_t point[KEY_POINT],
			 char ret_domain[AMBIT_TEXT_SIZE])
{
	uint8_t hash[KEY_HASH];
	struct text domain = { ret_domain, AMBIT_TEXT_SIZE - 1, 0, 0 };

	if (key_hash(point, KEY_POINT, hash) < 0)
		return -EIO;
	text_say(&domain, "ambit-");
	text_hex(&domain, hash, 8);
	ret_domain[domain.length] = 0;
	return 0;
}

static int make_bundles(const struct key *ca_key, const struct text *der,
			const struct token_signer *signer, uint64_t now,
			struct store *store)
{
	struct text bundle = { store->bytes[STORE_BUNDLE], STORE_BYTES, 0, 0 };
	struct text keys = { store->bytes[STORE_KEYS], STORE_BYTES, 0, 0 };
	struct token_bundle what = {
		ca_key->point, (const uint8_t *)der->bytes, der->length, now,
	};

	token_bundle(signer, &what, &bundle);
	token_keys(signer, &keys);
	store->length[STORE_BUNDLE] = bundle.length;
	store->length[STORE_KEYS] = keys.length;
	return bundle.overflow || keys.overflow ? -EOVERFLOW : 0;
}

static int fill_store(const struct key *ca_key, const struct key *token_key,
		      const char *domain, uint64_t now, struct store *store,
		      struct error *error)
{
	char bytes[CERTIFICATE_DER];
	struct text der = { bytes, sizeof(bytes), 0, 0 };
	struct text pem = { store->bytes[STORE_CERTIFICATE], STORE_BYTES, 0, 0 };
	struct certificate_validity validity = {
		now - BACK_DATED, now + AUTHORITY_YEARS * YEAR,
	};
	struct token_signer signer;

	int result = certificate_make_ca(ca_key, domain, &validity, &der, error);
	if (result < 0)
		return result;
	text_pem(&pem, CERTIFICATE_LABEL, (const uint8_t *)bytes, der.length);
	store->length[STORE_CERTIFICATE] = pem.length;
	if (pem.overflow || token_setup(token_key, domain, &signer) < 0 ||
	    make_bundles(ca_key, &der, &signer, now, store) < 0)
		return error_set(error, EIO, "keys: the bundle was not made");
	return 0;
}

int authority_make(const char *domain, uint64_t now, struct store *ret_store,
		   struct error *error)
{
	struct key ca_key = { NULL }, token_key = { NULL };
	char derived[AMBIT_TEXT_SIZE];

	if (*domain && !certificate_domain_valid(domain, strlen(domain)))
		return error_set(error, EINVAL, "trust domain %.100s: not a name "
				 "of a-z 0-9 . - _", domain);
	int result = make_key(ret_store, STORE_CA_KEY, &ca_key, error);
	if (!result)
		result = make_key(ret_store, STORE_TOKEN_KEY, &token_key, error);
	if (!result && !*domain) {
		domain = derived;
		if (derive_domain(ca_key.point, derived) < 0)
			result = error_set(error, EIO, "keys: no trust domain");
	}
	if (!result)
		result = fill_store(&ca_key, &token_key, domain, now, ret_store,
				    error);
	key_release(&ca_key);
	key_release(&token_key);
	return result;
}

static int open_certificate(const struct store *store, uint64_t now,
			    struct authority *authority, struct error *error)
{
	uint8_t der[CERTIFICATE_DER];
	size_t length;

	if (text_unpem(store->bytes[STORE_CERTIFICATE],
		       store->length[STORE_CERTIFICATE], CERTIFICATE_LABEL, der,
		       sizeof(der), &length) < 0)
		return error_set(error, EINVAL, "keys: ca.pem: not one "
				 "certificate in PEM");
	if (certificate_load_ca(&authority->ca_key, der, length, now,
				&authority->ca, error) < 0)
		return error_context(error, "keys: ca.pem");
	/* The set never changes, so neither does its number. */
	uint64_t sequence = authority->ca.not_after - AUTHORITY_YEARS * YEAR;
	memcpy(authority->bundle_pem, store->bytes[STORE_CERTIFICATE],
	       store->length[STORE_CERTIFICATE]);
	authority->bundle_pem_length = store->length[STORE_CERTIFICATE];
	if (token_setup(&authority->token_key, authority->ca.domain,
			&authority->token) < 0)
		return error_set(error, EIO, "keys: token.key: no identifier");
	struct token_bundle what = { authority->ca_key.point, der, length,
				     sequence };
	struct text json = { authority->bundle_jwks, STORE_BYTES, 0, 0 };
	token_bundle(&authority->token, &what, &json);
	authority->bundle_jwks_length = json.length;
	return json.overflow ? error_set(error, EIO, "keys: the bundle") : 0;
}

int authority_open(const struct store *store, const char *domain, uint64_t now,
		   struct authority *ret_authority, struct error *error)
{
	memset(ret_authority, 0, sizeof(*ret_authority));
	int result = key_load(store->bytes[STORE_CA_KEY],
			      store->length[STORE_CA_KEY],
			      &ret_authority->ca_key, error);
	if (result < 0)
		return error_context(error, "keys: ca.key");
	result = key_load(store->bytes[STORE_TOKEN_KEY],
			  store->length[STORE_TOKEN_KEY],
			  &ret_authority->token_key, error);
	if (result < 0)
		error_context(error, "keys: token.key");
	if (!result)
		result = open_certificate(store, now, ret_authority, error);
	if (!result && *domain && strcmp(domain, ret_authority->ca.domain) != 0)
		result = error_set(error, EINVAL, "keys: they are those of trust "
				   "domain %s, not of %.100s",
				   ret_authority->ca.domain, domain);
	if (result < 0)
		authority_release(ret_authority);
	return result;
}

void authority_release(struct authority *authority)
{
	certificate_release_ca(&authority->ca);
	key_release(&authority->ca_key);
	key_release(&authority->token_key);
	key_wipe(authority, sizeof(*authority));
}
