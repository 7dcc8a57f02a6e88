/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates: see certificate.h.  The public key goes in with
 * X509_PUBKEY_set0_param: X509_set_pubkey would run OpenSSL 3.0's encoder chain,
 * which costs three times as much as everything else here together.
 */
#include "certificate.h"

#include <openssl/x509v3.h>
#include <string.h>

#define KEY_ID 20	/* RFC 7093: the first 160 bits of SHA-256 */

#define CRITICAL 1
#define PATH_LENGTH 0

#define SCHEME "spiffe://"
#define SCHEME_LENGTH (sizeof(SCHEME) - 1)

/* Bits of keyUsage as ASN.1 counts them. */
enum { USAGE_SIGNATURE = 0, USAGE_CERT_SIGN = 5, USAGE_CRL_SIGN = 6 };

static void certificate_release(X509 **certificate)
{
	X509_free(*certificate);
}

static void bits_release(ASN1_BIT_STRING **bits)
{
	ASN1_BIT_STRING_free(*bits);
}

static void names_release(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

static void octets_release(ASN1_OCTET_STRING **octets)
{
	ASN1_OCTET_STRING_free(*octets);
}

#define OWN(kind) __attribute__((cleanup(kind##_release)))

int certificate_domain_valid(const char *domain, size_t length)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	return length > 0 && length < AMBIT_TEXT_SIZE &&
	       strspn(domain, letters) == length;
}

static X509_EXTENSION *extension_constraints(int authority)
{
	BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
	if (!constraints)
		return NULL;
	X509_EXTENSION *extension = NULL;
	constraints->ca = authority ? 0xff : 0;
	if (authority)
		constraints->pathlen = ASN1_INTEGER_new();
	if (!authority || (constraints->pathlen &&
			   ASN1_INTEGER_set(constraints->pathlen, PATH_LENGTH)))
		extension = X509V3_EXT_i2d(NID_basic_constraints, CRITICAL,
					   constraints);
	BASIC_CONSTRAINTS_free(constraints);
	return extension;
}

static X509_EXTENSION *extension_usage(int authority)
{
	OWN(bits) ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	if (!bits)
		return NULL;
	int good = authority ?
		ASN1_BIT_STRING_set_bit(bits, USAGE_CERT_SIGN, 1) &&
		ASN1_BIT_STRING_set_bit(bits, USAGE_CRL_SIGN, 1) :
		ASN1_BIT_STRING_set_bit(bits, USAGE_SIGNATURE, 1);
	return good ? X509V3_EXT_i2d(NID_key_usage, CRITICAL, bits) : NULL;
}

static X509_EXTENSION *extension_purposes(void)
{
	EXTENDED_KEY_USAGE *usage = sk_ASN1_OBJECT_new_null();
	X509_EXTENSION *extension = NULL;
	if (usage && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)) &&
	    sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_client_auth)))
		extension = X509V3_EXT_i2d(NID_ext_key_usage, 0, usage);
	sk_ASN1_OBJECT_free(usage);	/* the objects are OpenSSL's own */
	return extension;
}

static X509_EXTENSION *extension_issuer_id(const ASN1_OCTET_STRING *id)
{
	AUTHORITY_KEYID *key_id = AUTHORITY_KEYID_new();
	X509_EXTENSION *extension = NULL;
	if (key_id && (key_id->keyid = ASN1_OCTET_STRING_dup(id)))
		extension = X509V3_EXT_i2d(NID_authority_key_identifier, 0, key_id);
	AUTHORITY_KEYID_free(key_id);
	return extension;
}

/* Adds what `extension` says and frees it. */
static int add(X509 *certificate, X509_EXTENSION *extension)
{
	int good = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return good ? 0 : -ENOMEM;
}

static int add_uri(X509 *certificate, int critical, const char *uri)
{
	OWN(names) GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *string = ASN1_IA5STRING_new();
	if (!names || !name || !string ||
	    !ASN1_STRING_set(string, uri, (int)strlen(uri))) {
		GENERAL_NAME_free(name);
		ASN1_IA5STRING_free(string);
		return -ENOMEM;
	}
	GENERAL_NAME_set0_value(name, GEN_URI, string);
	if (!sk_GENERAL_NAME_push(names, name)) {
		GENERAL_NAME_free(name);
		return -ENOMEM;
	}
	return add(certificate,
		   X509V3_EXT_i2d(NID_subject_alt_name, critical, names));
}

static int add_key_id(X509 *certificate, const uint8_t point[KEY_POINT])
{
	uint8_t hash[KEY_HASH];
	OWN(octets) ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	if (!id || key_hash(point, KEY_POINT, hash) < 0 ||
	    !ASN1_OCTET_STRING_set(id, hash, KEY_ID))
		return -ENOMEM;
	return add(certificate,
		   X509V3_EXT_i2d(NID_subject_key_identifier, 0, id));
}

