/* SPDX-License-Identifier: Apache-2.0 */
/* Finding one's place in the log: see scan.h. */
#include "scan.h"

#include "../base/number.h"

#include <errno.h>
#include <string.h>

#define KEY(text) (text), sizeof(text) - 1

/* The number behind `key`, searched from `from`. Returns where it ends, or
 * NULL. */
static const char *find_number(const char *from, const char *end,
			       const char *key, size_t key_length,
			       uint64_t *ret_value)
{
	const char *at = memmem(from, (size_t)(end - from), key, key_length);
	size_t digits = 0;

	if (!at)
		return NULL;
	at += key_length;
	while (at + digits < end && at[digits] >= '0' && at[digits] <= '9')
		digits++;
	if (number_parse(at, digits, UINT64_MAX, ret_value) < 0)
		return NULL;
	return at + digits;
}

static int begins(const char *at, const char *end, const char *word,
		  size_t length)
{
	return (size_t)(end - at) >= length && !memcmp(at, word, length);
}

static void scan_unmapped(const char *at, const char *end,
			  struct audit_scanned *scanned)
{
	const char *quote;
	int connection = begins(at, end, KEY("connection\""));
	int loss = begins(at, end, KEY("loss\""));

	at = memmem(at, (size_t)(end - at), KEY("\"boot_id\":\""));
	if (!at)
		return;
	at += sizeof("\"boot_id\":\"") - 1;
	quote = memchr(at, '"', (size_t)(end - at));
	if (!quote)
		return;
	scanned->boot_id = at;
	scanned->boot_id_length = (size_t)(quote - at);
	at = find_number(quote, end, KEY("\"instance\":\""), &scanned->instance);
	if (!at)
		return;
	if (loss && find_number(at, end, KEY("\"kseq_before\":"),
				&scanned->kseq) &&
	    find_number(at, end, KEY("\"lost_total\":"), &scanned->lost_total))
		scanned->loss = 1;
	if (!connection)
		return;
	at = find_number(at, end, KEY("\"kseq\":"), &scanned->kseq);
	if (!at || !find_number(at, end, KEY("\"ktime_ns\":"), &scanned->ktime_ns))
		return;
	scanned->connection = 1;
}

int audit_scan(const char *line, size_t length, struct audit_scanned *ret_scanned)
{
	const char *end = line + length, *at;
	struct audit_scanned scanned = { 0 };

	if (length < 2 || line[0] != '{' || end[-1] != '}')
		return -EBADMSG;
	/* Blocks that never reached the disk read as zeros. */
	if (memchr(line, 0, length))
		return -EBADMSG;
	at = find_number(line, end, KEY("\"sequence\":"), &scanned.sequence);
	if (!at)
		return -EBADMSG;
	at = memmem(at, (size_t)(end - at), KEY("\"unmapped\":{\"record\":\""));
	if (at)
		scan_unmapped(at + sizeof("\"unmapped\":{\"record\":\"") - 1, end,
			      &scanned);
	*ret_scanned = scanned;
	return 0;
}
