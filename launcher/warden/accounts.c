/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's accounts: see accounts.h. */
#include "accounts.h"

#include "base/number.h"
#include "base/own.h"

#include <stdio.h>
#include <string.h>

/* Lines of `name:…:id:…`; of subuid and subgid, the first id and how many. */
static const struct accounts {
	const char *file, *kind;
	int place;	/* of the id, counted from 0 */
	int counted;	/* the next one says how many */
} files[] = {
	{ "passwd", "uid", 2, 0 },
	{ "group", "gid", 2, 0 },
	{ "subuid", "uid", 1, 1 },
	{ "subgid", "gid", 1, 1 },
};

/* The number in place `place` of `line`, or 0 with `*ret_none` set. */
static uint64_t number_at(const char *line, int place, int *ret_none)
{
	uint64_t number = 0;

	while (place-- && *line)
		line += strcspn(line, ":\n") + (line[strcspn(line, ":\n")] == ':');
	*ret_none = number_parse(line, strcspn(line, ":\n"), UINT32_MAX, &number) < 0;
	return number;
}

static int check_line(const struct accounts *in, const char *line, uint32_t first,
		      uint32_t count, struct error *error)
{
	int none = 0, uncounted = 0;
	uint64_t id = number_at(line, in->place, &none);
	uint64_t ids = in->counted ? number_at(line, in->place + 1, &uncounted) : 1;

	if (none || uncounted || id >= (uint64_t)first + count || id + ids <= first)
		return 0;
	return error_set(error, EADDRINUSE, "uid-range: %u-%u: %.*s has %s %llu "
			 "(/etc/%s): a range that is nobody's was expected", first,
			 first + (count - 1), (int)strcspn(line, ":\n"), line,
			 in->kind, (unsigned long long)(id < first ? first : id),
			 in->file);
}

static int check_file(const struct accounts *in, FILE *file, uint32_t first,
		      uint32_t count, struct error *error)
{
	OWN_MEMORY char *line = NULL;
	size_t size = 0;
	int failed = 0;

	while (!failed && getline(&line, &size, file) > 0)
		failed = check_line(in, line, first, count, error);
	return failed;
}

int accounts_check(uint32_t first, uint32_t count, struct error *error)
{
	char path[32];
	int failed = 0;

	for (size_t i = 0; !failed && i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "/etc/%s", files[i].file);
		FILE *file = fopen(path, "re");
		if (!file)
			continue;
		failed = check_file(&files[i], file, first, count, error);
		fclose(file);
	}
	return failed;
}
