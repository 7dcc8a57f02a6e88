/* SPDX-License-Identifier: Apache-2.0 */
/* Agents as text: see agents.h.  Used by ps, inspect and the commands that end
 * agents. */
#include "agents.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

const char *agent_text(const json_t *agent, const char *member)
{
	const char *text = json_string_value(json_object_get(agent, member));
	return text ? text : "";
}

int64_t agent_number(const json_t *agent, const char *member)
{
	return json_integer_value(json_object_get(agent, member));
}

void agent_span(int64_t ms, char ret_text[AGENT_TEXT])
{
	static const struct {
		int64_t ms;
		char unit;
	} units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' } };

	if (ms < 0)	/* the clock was set back */
		ms = 0;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms < 2 * units[i].ms)
			continue;
		snprintf(ret_text, AGENT_TEXT, "%lld%c",
			 (long long)(ms / units[i].ms), units[i].unit);
		return;
	}
	snprintf(ret_text, AGENT_TEXT, "%llds", (long long)(ms / 1000));
}

void agent_time(int64_t ms, char ret_text[AGENT_TEXT])
{
	time_t seconds = ms / 1000;
	struct tm parts;

	ret_text[0] = 0;
	if (ms > 0 && gmtime_r(&seconds, &parts))
		strftime(ret_text, AGENT_TEXT, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

void agent_state(const json_t *agent, char ret_text[AGENT_TEXT])
{
	const json_t *end = json_object_get(agent, "exit");

	if (json_is_object(end))
		snprintf(ret_text, AGENT_TEXT, "%.30s %lld",
			 agent_text(agent, "state"),
			 (long long)agent_number(end, "status"));
	else
		snprintf(ret_text, AGENT_TEXT, "%.40s%s",
			 agent_text(agent, "state"),
			 json_is_true(json_object_get(agent, "cut")) ? " cut" :
								       "");
}
