/* SPDX-License-Identifier: Apache-2.0 */
/* DNS names: see name.h. */
#include "name.h"

#include <string.h>

int name_listed(const char *entry, const char *name)
{
	const char *dot;

	if (strncmp(entry, "*.", 2))
		return !strcmp(entry, name);
	dot = strchr(name, '.');
	return dot && dot > name && !strcmp(entry + 1, dot);
}
