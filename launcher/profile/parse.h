/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the parser share: parse.c takes the plain values, lists.c
 * the lists, bounds.c holds them against each other. */
#ifndef PROFILE_PARSE_H
#define PROFILE_PARSE_H

#include "profile.h"
#include "schema.h"
#include "source.h"

struct parse {
	const char *file;
	const struct source_node *root;
	const struct raw *raw;
	struct profile *profile;
	struct error *error;
};

/* One value: where its text lies, where it goes, who reads it, and what it is
 * when it is not given (NULL: stays as it is). */
struct parse_row {
	const char *key;
	size_t raw, to;
	int (*take)(struct parse *parse, const char *path, const char *text,
		    void *to);
	const char *otherwise;
};

/* Takes `count` rows of one part; `path` is its place, "" for the top. */
int parse_rows(struct parse *parse, const char *path,
	       const struct parse_row *rows, size_t count, const void *raw,
	       void *to);

/* Says that the value at `path` is wrong; `why` ends in what was expected. */
int parse_wrong(const struct parse *parse, const char *path, const char *why, ...)
	__attribute__((format(printf, 3, 4)));

/* Says so where `node` stands. */
int parse_wrong_at(const struct parse *parse, const struct source_node *node,
		   const char *what, const char *why);

/* The line of the value at `path`. */
unsigned parse_line(const struct parse *parse, const char *path);

/* Its line and column. */
struct profile_place parse_place(const struct parse *parse, const char *path);

/* A text of one line and 1..255 bytes, copied to *(char **)to. */
int parse_text(struct parse *parse, const char *path, const char *text, void *to);
/* The same of [a-z0-9-]{1,63}. */
int parse_name(struct parse *parse, const char *path, const char *text, void *to);
int parse_date(struct parse *parse, const char *path, const char *text, void *to);
/* One of `words`, which NULL ends; its index. */
int parse_word(struct parse *parse, const char *path, const char *text,
	       const char *const *words, const char *expected, int *ret_index);

/* lists.c */
int parse_environment(struct parse *parse);
int parse_egress(struct parse *parse);
int parse_listen(struct parse *parse);
int parse_credentials(struct parse *parse);
int parse_exceptions(struct parse *parse);

/* bounds.c: what one value alone can't tell. */
int parse_bounds(struct parse *parse);

#endif
