/* SPDX-License-Identifier: Apache-2.0 */
/* What a changed profile takes away: see withdraw.h. */
#include "withdraw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int same_endpoint(const struct profile_endpoint *a,
			 const struct profile_endpoint *b)
{
	if (a->kind != b->kind || strcmp(a->to, b->to) ||
	    a->port_count != b->port_count || a->protocol != b->protocol ||
	    a->tls != b->tls || strcmp(a->tool, b->tool) ||
	    a->address_count != b->address_count)
		return 0;
	for (unsigned i = 0; i < a->address_count; i++)
		if (strcmp(a->addresses[i].text, b->addresses[i].text))
			return 0;
	for (unsigned i = 0; i < a->port_count; i++)
		if (a->ports[i].low != b->ports[i].low ||
		    a->ports[i].high != b->ports[i].high)
			return 0;
	return 1;
}

/* The canonical text of everything but the egress. */
static char *others(const struct profile *profile, struct error *error)
{
	struct profile without = *profile;
	char *text = NULL;
	size_t length;

	without.egress_count = 0;
	return profile_print(&without, &text, &length, error) < 0 ? NULL : text;
}

/* The clause of the first line that differs: its top-level key, and the line's. */
static int name_difference(const char *a, const char *b, struct error *error)
{
	const char *line = a, *top = a;

	for (size_t i = 0; a[i] == b[i] && a[i]; i++) {
		if (a[i] != '\n')
			continue;
		line = a + i + 1;
		if (*line != ' ')
			top = line;
	}
	const char *key = line + strspn(line, " -{");
	int top_length = (int)strcspn(top, ":\n");
	int length = (int)strcspn(key, ":\n");
	if (line == top)
		return error_set(error, EINVAL, "%.*s: it changed: a running agent "
				 "keeps it; launch it anew", top_length, top);
	return error_set(error, EINVAL, "%.*s: %.*s: it changed: a running agent "
			 "keeps it; launch it anew", top_length, top, length, key);
}

static int check_others(const struct profile *running, const struct profile *now,
			struct error *error)
{
	char *a = others(running, error), *b = a ? others(now, error) : NULL;
	int result = -ENOMEM;

	if (a && b)
		result = strcmp(a, b) ? name_difference(a, b, error) : 0;
	free(a);
	free(b);
	return result;
}

/* The entry of `running` that `wanted` stands for and no other did yet, one that is
 * in force before one that is withdrawn; -1: none. */
static int find(const struct profile *running,
		const struct profile_endpoint *wanted, const uint8_t *withdrawn,
		const uint8_t *kept)
{
	int found = -1;

	for (unsigned i = 0; i < running->egress_count; i++)
		if (!kept[i] && same_endpoint(&running->egress[i], wanted) &&
		    (found < 0 || (withdrawn[found] && !withdrawn[i])))
			found = (int)i;
	return found;
}

int profile_withdraw(const struct profile *running, const struct profile *now,
		     uint8_t withdrawn[AMBIT_EGRESS], struct error *error)
{
	uint8_t kept[AMBIT_EGRESS] = { 0 };
	int count = 0;

	int result = check_others(running, now, error);
	if (result < 0)
		return result;
	for (unsigned i = 0; i < now->egress_count; i++) {
		int at = find(running, &now->egress[i], withdrawn, kept);
		if (at < 0)
			return error_set(error, EPERM, "egress[%u] to %s: it is new: a "
					 "running agent is only given less; launch it "
					 "anew", i, now->egress[i].to);
		if (withdrawn[at])
			return error_set(error, EPERM, "egress[%u] to %s: it was "
					 "withdrawn, which is for good; launch it "
					 "anew", i, now->egress[i].to);
		kept[at] = 1;
	}
	for (unsigned i = 0; i < running->egress_count; i++) {
		if (kept[i] || withdrawn[i])
			continue;
		if (running->egress[i].kind == PROFILE_ENDPOINT_UNIX)
			return error_set(error, ENOTSUP, "egress[%u] to %s: a "
					 "connection to it can't be ended; kill or "
					 "retire the agent", i, running->egress[i].to);
		count++;
	}
	for (unsigned i = 0; i < running->egress_count; i++)
		withdrawn[i] |= !kept[i];
	return count;
}