static int set_point(X509 *certificate, const uint8_t point[KEY_POINT])
{
	uint8_t *copy = OPENSSL_memdup(point, KEY_POINT);
	if (!copy)
		return -ENOMEM;
	if (X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(certificate),
				   OBJ_nid2obj(NID_X9_62_id_ecPublicKey),
				   V_ASN1_OBJECT,
				   OBJ_nid2obj(NID_X9_62_prime256v1), copy,
				   KEY_POINT) == 1)
		return 0;
	OPENSSL_free(copy);
	return -ENOMEM;
}

/* What a CA certificate and a leaf have in common. */
static int set_common(X509 *certificate, const uint8_t point[KEY_POINT],
		      const struct certificate_validity *validity,
		      const uint8_t serial[CERTIFICATE_SERIAL])
{
	if (!X509_set_version(certificate, X509_VERSION_3) ||
	    !ASN1_TIME_set(X509_getm_notBefore(certificate),
			   (time_t)validity->not_before) ||
	    !ASN1_TIME_set(X509_getm_notAfter(certificate),
			   (time_t)validity->not_after) ||
	    !ASN1_STRING_set(X509_get_serialNumber(certificate), serial,
			     CERTIFICATE_SERIAL))
		return -ENOMEM;
	return set_point(certificate, point);
}

static int sign(X509 *certificate, const struct key *key, struct text *der)
{
	uint8_t bytes[CERTIFICATE_DER], *at = bytes;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int good = context && EVP_MD_CTX_copy_ex(context, key->signing) == 1 &&
		   X509_sign_ctx(certificate, context) > 0;
	EVP_MD_CTX_free(context);
	int length = good ? i2d_X509(certificate, NULL) : -1;
	if (length <= 0 || (size_t)length > sizeof(bytes) ||
	    i2d_X509(certificate, &at) != length)
		return -EIO;
	text_put(der, bytes, (size_t)length);
	return der->overflow ? -EIO : 0;
}

/* The name only has to differ from any other CA's and must not be empty: RFC
 * 5280 wants one, the identity is the URI. */
static int set_ca_name(X509 *certificate, const uint8_t point[KEY_POINT])
{
	uint8_t hash[KEY_HASH];
	char words[64];
	struct text name = { words, sizeof(words), 0, 0 };
	if (key_hash(point, KEY_POINT, hash) < 0)
		return -EIO;
	text_say(&name, "ambit node CA ");
	text_hex(&name, hash, 8);
	X509_NAME *subject = X509_get_subject_name(certificate);
	if (!X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
					(const unsigned char *)words,
					(int)name.length, -1, 0) ||
	    !X509_set_issuer_name(certificate, subject))
		return -ENOMEM;
	return 0;
}

int certificate_make_ca(const struct key *key, const char *domain,
			const struct certificate_validity *validity,
			struct text *der, struct error *error)
{
	char uri[SCHEME_LENGTH + AMBIT_TEXT_SIZE];
	uint8_t serial[CERTIFICATE_SERIAL];
	OWN(certificate) X509 *certificate = X509_new();
	if (!certificate || key_identifier(serial) < 0)
		return error_set(error, ENOMEM, "CA certificate: no memory");
	snprintf(uri, sizeof(uri), SCHEME "%s", domain);
	int result = set_common(certificate, key->point, validity, serial);
	if (!result)
		result = set_ca_name(certificate, key->point);
	if (!result)
		result = add(certificate, extension_constraints(1));
	if (!result)
		result = add(certificate, extension_usage(1));
	if (!result)
		result = add_key_id(certificate, key->point);
	if (!result)
		result = add_uri(certificate, 0, uri);
	if (!result)
		result = sign(certificate, key, der);
	return result ? error_set(error, -result, "CA certificate: not made") : 0;
}

/* The extensions that do not change from leaf to leaf. */
static int fix_extensions(struct certificate_ca *ca, X509 *certificate)
{
	const ASN1_OCTET_STRING *id = X509_get0_subject_key_id(certificate);
	ca->name = X509_NAME_dup(X509_get_subject_name(certificate));
	ca->fixed[0] = extension_constraints(0);
	ca->fixed[1] = extension_usage(0);
	ca->fixed[2] = extension_purposes();
	ca->fixed[3] = id ? extension_issuer_id(id) : NULL;
	for (int i = 0; i < 4; i++)
		if (!ca->fixed[i])
			return -ENOMEM;
	return ca->name ? 0 : -ENOMEM;
}

