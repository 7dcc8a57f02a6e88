/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to profile: profile_parse and the values that stand alone.  The order is
 * tree, schema, values, relations; the first that is wrong ends it.
 */
#include "parse.h"

#include "../base/number.h"
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOME "/home/agent"	/* the agent's private home, also "home" */

int parse_wrong_at(const struct parse *parse, const struct source_node *node,
		   const char *what, const char *why)
{
	return error_set(parse->error, EINVAL, "%s:%u:%u: %s: %s", parse->file,
			 node->line, node->column, what, why);
}

int parse_wrong(const struct parse *parse, const char *path, const char *why, ...)
{
	char text[512];
	va_list arguments;

	va_start(arguments, why);
	vsnprintf(text, sizeof(text), why, arguments);
	va_end(arguments);
	return parse_wrong_at(parse, source_find(parse->root, path), path, text);
}

unsigned parse_line(const struct parse *parse, const char *path)
{
	return source_find(parse->root, path)->line;
}

struct profile_place parse_place(const struct parse *parse, const char *path)
{
	const struct source_node *node = source_find(parse->root, path);

	return (struct profile_place){ node->line, node->column };
}

int parse_rows(struct parse *parse, const char *path,
	       const struct parse_row *rows, size_t count, const void *raw,
	       void *to)
{
	char below[128];

	for (size_t i = 0; i < count; i++) {
		const char *text;
		memcpy(&text, (const char *)raw + rows[i].raw, sizeof(text));
		if (!text)
			text = rows[i].otherwise;
		if (!text)
			continue;
		snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "",
			 rows[i].key);
		int result = rows[i].take(parse, below, text,
					  (char *)to + rows[i].to);
		if (result < 0)
			return result;
	}
	return 0;
}

static int keep(struct parse *parse, const char *text, void *to)
{
	char *copy = strdup(text);

	if (!copy)
		return error_errno(parse->error, ENOMEM, "%s", parse->file);
	free(*(char **)to);
	*(char **)to = copy;
	return 0;
}

int parse_text(struct parse *parse, const char *path, const char *text, void *to)
{
	if (!*text || strspn(text, " \t\r\n") == strlen(text))
		return parse_wrong(parse, path, "empty: a text was expected");
	if (strpbrk(text, "\r\n\t"))
		return parse_wrong(parse, path,
				   "several lines or tabs: one line was expected");
	if (strlen(text) >= AMBIT_TEXT_SIZE)
		return parse_wrong(parse, path, "too long: at most %d bytes were "
				   "expected", AMBIT_TEXT_SIZE - 1);
	return keep(parse, text, to);
}

int parse_name(struct parse *parse, const char *path, const char *text, void *to)
{
	if (word_name(text) < 0)
		return parse_wrong(parse, path,
				   "%s: 1 to 63 of a-z, 0-9 and -, no - first or "
				   "last, were expected", source_quote(text).text);
	return keep(parse, text, to);
}

int parse_word(struct parse *parse, const char *path, const char *text,
	       const char *const *words, const char *expected, int *ret_index)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(words[i], text)) {
			*ret_index = i;
			return 0;
		}
	return parse_wrong(parse, path, "%s: %s was expected",
			   source_quote(text).text, expected);
}

int parse_date(struct parse *parse, const char *path, const char *text, void *to)
{
	if (word_date(text, to) < 0)
		return parse_wrong(parse, path, "%s: a day of the calendar such as "
				   "2027-03-31 was expected",
				   source_quote(text).text);
	return 0;
}

static int take_version(struct parse *parse, const char *path, const char *text,
			void *to)
{
	(void)to;
	if (strcmp(text, "1"))
		return parse_wrong(parse, path, "%s: format version 1 was expected",
				   source_quote(text).text);
	return 0;
}

static int take_tier(struct parse *parse, const char *path, const char *text,
		     void *to)
{
	static const char *const words[] = { "low", "medium", "high", NULL };
	int index = 0;

	int result = parse_word(parse, path, text, words, "low, medium or high",
				&index);
	if (!result)
		*(enum profile_tier *)to = (enum profile_tier)index;
	return result;
}

static int take_system(struct parse *parse, const char *path, const char *text,
		       void *to)
{
	static const char *const words[] = { "standard", "none", NULL };
	int index = 0;

	int result = parse_word(parse, path, text, words, "standard or none",
				&index);
	if (!result)
		*(enum profile_system *)to = (enum profile_system)index;
	return result;
}

