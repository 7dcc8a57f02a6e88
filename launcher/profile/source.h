/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a profile as a tree that knows where everything stands.  libcyaml
 * loads values; it reports the place of the token before the wrong one, and
 * knows nothing of what is wrong in meaning.  This tree gives every message its
 * line and column, and keeps out what YAML has and profiles have not: aliases,
 * anchors, tags, directives, keys that come twice, second documents.
 */
#ifndef PROFILE_SOURCE_H
#define PROFILE_SOURCE_H

#include "../base/error.h"

#include <stddef.h>

enum source_kind { SOURCE_SCALAR, SOURCE_LIST, SOURCE_MAPPING };

struct source_node {
	enum source_kind kind;
	unsigned line, column;		/* of the value, from 1 */
	unsigned key_line, key_column;	/* of its key; 0 in a list */
	char *key;			/* NULL in a list and at the root */
	char *text;			/* of a scalar */
	unsigned count;			/* members of a list or mapping */
	struct source_node *parent, *first, *last, *next;
};

/* Reads `length` bytes.  Returns 0, or a negative errno with
 * "FILE:LINE:COLUMN: what: what was expected" in `error`. */
int source_read(const char *file, const char *text, size_t length,
		struct source_node **ret_root, struct error *error);

/* The node at `path`, as in "egress[0].ports[1]", or the nearest one above it
 * that exists. */
const struct source_node *source_find(const struct source_node *root, const char *path);

/* The member `key` of a mapping, or NULL. */
const struct source_node *source_member(const struct source_node *mapping, const char *key);

/* `text` for a message: at most 48 printable ASCII characters. */
struct source_quote {
	char text[52];
};
struct source_quote source_quote(const char *text);

void source_free(struct source_node *root);

#endif
