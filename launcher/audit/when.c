/* SPDX-License-Identifier: Apache-2.0 */
/* Times that people write: see tool.h. */
#include "tool.h"

#include "../base/number.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* 90s, 15m, 2h, 7d: so long before `now_ms`. */
static int parse_ago(const char *text, uint64_t now_ms, uint64_t *ret_ms)
{
	static const struct {
		char unit;
		uint64_t ms;
	} units[] = { { 's', 1000 }, { 'm', 60000 }, { 'h', 3600000 },
		      { 'd', 86400000 } };
	size_t length = strlen(text);
	uint64_t count;

	for (size_t i = 0; length && i < sizeof(units) / sizeof(*units); i++) {
		if (text[length - 1] != units[i].unit ||
		    number_parse(text, length - 1, UINT32_MAX, &count) < 0)
			continue;
		uint64_t ago = count * units[i].ms;
		*ret_ms = ago < now_ms ? now_ms - ago : 0;
		return 0;
	}
	return -EINVAL;
}

int tool_when(const char *text, uint64_t now_ms, uint64_t *ret_ms)
{
	/* As lines begin, and less of it. */
	static const char *const forms[] = {
		"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d",
	};

	if (parse_ago(text, now_ms, ret_ms) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct tm parts = { 0 };
		uint64_t ms = 0;
		const char *at = strptime(text, forms[i], &parts);
		if (!at)
			continue;
		if (i == 0 && *at == '.') {
			size_t digits = strspn(at + 1, "0123456789");
			if (digits != 3 || number_parse(at + 1, 3, 999, &ms) < 0)
				return -EINVAL;
			at += 4;
		}
		if (i < 2 && *at == 'Z')
			at++;
		time_t seconds = timegm(&parts);
		if (*at || seconds < 0)
			return -EINVAL;
		*ret_ms = (uint64_t)seconds * 1000 + ms;
		return 0;
	}
	return -EINVAL;
}