static int take_directory(struct parse *parse, const char *path,
			  const char *text, void *to)
{
	if (!strcmp(text, "home") || !strcmp(text, HOME))
		return keep(parse, "", to);
	if (word_path(text) < 0)
		return parse_wrong(parse, path, "%s: home, or an absolute path "
				   "without //, ., .. or a / at its end was expected",
				   source_quote(text).text);
	return keep(parse, text, to);
}

static int take_set(struct parse *parse, const char *path, const char *text,
		    void *to)
{
	if (text[0] != '@')
		return parse_wrong(parse, path, "%s: a named set such as \"@agent\" "
				   "was expected", source_quote(text).text);
	return keep(parse, text, to);
}

static int read_count(const char *text, uint64_t *ret_value)
{
	return number_parse(text, strlen(text), UINT32_MAX, ret_value);
}

#define DAY UINT64_C(86400)
#define KIB UINT64_C(1024)

/* Bounds of numbers, one row a key: the key's path tells which. */
static const struct bound {
	const char *path;
	int (*read)(const char *text, uint64_t *ret_value);
	uint64_t least, most;
	int unlimited;		/* the word may be given */
	const char *expected;
} numbers[] = {
	{ "run.lifetime", word_duration, 1, 365 * DAY, 1,
	  "1s to 365d, as in 30s, 10m, 2h or 1d, or unlimited" },
	{ "run.grace", word_duration, 0, 600, 0, "0s to 10m, as in 10s" },
	{ "limits.memory", word_size, 4 * KIB * KIB, 1024 * KIB * KIB * KIB * KIB, 1,
	  "4M to 1024T, as in 512M or 1G, or unlimited" },
	{ "limits.processes", read_count, 1, 65536, 0, "1 to 65536" },
	{ "limits.cpu", word_percent, 1, 100000, 1,
	  "1% to 100000% of one CPU, as in 150%, or unlimited" },
	{ "limits.open-files", read_count, 16, 1048576, 0, "16 to 1048576" },
	{ "limits.file-size", word_size, KIB, 1024 * KIB * KIB * KIB * KIB, 1,
	  "1K to 1024T, as in 512M or 1G, or unlimited" },
};

static int take_number(struct parse *parse, const char *path, const char *text,
		       void *to)
{
	const struct bound *bound = numbers;
	uint64_t value = 0;

	while (strcmp(bound->path, path))
		bound++;
	if (bound->unlimited && !strcmp(text, "unlimited")) {
		*(uint64_t *)to = PROFILE_UNLIMITED;
		return 0;
	}
	int result = bound->read(text, &value);
	if (result < 0 && result != -ERANGE)
		return parse_wrong(parse, path, "%s: %s was expected",
				   source_quote(text).text, bound->expected);
	if (result < 0 || value < bound->least || value > bound->most)
		return parse_wrong(parse, path, "%s: out of range: %s was expected",
				   source_quote(text).text, bound->expected);
	*(uint64_t *)to = value;
	return 0;
}

#define RAW(member) offsetof(struct raw, member)
#define TO(member) offsetof(struct profile, member)

static const struct parse_row rows[] = {
	{ "ambit", RAW(ambit), 0, take_version, NULL },
	{ "name", RAW(name), TO(name), parse_name, NULL },
	{ "owner", RAW(owner), TO(owner), parse_text, NULL },
	{ "purpose", RAW(purpose), TO(purpose), parse_text, NULL },
	{ "tier", RAW(tier), TO(tier), take_tier, NULL },
	{ "review.approved-by", RAW(review.approved_by), TO(review.approved_by),
	  parse_text, NULL },
	{ "review.by", RAW(review.by), TO(review.by), parse_date, NULL },
	{ "run.directory", RAW(run.directory), TO(run.directory), take_directory,
	  "home" },
	{ "run.lifetime", RAW(run.lifetime), TO(run.lifetime), take_number, "24h" },
	{ "run.grace", RAW(run.grace), TO(run.grace), take_number, "10s" },
	{ "limits.memory", RAW(limits.memory), TO(limits.memory), take_number,
	  "unlimited" },
	{ "limits.processes", RAW(limits.processes), TO(limits.processes),
	  take_number, "64" },
	{ "limits.cpu", RAW(limits.cpu), TO(limits.cpu), take_number, "unlimited" },
	{ "limits.open-files", RAW(limits.open_files), TO(limits.open_files),
	  take_number, "1024" },
	{ "limits.file-size", RAW(limits.file_size), TO(limits.file_size),
	  take_number, "1G" },
	{ "files.system", RAW(files.system), TO(files.system), take_system,
	  "standard" },
	{ "syscalls.base", RAW(syscalls.base), TO(syscalls.base), take_set,
	  "@agent" },
};

