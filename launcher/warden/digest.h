/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 in hexadecimal; with digest.c the warden's only use of libcrypto. */
#ifndef WARDEN_DIGEST_H
#define WARDEN_DIGEST_H

#include <ambit/node.h>
#include <stddef.h>

/* Returns 0 or -EIO (the library refused). */
int digest_sha256(const void *bytes, size_t length,
		  char ret_text[AMBIT_HASH_SIZE]);

#endif
