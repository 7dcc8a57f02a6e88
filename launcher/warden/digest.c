/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256: see digest.h. */
#include "digest.h"

#include <errno.h>
#include <openssl/evp.h>

/* Looked up among OpenSSL's providers once: that takes longer than most digests. */
static const EVP_MD *sha256(void)
{
	static EVP_MD *found;

	if (!found)
		found = EVP_MD_fetch(NULL, "SHA256", NULL);
	return found;
}

int digest_sha256(const void *bytes, size_t length,
		  char ret_text[AMBIT_HASH_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (!sha256() ||
	    EVP_Digest(bytes, length, hash, &size, sha256(), NULL) != 1 ||
	    size != 32)
		return -EIO;
	for (unsigned i = 0; i < size; i++) {
		ret_text[2 * i] = digits[hash[i] >> 4];
		ret_text[2 * i + 1] = digits[hash[i] & 15];
	}
	ret_text[64] = 0;
	return 0;
}
