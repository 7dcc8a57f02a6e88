/* SPDX-License-Identifier: Apache-2.0 */
/* P-256 keys: see key.h. */
#include "key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <string.h>

#define SCALAR 32
#define SECURE_HEAP 32768
#define SECURE_SMALLEST 16

/* PrivateKeyInfo of a P-256 key: all that varies is the scalar and the point. */
static const uint8_t before_scalar[] = {
	0x30, 0x81, 0x87, 0x02, 0x01, 0x00,
	0x30, 0x13,
	0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,	/* ecPublicKey */
	0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,	/* P-256 */
	0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, SCALAR,
};
static const uint8_t before_point[] = { 0xa1, 0x44, 0x03, 0x42, 0x00 };

#define POINT_AT (sizeof(before_scalar) + SCALAR + sizeof(before_point))
#define DER (POINT_AT + KEY_POINT)

_Static_assert(DER == 138, "PKCS#8 of a P-256 key");

static EVP_MD *sha256;
static EVP_PKEY_CTX *generator;

static void number_release(BIGNUM **number)
{
	BN_clear_free(*number);
}

static void params_release(OSSL_PARAM **params)
{
	OSSL_PARAM_free(*params);
}

static void builder_release(OSSL_PARAM_BLD **builder)
{
	OSSL_PARAM_BLD_free(*builder);
}

static void context_release(EVP_PKEY_CTX **context)
{
	EVP_PKEY_CTX_free(*context);
}

static void digest_release(EVP_MD_CTX **context)
{
	EVP_MD_CTX_free(*context);
}

static void pkey_release(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

#define OWN(kind) __attribute__((cleanup(kind##_release)))

int key_setup(struct error *error)
{
	/* A configuration file could load other people's code in here. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG |
				OPENSSL_INIT_NO_ATEXIT, NULL) != 1)
		return error_set(error, ENOMEM, "keys: OpenSSL does not start");
	/* 2 would mean: there, but it may be swapped out. */
	if (CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_SMALLEST) != 1)
		return error_set(error, ENOMEM, "keys: no locked memory");
	/* Seeded here, where a fallback may still open what it needs. */
	if (RAND_status() != 1)
		return error_set(error, EIO, "keys: no random numbers");
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	generator = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!sha256 || !generator || EVP_PKEY_keygen_init(generator) != 1 ||
	    EVP_PKEY_CTX_set_group_name(generator, "P-256") != 1)
		return error_set(error, ENOSYS, "keys: OpenSSL without P-256");
	return 0;
}

void *key_memory(size_t bytes)
{
	return OPENSSL_secure_zalloc(bytes);
}

void key_memory_release(void *memory, size_t bytes)
{
	OPENSSL_secure_clear_free(memory, bytes);
}

void key_wipe(void *memory, size_t bytes)
{
	OPENSSL_cleanse(memory, bytes);
}

int key_hash(const void *bytes, size_t length, uint8_t ret_hash[KEY_HASH])
{
	return EVP_Digest(bytes, length, ret_hash, NULL, sha256, NULL) == 1 ?
		       0 : -EIO;
}

int key_random(uint8_t *ret_bytes, size_t length)
{
	return RAND_bytes(ret_bytes, (int)length) == 1 ? 0 : -EIO;
}

int key_identifier(uint8_t ret_identifier[KEY_IDENTIFIER])
{
	int result = key_random(ret_identifier, KEY_IDENTIFIER);
	ret_identifier[0] = (uint8_t)((ret_identifier[0] & 0x3f) | 0x40);
	return result;
}

/* The template filled in, in `der`, which lies in the locked heap. */
static int encode(EVP_PKEY *key, uint8_t *der)
{
	OWN(number) BIGNUM *scalar = BN_secure_new();
	size_t length = 0;
	if (!scalar ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1)
		return -EIO;
	memcpy(der, before_scalar, sizeof(before_scalar));
	if (BN_bn2binpad(scalar, der + sizeof(before_scalar), SCALAR) != SCALAR)
		return -EIO;
	memcpy(der + sizeof(before_scalar) + SCALAR, before_point,
	       sizeof(before_point));
	if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY,
					    der + POINT_AT, KEY_POINT,
					    &length) != 1 ||
	    length != KEY_POINT || der[POINT_AT] != POINT_CONVERSION_UNCOMPRESSED)
		return -EIO;
	return 0;
}

