/* SPDX-License-Identifier: Apache-2.0 */
/* Clauses beside each other: see remark.h. */
#include "remark.h"

#include "words.h"

#include <stdio.h>
#include <string.h>

static int share_port(const struct profile_endpoint *a, const struct profile_endpoint *b)
{
	for (unsigned i = 0; i < a->port_count; i++)
		for (unsigned j = 0; j < b->port_count; j++)
			if (a->ports[i].low <= b->ports[j].high &&
			    b->ports[j].low <= a->ports[i].high)
				return 1;
	return 0;
}

void remark_winners(const struct profile *profile, unsigned index, char *ret_text,
		    size_t size)
{
	static const char front[] = "; not at addresses of ", more[] = " and more",
			  back[] = ": there that entry wins and TLS is not held";
	const struct profile_endpoint *held = &profile->egress[index];
	size_t used = 0, most = size - sizeof(more) - sizeof(back);
	int whole = 1;

	*ret_text = 0;
	for (unsigned i = 0; i < profile->egress_count && whole; i++) {
		const struct profile_endpoint *at = &profile->egress[i];
		char one[WORD_SIZE * 6];
		if (at->tls == PROFILE_TLS_REQUIRED ||
		    at->protocol != held->protocol || !share_port(at, held))
			continue;
		int length = snprintf(one, sizeof(one), "%segress[%u] (%s)",
				      used ? ", " : front, i, at->to);
		whole = used + (size_t)length < most;
		if (whole)
			used += (size_t)snprintf(ret_text + used, size - used, "%s",
						 one);
	}
	if (used)
		snprintf(ret_text + used, size - used, "%s%s", whole ? "" : more, back);
}

/* Below these there is something of ambit's or of the system's, which is not this
 * function's to know: see launcher/warden/root.c. */
static const struct {
	const char *path;
	int standard;		/* not with files.system none */
} shown[] = {
	{ "/proc", 0 }, { "/dev", 0 }, { "/tmp", 0 }, { "/home/agent", 0 },
	{ "/var/tmp", 0 }, { "/run/ambit", 0 }, { "/etc", 0 },
	{ "/usr", 1 }, { "/bin", 1 }, { "/sbin", 1 }, { "/lib", 1 },
	{ "/lib32", 1 }, { "/lib64", 1 }, { "/libx32", 1 },
};

/* 1 if `place` shows `path`: it lies in it, or leads to it. */
static int shows(const char *place, const char *path)
{
	return word_path_in(path, place) || word_path_in(place, path);
}

int remark_unseen(const struct profile *profile, const char *path)
{
	int standard = profile->files.system == PROFILE_SYSTEM_STANDARD;

	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++)
		if ((standard || !shown[i].standard) && shows(shown[i].path, path))
			return 0;
	for (unsigned i = 0; i < profile->files.read_count; i++)
		if (shows(profile->files.read[i], path))
			return 0;
	for (unsigned i = 0; i < profile->files.write_count; i++)
		if (shows(profile->files.write[i], path))
			return 0;
	for (unsigned i = 0; i < profile->egress_count; i++)
		if (profile->egress[i].kind == PROFILE_ENDPOINT_UNIX &&
		    shows(profile->egress[i].to + strlen("unix:"), path))
			return 0;
	return 1;
}