/* The trust domain: the one URI name, without a path. */
static int read_domain(X509 *certificate, char ret_domain[AMBIT_TEXT_SIZE])
{
	OWN(names) GENERAL_NAMES *names = X509_get_ext_d2i(
		certificate, NID_subject_alt_name, NULL, NULL);
	if (!names || sk_GENERAL_NAME_num(names) != 1)
		return -EINVAL;
	int kind;
	const ASN1_STRING *uri =
		GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, 0), &kind);
	if (kind != GEN_URI)
		return -EINVAL;
	size_t length = (size_t)ASN1_STRING_length(uri);
	const char *bytes = (const char *)ASN1_STRING_get0_data(uri);
	if (length <= SCHEME_LENGTH || length - SCHEME_LENGTH >= AMBIT_TEXT_SIZE ||
	    memcmp(bytes, SCHEME, SCHEME_LENGTH) != 0)
		return -EINVAL;
	length -= SCHEME_LENGTH;
	memcpy(ret_domain, bytes + SCHEME_LENGTH, length);
	ret_domain[length] = 0;
	return certificate_domain_valid(ret_domain, length) ? 0 : -EINVAL;
}

/* Why `certificate` is not what certificate_make_ca made, or NULL. */
static const char *find_fault(X509 *certificate, const struct key *key)
{
	const ASN1_BIT_STRING *point = X509_get0_pubkey_bitstr(certificate);
	uint32_t flags = X509_get_extension_flags(certificate);
	if (!point || ASN1_STRING_length(point) != KEY_POINT ||
	    memcmp(ASN1_STRING_get0_data(point), key->point, KEY_POINT) != 0)
		return "is not the CA key's";
	if (X509_verify(certificate, key->key) != 1)
		return "has a wrong signature";
	if (flags & EXFLAG_INVALID || !(flags & EXFLAG_CA) ||
	    X509_get_pathlen(certificate) != PATH_LENGTH)
		return "is not a CA's";
	if (X509_get_key_usage(certificate) != (KU_KEY_CERT_SIGN | KU_CRL_SIGN))
		return "has other key usages than a CA's";
	if (!X509_get0_subject_key_id(certificate))
		return "has no key identifier";
	return NULL;
}

static int read_time(const ASN1_TIME *time, uint64_t *ret_seconds)
{
	struct tm civil;
	if (ASN1_TIME_to_tm(time, &civil) != 1)
		return -EINVAL;
	time_t seconds = timegm(&civil);
	if (seconds < 0)
		return -EINVAL;
	*ret_seconds = (uint64_t)seconds;
	return 0;
}

int certificate_load_ca(const struct key *key, const uint8_t *der,
			size_t length, uint64_t now,
			struct certificate_ca *ret_ca, struct error *error)
{
	const uint8_t *at = der;
	uint64_t not_before;
	*ret_ca = (struct certificate_ca){ .key = key };
	OWN(certificate) X509 *certificate = d2i_X509(NULL, &at, (long)length);
	if (!certificate || at != der + length)
		return error_set(error, EINVAL, "not a certificate");
	const char *fault = find_fault(certificate, key);
	if (fault)
		return error_set(error, EINVAL, "the certificate %s", fault);
	if (read_domain(certificate, ret_ca->domain) < 0)
		return error_set(error, EINVAL, "the certificate names no trust domain");
	if (read_time(X509_get0_notBefore(certificate), &not_before) < 0 ||
	    read_time(X509_get0_notAfter(certificate), &ret_ca->not_after) < 0)
		return error_set(error, EINVAL, "the certificate has no valid time");
	if (now < not_before)
		return error_set(error, EKEYREJECTED, "the certificate is not "
				 "valid yet: is the clock right?");
	if (now >= ret_ca->not_after)
		return error_set(error, EKEYEXPIRED, "the certificate has expired");
	if (fix_extensions(ret_ca, certificate) < 0) {
		certificate_release_ca(ret_ca);
		return error_set(error, ENOMEM, "the certificate: no memory");
	}
	return 0;
}

void certificate_release_ca(struct certificate_ca *ca)
{
	X509_NAME_free(ca->name);
	for (int i = 0; i < 4; i++)
		X509_EXTENSION_free(ca->fixed[i]);
	*ca = (struct certificate_ca){ NULL };
}

int certificate_make_leaf(const struct certificate_ca *ca,
			  const uint8_t point[KEY_POINT], const char *spiffe_id,
			  const struct certificate_validity *validity,
			  const uint8_t serial[CERTIFICATE_SERIAL],
			  struct text *der)
{
	OWN(certificate) X509 *certificate = X509_new();
	if (!certificate)
		return -ENOMEM;
	int result = set_common(certificate, point, validity, serial);
	if (!result && !X509_set_issuer_name(certificate, ca->name))
		result = -ENOMEM;
	for (int i = 0; i < 4 && !result; i++)
		if (X509_add_ext(certificate, ca->fixed[i], -1) != 1)
			result = -ENOMEM;
	if (!result)
		result = add_key_id(certificate, point);
	/* There is no subject, so that the name has to be understood. */
	if (!result)
		result = add_uri(certificate, CRITICAL, spiffe_id);
	if (!result)
		result = sign(certificate, ca->key, der);
	return result;
}