int key_generate(struct key_pair *ret_pair, struct error *error)
{
	OWN(pkey) EVP_PKEY *key = NULL;
	uint8_t *der = key_memory(DER);
	if (!der)
		return error_set(error, ENOMEM, "keys: locked memory is full");
	int result = EVP_PKEY_generate(generator, &key) == 1 ? encode(key, der) :
							       -EIO;
	if (!result) {
		struct text pem = { ret_pair->pem, KEY_PEM, 0, 0 };
		text_pem(&pem, "PRIVATE KEY", der, DER);
		memcpy(ret_pair->point, der + POINT_AT, KEY_POINT);
		if (pem.overflow || pem.length != KEY_PEM)
			result = -EIO;
	}
	key_memory_release(der, DER);
	return result ? error_set(error, -result, "keys: generation failed") : 0;
}

/* Scalar and point to a key, and that they belong together. */
static EVP_PKEY *import(const uint8_t *der)
{
	OWN(number) BIGNUM *scalar = BN_secure_new();
	OWN(builder) OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OWN(context) EVP_PKEY_CTX *context =
		EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	if (!scalar || !builder || !context ||
	    !BN_bin2bn(der + sizeof(before_scalar), SCALAR, scalar) ||
	    !OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME,
					     "P-256", 0) ||
	    !OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY,
					      der + POINT_AT, KEY_POINT) ||
	    !OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, scalar))
		return NULL;
	OWN(params) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	OWN(pkey) EVP_PKEY *key = NULL;
	if (!params || EVP_PKEY_fromdata_init(context) != 1 ||
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, params) != 1)
		return NULL;
	OWN(context) EVP_PKEY_CTX *pair =
		EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (!pair || EVP_PKEY_pairwise_check(pair) != 1)
		return NULL;
	EVP_PKEY *taken = key;
	key = NULL;
	return taken;
}

int key_load(const char *pem, size_t length, struct key *ret_key,
	     struct error *error)
{
	*ret_key = (struct key){ NULL };
	uint8_t *der = key_memory(DER);
	if (!der)
		return error_set(error, ENOMEM, "keys: locked memory is full");
	size_t der_length;
	if (text_unpem(pem, length, "PRIVATE KEY", der, DER, &der_length) < 0 ||
	    der_length != DER ||
	    memcmp(der, before_scalar, sizeof(before_scalar)) != 0 ||
	    memcmp(der + sizeof(before_scalar) + SCALAR, before_point,
		   sizeof(before_point)) != 0) {
		key_memory_release(der, DER);
		return error_set(error, EINVAL, "not the PKCS#8 PEM of a P-256 key");
	}
	ret_key->key = import(der);
	memcpy(ret_key->point, der + POINT_AT, KEY_POINT);
	key_memory_release(der, DER);
	if (!ret_key->key)
		return error_set(error, EINVAL, "the key's halves do not match");
	ret_key->signing = EVP_MD_CTX_new();
	if (!ret_key->signing ||
	    EVP_DigestSignInit_ex(ret_key->signing, NULL, "SHA256", NULL, NULL,
				  ret_key->key, NULL) != 1) {
		key_release(ret_key);
		return error_set(error, ENOMEM, "the key can't sign");
	}
	return 0;
}

void key_release(struct key *key)
{
	EVP_MD_CTX_free(key->signing);
	EVP_PKEY_free(key->key);
	*key = (struct key){ NULL };
}

int key_sign(const struct key *key, const void *bytes, size_t length,
	     uint8_t ret_signature[KEY_SIGNATURE])
{
	uint8_t der[80];
	size_t der_length = sizeof(der);
	OWN(digest) EVP_MD_CTX *context = EVP_MD_CTX_new();
	if (!context || EVP_MD_CTX_copy_ex(context, key->signing) != 1 ||
	    EVP_DigestSign(context, der, &der_length, bytes, length) != 1)
		return -EIO;
	const uint8_t *at = der;
	ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)der_length);
	if (!signature)
		return -EIO;
	int half = KEY_SIGNATURE / 2;
	int good = BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_signature,
				half) == half &&
		   BN_bn2binpad(ECDSA_SIG_get0_s(signature),
				ret_signature + half, half) == half;
	ECDSA_SIG_free(signature);
	return good ? 0 : -EIO;
}

void key_jwk(struct text *text, const uint8_t point[KEY_POINT])
{
	text_say(text, "\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"");
	text_base64(text, TEXT_BASE64URL, point + 1, SCALAR);
	text_say(text, "\",\"y\":\"");
	text_base64(text, TEXT_BASE64URL, point + 1 + SCALAR, SCALAR);
	text_say(text, "\"");
}