static int take_argument(struct parse *parse, const char *path,
			 const char *text, void *to)
{
	if (strlen(text) > 4096)
		return parse_wrong(parse, path, "too long: at most 4096 bytes were "
				   "expected");
	return keep(parse, text, to);
}

static int take_path(struct parse *parse, const char *path, const char *text,
		     void *to)
{
	if (word_path(text) < 0)
		return parse_wrong(parse, path, "%s: an absolute path without //, ., "
				   ".. or a / at its end was expected",
				   source_quote(text).text);
	return keep(parse, text, to);
}

static int take_execute(struct parse *parse, const char *path,
			const char *text, void *to)
{
	return take_path(parse, path, strcmp(text, "home") ? text : HOME, to);
}

static int take_call(struct parse *parse, const char *path, const char *text,
		     void *to)
{
	size_t at = text[0] == '@';

	if (!text[at] || strspn(text + at, "abcdefghijklmnopqrstuvwxyz0123456789_-")
				 != strlen(text + at))
		return parse_wrong(parse, path, "%s: a system call or a named set "
				   "such as \"@debug\" was expected",
				   source_quote(text).text);
	return keep(parse, text, to);
}

/* Lists of texts, all taken the same way. */
static const struct {
	const char *path;
	size_t raw, raw_count, to, to_count;
	int (*take)(struct parse *parse, const char *path, const char *text,
		    void *to);
} lists[] = {
#define LIST(path, member, take)                                           \
	{ path, RAW(member), RAW(member##_count), TO(member), TO(member##_count), \
	  take }
	LIST("run.command", run.command, take_argument),
	LIST("run.pass-environment", run.pass_environment, parse_text),
	LIST("files.read", files.read, take_path),
	LIST("files.write", files.write, take_path),
	LIST("files.execute", files.execute, take_execute),
	LIST("syscalls.allow", syscalls.allow, take_call),
	LIST("syscalls.deny", syscalls.deny, take_call),
#undef LIST
};

static int take_list(struct parse *parse, size_t index)
{
	const char *raw = (const char *)parse->raw;
	char *to = (char *)parse->profile, path[96];
	unsigned count;
	char **from;

	memcpy(&from, raw + lists[index].raw, sizeof(from));
	memcpy(&count, raw + lists[index].raw_count, sizeof(count));
	char **list = calloc(count + 1UL, sizeof(*list));
	if (!list)
		return error_errno(parse->error, ENOMEM, "%s", parse->file);
	memcpy(to + lists[index].to, &list, sizeof(list));
	memcpy(to + lists[index].to_count, &count, sizeof(count));
	for (unsigned i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s[%u]", lists[index].path, i);
		int result = lists[index].take(parse, path, from[i], &list[i]);
		if (result < 0)
			return result;
	}
	return 0;
}

static int take_all(struct parse *parse)
{
	int result = parse_rows(parse, "", rows, sizeof(rows) / sizeof(*rows),
				parse->raw, parse->profile);
	parse->profile->review.place = parse_place(parse, "review.by");
	for (size_t i = 0; i < sizeof(lists) / sizeof(*lists) && !result; i++)
		result = take_list(parse, i);
	if (!result)
		result = parse_environment(parse);
	if (!result)
		result = parse_egress(parse);
	if (!result)
		result = parse_listen(parse);
	if (!result)
		result = parse_credentials(parse);
	if (!result)
		result = parse_exceptions(parse);
	if (!result)
		result = parse_bounds(parse);
	return result;
}

int profile_parse(const char *file, const char *text, size_t length,
		  struct profile **ret_profile, struct error *error)
{
	struct source_node *root = NULL;
	struct raw *raw = NULL;
	struct profile *profile = NULL;

	int result = source_read(file, text, length, &root, error);
	if (!result)
		result = schema_load(file, root, text, length, &raw, error);
	if (!result && !(profile = calloc(1, sizeof(*profile))))
		result = error_errno(error, ENOMEM, "%s", file);
	if (!result) {
		struct parse parse = { file, root, raw, profile, error };
		result = take_all(&parse);
	}
	if (raw)
		schema_free(raw);
	source_free(root);
	if (result < 0) {
		profile_free(profile);
		return result;
	}
	*ret_profile = profile;
	return 0;
}
