/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key directory.  Holds one directory, `authority`, which appears whole
 * with one rename and is never changed afterwards: ambit-credentials(5),
 * "THE AUTHORITY".  Runs before the walls stand, as root, and therefore moves
 * bytes only; what they mean is judged behind the walls.
 */
#ifndef ISSUER_STORE_H
#define ISSUER_STORE_H

#include "base/error.h"

#include <stddef.h>
#include <sys/types.h>

#define STORE_BYTES 2048	/* of one file */

/* X(name, file, secret or needed: read back at the next start) */
#define STORE_FILES(X)                    \
	X(CERTIFICATE, "ca.pem", 1)       \
	X(CA_KEY, "ca.key", 1)            \
	X(TOKEN_KEY, "token.key", 1)      \
	X(BUNDLE, "bundle.jwks", 0)       \
	X(KEYS, "keys.jwks", 0)

#define STORE_ENUM(name, file, needed) STORE_##name,
enum store_file { STORE_FILES(STORE_ENUM) STORE_LIMIT };
#undef STORE_ENUM

struct store {
	size_t length[STORE_LIMIT];
	char bytes[STORE_LIMIT][STORE_BYTES];
};

/* Reads the set.  Owner, mode and kind of every part are checked on its
 * descriptor.  Returns 0; -ENOENT, with `error` untouched, when there is no
 * authority yet; or another negative errno: it is there, but not as it was
 * left, and must not be replaced. */
int store_load(int directory, uid_t uid, struct store *ret_store,
	       struct error *error);

/* Writes a new set, durable on return. */
int store_save(int directory, uid_t uid, const struct store *store,
	       struct error *error);

#endif
